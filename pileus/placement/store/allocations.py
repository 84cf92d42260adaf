"""Who holds what: consumers and their allocations, and the use of inventories that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pileus.foundation.database import Database, Statement, Transaction, sql
from pileus.placement.domain.claim import Claim, Consumer, Key, Move

_ADD_CONSUMER = sql(
    "INSERT INTO placement_consumers (uuid, generation, project_id, user_id, type, created_at, updated_at) "
    "VALUES (:uuid, 1, :project_id, :user_id, :type, :now, :now) ON CONFLICT (uuid) DO NOTHING"
)
_RENEW_CONSUMER = sql(
    "UPDATE placement_consumers SET generation = generation + 1, project_id = :project_id, user_id = :user_id, "
    "type = COALESCE(:type, type), updated_at = :now WHERE uuid = :uuid AND generation = :generation"
)
_ENSURE_CONSUMER = sql(
    "INSERT INTO placement_consumers (uuid, generation, project_id, user_id, type, created_at, updated_at) "
    "VALUES (:uuid, 1, :project_id, :user_id, :type, :now, :now) ON CONFLICT (uuid) DO UPDATE SET "
    "generation = placement_consumers.generation + 1, updated_at = excluded.updated_at, "
    "project_id = excluded.project_id, user_id = excluded.user_id, "
    "type = COALESCE(excluded.type, placement_consumers.type) RETURNING generation"
)
_DROP_CONSUMER = sql("DELETE FROM placement_consumers WHERE uuid = :uuid")
_DROP_CONSUMER_AT = sql("DELETE FROM placement_consumers WHERE uuid = :uuid AND generation = :generation")
_GENERATION = sql("SELECT generation FROM placement_consumers WHERE uuid = :uuid")
_HELD = sql("SELECT provider, class, amount FROM placement_allocations WHERE consumer = :uuid")
_DROP_HELD = sql("DELETE FROM placement_allocations WHERE consumer = :uuid RETURNING provider, class, amount")
_GET = sql(
    "SELECT c.generation, c.project_id, c.user_id, c.type, c.updated_at, "
    "a.provider, a.class, a.amount, p.generation AS provider_generation "
    "FROM placement_consumers c JOIN placement_allocations a ON a.consumer = c.uuid "
    "JOIN placement_providers p ON p.uuid = a.provider WHERE c.uuid = :uuid ORDER BY a.provider, a.class"
)
_OF_PROVIDER = sql(
    "SELECT a.consumer, a.class, a.amount, c.generation, c.project_id, c.user_id, c.type, c.updated_at "
    "FROM placement_allocations a JOIN placement_consumers c ON c.uuid = a.consumer "
    "WHERE a.provider = :provider ORDER BY a.consumer, a.class"
)
# One statement each: three of them cost less than one that joins a list of values.
_TAKE = sql(
    "UPDATE placement_inventories SET used = used + :delta WHERE provider = :provider AND class = :class "
    "AND (used + :delta <= capacity OR :delta <= 0) "
    "AND :least >= min_unit AND :most <= max_unit AND :divisor % step_size = 0"
)
_GIVE = sql(
    "UPDATE placement_inventories SET used = used + :delta WHERE provider = :provider AND class = :class "
    "AND (used + :delta <= capacity OR :delta <= 0)"
)
_BUMP = sql("UPDATE placement_providers SET generation = generation + 1, updated_at = :now WHERE uuid = :provider")
_TOUCH = sql("UPDATE placement_providers SET updated_at = :now WHERE uuid = :provider")


@lru_cache(maxsize=64)
def _insertion(count: int) -> Statement:
    """The insertion of so many rows at once."""
    rows = ", ".join(f"(:consumer, :p{n}, :c{n}, :a{n})" for n in range(count))
    return sql(f"INSERT INTO placement_allocations (consumer, provider, class, amount) VALUES {rows}")


async def add_consumer(tx: Transaction, claim: Claim, now: int) -> bool:
    """Write a consumer that nobody knows yet; False when there is one."""
    return bool(await tx.run(_ADD_CONSUMER, **_owner(claim), now=now))


async def renew_consumer(tx: Transaction, claim: Claim, now: int) -> bool:
    """Advance a consumer's generation; False when it is not at the one that the claim names."""
    return bool(await tx.run(_RENEW_CONSUMER, **_owner(claim), generation=claim.generation, now=now))


