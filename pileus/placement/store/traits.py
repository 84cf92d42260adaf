"""Traits: those that operators added, and which provider has which.

The standard ones are data of the program; of them only their use is in the database.
"""

from collections.abc import Iterable, Sequence

import msgspec

from pileus.foundation.database import Database, Transaction, sql
from pileus.placement.domain.errors import NoSuchTraits
from pileus.placement.domain.trait import is_standard, standard

_ALL = sql("SELECT name FROM placement_traits")
_USED = sql("SELECT DISTINCT trait FROM placement_provider_traits")
_FIND = sql("SELECT updated_at FROM placement_traits WHERE name = :name")
_KNOWN = sql("SELECT name FROM placement_traits WHERE name IN :names*")
_ADD = sql("INSERT INTO placement_traits (name, updated_at) VALUES (:name, :now) ON CONFLICT (name) DO NOTHING")
_DELETE = sql("DELETE FROM placement_traits WHERE name = :name")
_IN_USE = sql("SELECT provider FROM placement_provider_traits WHERE trait = :name LIMIT 1")
_OF = sql("SELECT trait FROM placement_provider_traits WHERE provider = :provider ORDER BY trait")
_DROP = sql("DELETE FROM placement_provider_traits WHERE provider = :provider")
_PUT = sql("INSERT INTO placement_provider_traits (trait, provider) VALUES (:trait, :provider)")
_REPEAT = sql("UPDATE placement_providers SET traits = :traits WHERE uuid = :provider")

Reader = Database | Transaction

NAMES = "placement.names"
"""The lock of whoever takes away, or comes to rely on, a name that an operator added."""


async def every(reader: Reader) -> set[str]:
    """The names of all traits, standard and added."""
    return {row["name"] for row in await reader.all(_ALL)} | standard()


async def used(reader: Reader) -> set[str]:
    """The names of the traits that some provider has."""
    return {row["trait"] for row in await reader.all(_USED)}


async def find_moment(reader: Reader, name: str) -> int | None:
    """When a trait was added (UTC microseconds); None when it was not."""
    row = await reader.one(_FIND, name=name)
    return None if row is None else int(row["updated_at"])


async def check(reader: Reader, names: Iterable[str]) -> None:
    """Make sure that all these traits exist. Raises: NoSuchTraits (400)."""
    missing = {name for name in names if not is_standard(name)}
    if missing:
        missing -= {row["name"] for row in await reader.all(_KNOWN, names=sorted(missing))}
    if missing:
        raise NoSuchTraits(names=", ".join(sorted(missing)))


async def rely_on(tx: Transaction, names: Iterable[str]) -> None:
    """As `check`, and none of them goes away before the transaction ends."""
    added = sorted({name for name in names if not is_standard(name)})
    if added:
        await tx.lock(NAMES)
        await check(tx, added)


async def add(tx: Transaction, name: str, now: int) -> bool:
    """Add a trait; False when it exists."""
    return bool(await tx.run(_ADD, name=name, now=now))


async def delete(tx: Transaction, name: str) -> bool:
    """Take a trait away; False when there is none such."""
    await tx.lock(NAMES)
    return bool(await tx.run(_DELETE, name=name))


async def is_in_use(tx: Transaction, name: str) -> bool:
    return await tx.one(_IN_USE, name=name) is not None


async def of_provider(reader: Reader, provider: str) -> Sequence[str]:
    return [row["trait"] for row in await reader.all(_OF, provider=provider)]


async def put_all(tx: Transaction, provider: str, names: Iterable[str]) -> None:
    """Let a provider have exactly these traits, in its rows and in the list that its own row repeats."""
    wanted = sorted(set(names))
    await tx.run(_DROP, provider=provider)
    for trait in wanted:
        await tx.run(_PUT, trait=trait, provider=provider)
    await tx.run(_REPEAT, traits=msgspec.json.encode(wanted).decode(), provider=provider)
