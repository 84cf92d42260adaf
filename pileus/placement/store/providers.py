"""Resource providers and the trees they form."""

from collections.abc import Mapping, Sequence
from typing import Any

from pileus.foundation.database import Database, Transaction, sql
from pileus.placement.domain.provider import Provider

_COLUMNS = "uuid, name, generation, parent, root, updated_at"
_GET = sql(f"SELECT {_COLUMNS} FROM placement_providers WHERE uuid = :uuid")
_INSERT = sql(
    "INSERT INTO placement_providers (uuid, name, generation, parent, root, traits, created_at, updated_at) "
    "VALUES (:uuid, :name, 0, :parent, :root, '[]', :now, :now)"
)
_NAMED = sql("SELECT uuid FROM placement_providers WHERE name = :name")
_SAVE = sql("UPDATE placement_providers SET name = :name, parent = :parent, updated_at = :now WHERE uuid = :uuid")
_REROOT = sql("UPDATE placement_providers SET root = :root WHERE uuid IN :uuids*")
_PARENTS = sql("SELECT uuid, parent FROM placement_providers WHERE root IN :roots*")
_ADVANCE = sql(
    "UPDATE placement_providers SET generation = generation + 1, updated_at = :now "
    "WHERE uuid = :uuid AND generation = :generation"
)
_HOLD = sql("UPDATE placement_providers SET updated_at = :now WHERE uuid = :uuid RETURNING generation")
_DELETE = sql("DELETE FROM placement_providers WHERE uuid = :uuid")
_CHILD = sql("SELECT uuid FROM placement_providers WHERE parent = :uuid LIMIT 1")
_DROP_TRAITS = sql("DELETE FROM placement_provider_traits WHERE provider = :uuid")
_DROP_AGGREGATES = sql("DELETE FROM placement_provider_aggregates WHERE provider = :uuid")

Reader = Database | Transaction


async def find(reader: Reader, uuid: str) -> Provider | None:
    row = await reader.one(_GET, uuid=uuid)
    return None if row is None else provider_from(row)


async def find_named(reader: Reader, name: str) -> str | None:
    """The uuid of the provider with this name."""
    row = await reader.one(_NAMED, name=name)
    return None if row is None else str(row["uuid"])


async def insert(tx: Transaction, provider: Provider, now: int) -> None:
    """Write a new provider. Raises: Duplicate (409) when name or uuid is taken."""
    await tx.run(_INSERT, uuid=provider.uuid, name=provider.name, parent=provider.parent, root=provider.root, now=now)


async def save(tx: Transaction, provider: Provider, now: int) -> None:
    """Write name and parent. Raises: Duplicate (409) when the name is taken."""
    await tx.run(_SAVE, uuid=provider.uuid, name=provider.name, parent=provider.parent, now=now)


async def set_root(tx: Transaction, uuids: Sequence[str], root: str) -> None:
    await tx.run(_REROOT, uuids=list(uuids), root=root)


async def parents_in(reader: Reader, roots: Sequence[str]) -> Mapping[str, str | None]:
    """Every provider of these trees, with its parent."""
    return {row["uuid"]: row["parent"] for row in await reader.all(_PARENTS, roots=list(roots))}


async def advance(tx: Transaction, uuid: str, generation: int, now: int) -> bool:
    """Move a provider to its next generation; False when it is not at `generation` (any more)."""
    return bool(await tx.run(_ADVANCE, uuid=uuid, generation=generation, now=now))


async def hold(tx: Transaction, uuid: str, now: int) -> int | None:
    """The provider's generation, which nobody else changes until the transaction ends; None without a provider."""
    row = await tx.one(_HOLD, uuid=uuid, now=now)
    return None if row is None else int(row["generation"])


async def has_children(tx: Transaction, uuid: str) -> bool:
    return await tx.one(_CHILD, uuid=uuid) is not None


async def delete(tx: Transaction, uuid: str) -> bool:
    """Take a provider away with its traits and aggregates; False when there is none."""
    if not await tx.run(_DELETE, uuid=uuid):
        return False
    await tx.run(_DROP_TRAITS, uuid=uuid)
    await tx.run(_DROP_AGGREGATES, uuid=uuid)
    return True


def provider_from(row: Any) -> Provider:
    return Provider(row["uuid"], row["name"], row["generation"], row["parent"], row["root"], row["updated_at"])