async def ensure_consumer(tx: Transaction, claim: Claim, now: int) -> bool:
    """Have the consumer, at a new generation; True when there was none."""
    row = await tx.one(_ENSURE_CONSUMER, **_owner(claim), now=now)
    return bool(row is not None and row["generation"] == 1)


async def drop_consumer(tx: Transaction, uuid: str, generation: int | None = None) -> bool:
    """Forget a consumer, with `generation` only one that is at it; False when there is none such."""
    if generation is None:
        return bool(await tx.run(_DROP_CONSUMER, uuid=uuid))
    return bool(await tx.run(_DROP_CONSUMER_AT, uuid=uuid, generation=generation))


async def find_generation(tx: Transaction, uuid: str) -> int | None:
    row = await tx.one(_GENERATION, uuid=uuid)
    return None if row is None else int(row["generation"])


async def drop_held(tx: Transaction, uuid: str) -> dict[Key, int]:
    """Forget what a consumer holds and return what that was."""
    return {(row["provider"], row["class"]): row["amount"] for row in await tx.all(_DROP_HELD, uuid=uuid)}


async def write_held(tx: Transaction, claim: Claim) -> None:
    """Write all that a consumer holds from now on; it holds nothing yet."""
    values: dict[str, Any] = {"consumer": claim.consumer}
    for n, ((provider, name), amount) in enumerate(sorted(claim.amounts.items())):
        values[f"p{n}"], values[f"c{n}"], values[f"a{n}"] = provider, name, amount
    await tx.run(_insertion(len(claim.amounts)), **values)


async def bump_provider(tx: Transaction, provider: str, now: int) -> bool:
    """Advance a provider's generation; False when there is no such provider."""
    return bool(await tx.run(_BUMP, provider=provider, now=now))


async def touch_provider(tx: Transaction, provider: str, now: int) -> None:
    """Hold a provider's row without advancing its generation: what is given back contradicts nobody's view."""
    await tx.run(_TOUCH, provider=provider, now=now)


async def move(tx: Transaction, what: Move) -> bool:
    """Change the use of an inventory; False when it does not exist, has too little left, or other units."""
    provider, resource_class, delta, least, most, divisor = what
    values: dict[str, Any] = {"provider": provider, "class": resource_class, "delta": delta}
    if not most:
        return bool(await tx.run(_GIVE, **values))
    return bool(await tx.run(_TAKE, **values, least=least, most=most, divisor=divisor))


@dataclass(slots=True)
class Held:
    """What a consumer holds of one provider, and that provider's generation."""

    generation: int
    amounts: dict[str, int]


async def get(database: Database, uuid: str) -> tuple[Consumer | None, dict[str, Held]]:
    """A consumer and what it holds of each provider; None for one that holds nothing."""
    rows = await database.all(_GET, uuid=uuid)
    held: dict[str, Held] = {}
    for row in rows:
        provider = row["provider"]
        if provider not in held:
            held[provider] = Held(row["provider_generation"], {})
        held[provider].amounts[row["class"]] = row["amount"]
    return (_consumer(uuid, rows[0]) if rows else None), held


async def of_provider(database: Database, provider: str) -> Sequence[tuple[Consumer, dict[str, int]]]:
    """Who holds something of a provider, and how much of each class."""
    found: dict[str, tuple[Consumer, dict[str, int]]] = {}
    for row in await database.all(_OF_PROVIDER, provider=provider):
        if row["consumer"] not in found:
            found[row["consumer"]] = (_consumer(row["consumer"], row), {})
        found[row["consumer"]][1][row["class"]] = row["amount"]
    return list(found.values())


def _owner(claim: Claim) -> dict[str, Any]:
    return {
        "uuid": claim.consumer,
        "project_id": claim.project_id,
        "user_id": claim.user_id,
        "type": claim.type,
    }


def _consumer(uuid: str, row: Any) -> Consumer:
    return Consumer(uuid, row["generation"], row["project_id"], row["user_id"], row["type"], row["updated_at"])
