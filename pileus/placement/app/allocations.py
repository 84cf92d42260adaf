"""Claims: consumers take and give back resources, all of a request or nothing of it.

Rows are touched in one order everywhere: consumers, then providers, both sorted, and inventories only of providers
whose row was touched before. So claims that meet wait for each other, but never in a circle.
"""

from collections.abc import Sequence

from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error
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
        moves = await begin(tx, claims, now)
        for provider in providers_of(moves):
            await touch(tx, provider, moves, now)
        await carry_out(tx, claims, moves)

    await placement.database.transact(work)


async def release(placement: Placement, consumer: str) -> None:
    """Give back all that a consumer holds. Raises: NoAllocations (404)."""
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        if not await allocations.drop_consumer(tx, consumer):
            raise NoAllocations(uuid=consumer)
        moves = plan_moves([(await allocations.drop_held(tx, consumer), {})])
        for provider in providers_of(moves):
            await touch(tx, provider, moves, now)
        await carry_out(tx, (), moves)

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


async def begin(tx: Transaction, claims: Sequence[Claim], now: int) -> list[Move]:
    """Bring consumers to their next generation, forget what they held, and return what that means for inventories.

    The caller then touches every provider that is named, in order, and calls `carry_out`.
    Raises: ConsumerGenerationConflict (409).
    """
    changes = []
    for each in sorted(claims, key=lambda each: each.consumer):
        changes.append((await _begin(tx, each, now), each.amounts))
    return plan_moves(changes)


def providers_of(moves: Sequence[Move]) -> list[str]:
    """The providers that moves concern, in the order in which they are touched."""
    return sorted({move.provider for move in moves})


async def touch(tx: Transaction, provider: str, moves: Sequence[Move], now: int) -> None:
    """Hold a provider's row; its generation advances where something is asked of it.

    Raises: NoSuchProvider (400).
    """
    if not any(move.most for move in moves if move.provider == provider):
        await allocations.touch_provider(tx, provider, now)
    elif not await allocations.bump_provider(tx, provider, now):
        raise NoSuchProvider(uuid=provider)


async def carry_out(tx: Transaction, claims: Sequence[Claim], moves: Sequence[Move]) -> None:
    """Take and give back, and write what the consumers hold from now on.

    Raises: CapacityExceeded, UnitsViolated, InventoryMissing (409), NoSuchResourceClass (400).
    """
    for move in moves:
        if not await allocations.move(tx, move):
            raise await _refusal(tx, move)
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


async def _refusal(tx: Transaction, move: Move) -> Error:
    """Why the database refused a move. Raises: NoSuchResourceClass (400)."""
    inventory = await inventories.find(tx, move.provider, move.resource_class)
    facts = {"name": move.resource_class, "uuid": move.provider}
    if inventory is None:
        await resource_classes.check(tx, [move.resource_class])
        return InventoryMissing(**facts)
    fits = inventory.min_unit <= move.least and move.most <= inventory.max_unit
    if move.most and not (fits and move.divisor % inventory.step_size == 0):
        return UnitsViolated(**facts)
    return CapacityExceeded(**facts)
