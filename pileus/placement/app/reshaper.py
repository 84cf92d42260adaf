"""Reshaping: what some providers have and who holds it, changed in one step.

A resource that is held moves to another provider this way: nobody else can take it on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pileus.foundation.database import Transaction
from pileus.placement.app.allocations import begin, carry_out, providers_of, touch
from pileus.placement.app.inventories import advance, check, put_all
from pileus.placement.domain.claim import Claim
from pileus.placement.domain.errors import NoSuchReshapedProvider, ProviderNotFound
from pileus.placement.domain.inventory import Inventory
from pileus.placement.service import Placement
from pileus.placement.store import inventories


@dataclass(frozen=True, slots=True)
class Shape:
    """What a provider, known at a generation, shall have."""

    provider: str
    generation: int
    inventories: Sequence[Inventory]


async def reshape(placement: Placement, shapes: Sequence[Shape], claims: Sequence[Claim]) -> None:
    """Let providers have these inventories and consumers hold these allocations.

    First every inventory that is wanted is there beside the old ones, then consumers move, then the old ones go.
    Raises: NoSuchReshapedProvider, BadInventory, NoSuchResourceClass (400), ProviderGenerationConflict,
    InventoryInUse (409), and what a claim raises.
    """
    now = placement.runtime.now()
    wanted = {shape.provider: shape for shape in shapes}

    async def work(tx: Transaction) -> None:
        moves = await begin(tx, claims, now)
        for provider in sorted(wanted.keys() | set(providers_of(moves))):
            if provider in wanted:
                await _shape(tx, wanted[provider], now)
            else:
                await touch(tx, provider, moves, now)
        await carry_out(tx, claims, moves)
        for shape in wanted.values():
            await put_all(tx, shape.provider, shape.inventories, now)

    await placement.database.transact(work)


async def _shape(tx: Transaction, shape: Shape, now: int) -> None:
    """Advance a provider, and let it have what it shall have beside what it has."""
    uuid = shape.provider
    try:
        await advance(tx, uuid, shape.generation, now)
    except ProviderNotFound as missing:
        raise NoSuchReshapedProvider(uuid=uuid) from missing
    await check(tx, uuid, shape.inventories, may_reserve_all=True)
    for each in shape.inventories:
        await inventories.write(tx, uuid, each, now)
