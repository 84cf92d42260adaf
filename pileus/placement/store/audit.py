"""Reads what contradicts itself in placement's tables. Nothing here depends on what claims have cost."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pileus.foundation.database import Database, sql

_MISCOUNTED = sql(
    "SELECT i.provider, i.class, i.used, COALESCE(SUM(a.amount), 0) AS held FROM placement_inventories i "
    "LEFT JOIN placement_allocations a ON a.provider = i.provider AND a.class = i.class "
    "GROUP BY i.provider, i.class, i.used HAVING i.used <> COALESCE(SUM(a.amount), 0) ORDER BY i.provider, i.class"
)
_UNFOUNDED = sql(
    "SELECT a.consumer, a.provider, a.class FROM placement_allocations a LEFT JOIN placement_inventories i "
    "ON i.provider = a.provider AND i.class = a.class WHERE i.provider IS NULL ORDER BY 1, 2, 3"
)
_OWNERLESS = sql(
    "SELECT DISTINCT a.consumer FROM placement_allocations a LEFT JOIN placement_consumers c ON c.uuid = a.consumer "
    "WHERE c.uuid IS NULL ORDER BY 1"
)
_IDLE = sql(
    "SELECT c.uuid FROM placement_consumers c LEFT JOIN placement_allocations a ON a.consumer = c.uuid "
    "WHERE a.consumer IS NULL ORDER BY 1"
)
_OVERCOMMITTED = sql(
    "SELECT provider, class, used, capacity FROM placement_inventories WHERE used > capacity ORDER BY provider, class"
)
_STRAY_INVENTORIES = sql(
    "SELECT DISTINCT i.provider FROM placement_inventories i LEFT JOIN placement_providers p ON p.uuid = i.provider "
    "WHERE p.uuid IS NULL ORDER BY 1"
)
_PROVIDERS = sql("SELECT uuid, parent, root, traits FROM placement_providers ORDER BY uuid")
_TRAITS = sql("SELECT provider, trait FROM placement_provider_traits ORDER BY provider, trait")


async def miscounted(database: Database) -> Sequence[Any]:
    """Inventories (provider, class, used) whose use is not the sum of the allocations (held)."""
    return await database.all(_MISCOUNTED)


async def unfounded(database: Database) -> Sequence[Any]:
    """Allocations (consumer, provider, class) of something that the provider does not have."""
    return await database.all(_UNFOUNDED)


async def ownerless(database: Database) -> list[str]:
    """Consumers that hold something and do not exist."""
    return [row["consumer"] for row in await database.all(_OWNERLESS)]


async def idle(database: Database) -> list[str]:
    """Consumers that exist and hold nothing."""
    return [row["uuid"] for row in await database.all(_IDLE)]


async def overcommitted(database: Database) -> Sequence[Any]:
    """Inventories (provider, class, used, capacity) of which more is held than there is."""
    return await database.all(_OVERCOMMITTED)


async def stray_inventories(database: Database) -> list[str]:
    """Providers that have inventories and do not exist."""
    return [row["provider"] for row in await database.all(_STRAY_INVENTORIES)]


class Place(NamedTuple):
    """What a provider's row says of its tree, and repeats of its traits (JSON text)."""

    parent: str | None
    root: str
    traits: str


async def places(database: Database) -> dict[str, Place]:
    return {row["uuid"]: Place(row["parent"], row["root"], row["traits"]) for row in await database.all(_PROVIDERS)}


async def traits(database: Database) -> dict[str, list[str]]:
    """The traits of every provider that has some, in order."""
    found: dict[str, list[str]] = {}
    for row in await database.all(_TRAITS):
        found.setdefault(row["provider"], []).append(row["trait"])
    return found
