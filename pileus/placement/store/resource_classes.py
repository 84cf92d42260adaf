"""The resource classes that operators added, beside the standard ones that are data of the program."""

from collections.abc import Iterable

from pileus.foundation.database import Database, Transaction, sql
from pileus.placement.domain.errors import NoSuchResourceClass
from pileus.placement.domain.resource_class import is_standard

_ALL = sql("SELECT name, updated_at FROM placement_resource_classes ORDER BY name")
_FIND = sql("SELECT updated_at FROM placement_resource_classes WHERE name = :name")
_KNOWN = sql("SELECT name FROM placement_resource_classes WHERE name IN :names*")
_ADD = sql(
    "INSERT INTO placement_resource_classes (name, updated_at) VALUES (:name, :now) ON CONFLICT (name) DO NOTHING"
)
_DELETE = sql("DELETE FROM placement_resource_classes WHERE name = :name")
_IN_USE = sql("SELECT provider FROM placement_inventories WHERE class = :name LIMIT 1")

_RENAMES = tuple(
    sql(f"UPDATE {table} SET class = :wanted WHERE class = :name")
    for table in ("placement_inventories", "placement_allocations")
)

Reader = Database | Transaction

NAMES = "placement.names"
"""The lock of whoever takes away, or comes to rely on, a name that an operator added."""


async def added(reader: Reader) -> list[tuple[str, int]]:
    """Name and moment (UTC microseconds) of every class that was added."""
    return [(row["name"], row["updated_at"]) for row in await reader.all(_ALL)]


async def find_moment(reader: Reader, name: str) -> int | None:
    """When a class was added (UTC microseconds); None when it was not."""
    row = await reader.one(_FIND, name=name)
    return None if row is None else int(row["updated_at"])


async def check(reader: Reader, names: Iterable[str]) -> None:
    """Make sure that all these classes exist. Raises: NoSuchResourceClass (400)."""
    missing = {name for name in names if not is_standard(name)}
    if missing:
        missing -= {row["name"] for row in await reader.all(_KNOWN, names=sorted(missing))}
    if missing:
        raise NoSuchResourceClass(name=", ".join(sorted(missing)))


async def rely_on(tx: Transaction, names: Iterable[str]) -> None:
    """As `check`, and none of them goes away before the transaction ends."""
    added = sorted({name for name in names if not is_standard(name)})
    if added:
        await tx.lock(NAMES)
        await check(tx, added)


async def add(tx: Transaction, name: str, now: int) -> bool:
    """Add a class; False when it exists."""
    return bool(await tx.run(_ADD, name=name, now=now))


async def delete(tx: Transaction, name: str) -> bool:
    """Take a class away; False when there is none such."""
    await tx.lock(NAMES)
    return bool(await tx.run(_DELETE, name=name))


async def is_in_use(tx: Transaction, name: str) -> bool:
    """Whether any provider has an inventory of it."""
    return await tx.one(_IN_USE, name=name) is not None


async def rename_uses(tx: Transaction, name: str, wanted: str) -> None:
    """Let everything that names a class name another one instead."""
    for statement in _RENAMES:
        await tx.run(statement, name=name, wanted=wanted)
