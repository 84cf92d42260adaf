"""Reshaping: what some providers have and who holds it, changed in one step.

A resource that is held moves to another provider this way: nobody else can take it on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pileus.foundation.database import Transaction
from pileus.placement.app.allocations import settle
from pileus.placement.app.inventories import advance, check, put_all
from pileus.placement.domain.claim import Claim
from pileus.placement.domain.errors import BadReshape, ProviderNotFound
from pileus.placement.domain.inventory import Inventory
from pileus.placement.service import Placement
from pileus.placement.store import inventories, resource_classes


@dataclass(frozen=True, slots=True)
class Shape:
    """What a provider, known at a generation, shall have."""

    provider: str
    generation: int
    inventories: Sequence[Inventory]


async def reshape(placement: Placement, shapes: Sequence[Shape], claims: Sequence[Claim]) -> None:
    """Let providers have these inventories and consumers hold these allocations.

    First every inventory that is wanted is there beside the old ones, then consumers move, then the old ones go.
    Raises: BadReshape, BadInventory, NoSuchResourceClass (400), ProviderGenerationConflict, InventoryInUse (409), and
    what a claim raises.
    """
    now = placement.runtime.now()
    for shape in shapes:
        check(shape.provider, shape.inventories, may_reserve_all=True)
    ordered = sorted(shapes, key=lambda shape: shape.provider)

    async def work(tx: Transaction) -> None:
        for shape in ordered:
            await resource_classes.rely_on(tx, [each.resource_class for each in shape.inventories])
            await _advance(tx, shape, now)
            for each in shape.inventories:
                await inventories.write(tx, shape.provider, each, now)
        await settle(tx, claims, now)
        for shape in ordered:
            await put_all(tx, shape.provider, shape.inventories, now)

    await placement.database.transact(work)


async def _advance(tx: Transaction, shape: Shape, now: int) -> None:
    try:
        await advance(tx, shape.provider, shape.generation, now)
    except ProviderNotFound as missing:
        raise BadReshape(complaint=f"Resource provider {shape.provider} in inventories does not exist.") from missing
