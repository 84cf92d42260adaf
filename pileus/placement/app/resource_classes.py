"""Resource classes: the standard ones, and those that operators add."""

from pileus.foundation.database import Transaction
from pileus.placement.domain.errors import (
    ResourceClassExists,
    ResourceClassInUse,
    ResourceClassNotFound,
    StandardResourceClass,
)
from pileus.placement.domain.resource_class import STANDARD, is_standard
from pileus.placement.service import Placement
from pileus.placement.store import resource_classes


async def names(placement: Placement) -> list[str]:
    """All resource classes, the standard ones first."""
    return [*STANDARD, *(name for name, _ in await resource_classes.added(placement.database))]


async def get_moment(placement: Placement, name: str) -> int:
    """When a class came to be (UTC microseconds; a standard one was always there).

    Raises: ResourceClassNotFound (404).
    """
    if is_standard(name):
        return 0
    moment = await resource_classes.find_moment(placement.database, name)
    if moment is None:
        raise ResourceClassNotFound(name=name)
    return moment


async def ensure(placement: Placement, name: str) -> bool:
    """Have a custom resource class; True when it is new."""
    now = placement.runtime.now()

    async def work(tx: Transaction) -> bool:
        return await resource_classes.add(tx, name, now)

    return await placement.database.transact(work)


async def create(placement: Placement, name: str) -> None:
    """Raises: ResourceClassExists (409)."""
    if not await ensure(placement, name):
        raise ResourceClassExists(name=name)


async def rename(placement: Placement, name: str, wanted: str) -> None:
    """Give a custom class another name, as it could be done up to 1.6.

    Raises: StandardResourceClass (400), ResourceClassNotFound (404), ResourceClassExists (409).
    """
    if is_standard(name):
        raise StandardResourceClass(action="update", name=name)
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        if not await resource_classes.delete(tx, name):
            raise ResourceClassNotFound(name=name)
        if not await resource_classes.add(tx, wanted, now):
            raise ResourceClassExists(name=wanted)
        await resource_classes.rename_uses(tx, name, wanted)

    await placement.database.transact(work)


async def delete(placement: Placement, name: str) -> None:
    """Raises: StandardResourceClass (400), ResourceClassNotFound (404), ResourceClassInUse (409)."""
    if is_standard(name):
        raise StandardResourceClass(action="delete", name=name)

    async def work(tx: Transaction) -> None:
        if not await resource_classes.delete(tx, name):
            raise ResourceClassNotFound(name=name)
        if await resource_classes.is_in_use(tx, name):
            raise ResourceClassInUse(name=name)

    await placement.database.transact(work)
