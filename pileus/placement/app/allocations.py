"""Claims: consumers take and give back resources, all of a request or nothing of it.

Rows are touched in one order everywhere: consumers, then providers, then inventories, each sorted. So claims that
meet wait for each other, but never in a circle.
"""

from collections.abc import Sequence

from pileus.foundation.database import Transaction
from pileus.placement.domain.claim import Claim, Consumer, Key, Move, plan_moves
from pileus.placement.domain.errors import (
    CapacityExceeded,
    ConsumerGenerationConflict,
    InventoryMissing,
    NoAllocations,
    NoSuchProvider,
    ProviderNotFound,
    UnitsViolated,
)
from pileus.placement.service import Placement
from pileus.placement.store import allocations, inventories, providers, resource_classes


async def claim(placement: Placement, claims: Sequence[Claim]) -> None:
    """Let each consumer hold exactly what its claim says.

    Raises: ConsumerGenerationConflict, CapacityExceeded, UnitsViolated, InventoryMissing (409), NoSuchProvider,
    NoSuchResourceClass (400).
    """
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        await settle(tx, claims, now)

    await placement.database.transact(work)


async def release(placement: Placement, consumer: str) -> None:
    """Give back all that a consumer holds. Raises: NoAllocations (404)."""

    async def work(tx: Transaction) -> None:
        if not await allocations.drop_consumer(tx, consumer):
            raise NoAllocations(uuid=consumer)
        for move in plan_moves([(await allocations.drop_held(tx, consumer), {})]):
            await allocations.move(tx, move)

    await placement.database.transact(work)


async def get(placement: Placement, consumer: str) -> tuple[Consumer | None, dict[str, allocations.Held]]:
    """A consumer and what it holds of each provider; None for one that holds nothing."""
    return await allocations.get(placement.database, consumer)


async def of_provider(placement: Placement, uuid: str) -> tuple[int, Sequence[tuple[Consumer, dict[str, int]]]]:
    """A provider's generation, and who holds how much of it. Raises: ProviderNotFound (404)."""
    provider = await providers.find(placement.database, uuid)
    if provider is None:
        raise ProviderNotFound(uuid=uuid)
    return provider.generation, await allocations.of_provider(placement.database, uuid)


async def settle(tx: Transaction, claims: Sequence[Claim], now: int) -> None:
    """Carry out claims within a transaction; raises as `claim` does."""
    changes = []
    for each in sorted(claims, key=lambda each: each.consumer):
        changes.append((await _begin(tx, each, now), each.amounts))
    moves = plan_moves(changes)
    for provider in sorted({provider for each in claims for provider, _ in each.amounts}):
        if not await allocations.bump_provider(tx, provider, now):
            raise NoSuchProvider(uuid=provider)
    for move in moves:
        if not await allocations.move(tx, move):
            await _explain(tx, move)
    for each in claims:
        if each.amounts:
            await allocations.write_held(tx, each)


async def _begin(tx: Transaction, claim: Claim, now: int) -> dict[Key, int]:
    """Bring the consumer to its next generation and return what it held, which is forgotten by now."""
    if not claim.amounts:
        return await _end(tx, claim)
    if not claim.is_guarded:
        is_new = await allocations.ensure_consumer(tx, claim, now)
    elif claim.generation is None:
        is_new = await allocations.add_consumer(tx, claim, now)
        if not is_new:
            raise await _conflict(tx, claim)
    else:
        is_new = False
        if not await allocations.renew_consumer(tx, claim, now):
            raise await _conflict(tx, claim)
    return {} if is_new else await allocations.drop_held(tx, claim.consumer)


async def _end(tx: Transaction, claim: Claim) -> dict[Key, int]:
    """A claim of nothing: the consumer goes."""
    if claim.is_guarded:
        found = await allocations.find_generation(tx, claim.consumer)
        if found != claim.generation:
            raise await _conflict(tx, claim)
        if found is None:
            return {}
        if not await allocations.drop_consumer(tx, claim.consumer, found):
            raise await _conflict(tx, claim)
    else:
        await allocations.drop_consumer(tx, claim.consumer)
    return await allocations.drop_held(tx, claim.consumer)


async def _conflict(tx: Transaction, claim: Claim) -> ConsumerGenerationConflict:
    found = await allocations.find_generation(tx, claim.consumer)
    return ConsumerGenerationConflict(
        uuid=claim.consumer,
        found="null" if found is None else found,
        expected="null" if claim.generation is None else claim.generation,
    )


async def _explain(tx: Transaction, move: Move) -> None:
    """Raise what hindered a move that the database refused."""
    inventory = await inventories.find(tx, move.provider, move.resource_class)
    facts = {"name": move.resource_class, "uuid": move.provider}
    if inventory is None:
        await resource_classes.check(tx, [move.resource_class])
        raise InventoryMissing(**facts)
    fits = inventory.min_unit <= move.least and move.most <= inventory.max_unit
    if move.most and not (fits and move.divisor % inventory.step_size == 0):
        raise UnitsViolated(**facts)
    raise CapacityExceeded(**facts)
