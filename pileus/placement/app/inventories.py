"""Inventories: what providers have, changed only by who knows the provider's generation."""

from collections.abc import Mapping, Sequence

from pileus.foundation.database import Transaction
from pileus.placement.domain.errors import (
    BadInventory,
    InventoryExists,
    InventoryInUse,
    InventoryNotFound,
    ProviderGenerationConflict,
    ProviderNotFound,
)
from pileus.placement.domain.inventory import Inventory, complaint
from pileus.placement.service import Placement
from pileus.placement.store import inventories, providers, resource_classes


async def of_provider(placement: Placement, uuid: str) -> tuple[int, Mapping[str, Inventory]]:
    """A provider's generation and inventories. Raises: ProviderNotFound (404)."""
    provider = await providers.find(placement.database, uuid)
    if provider is None:
        raise ProviderNotFound(uuid=uuid)
    return provider.generation, await inventories.of_provider(placement.database, uuid)


async def get(placement: Placement, uuid: str, resource_class: str) -> tuple[int, Inventory]:
    """A provider's generation and its inventory of one class. Raises: ProviderNotFound, InventoryNotFound (404)."""
    generation, found = await of_provider(placement, uuid)
    if resource_class not in found:
        raise InventoryNotFound(uuid=uuid, name=resource_class)
    return generation, found[resource_class]


async def replace_all(
    placement: Placement, uuid: str, generation: int, wanted: Sequence[Inventory], *, may_reserve_all: bool
) -> int:
    """Let a provider have exactly these inventories and return its new generation.

    Raises: ProviderNotFound (404), ProviderGenerationConflict, InventoryInUse (409), BadInventory,
    NoSuchResourceClass (400).
    """
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        await advance(tx, uuid, generation, now)
        await check(tx, uuid, wanted, may_reserve_all=may_reserve_all)
        await put_all(tx, uuid, wanted, now)

    await placement.database.transact(work)
    return generation + 1


async def add(
    placement: Placement, uuid: str, generation: int | None, wanted: Inventory, *, may_reserve_all: bool
) -> int:
    """Give a provider an inventory of a class that it has none of; without a generation, at whichever it is.

    Raises: as `replace_all`, and InventoryExists (409).
    """
    now = placement.runtime.now()

    async def work(tx: Transaction) -> int:
        at = generation if generation is not None else await _generation(tx, uuid)
        await advance(tx, uuid, at, now)
        await check(tx, uuid, [wanted], may_reserve_all=may_reserve_all)
        if await inventories.find(tx, uuid, wanted.resource_class) is not None:
            raise InventoryExists(uuid=uuid, name=wanted.resource_class)
        await inventories.write(tx, uuid, wanted, now)
        return at + 1

    return await placement.database.transact(work)


async def change(placement: Placement, uuid: str, generation: int, wanted: Inventory, *, may_reserve_all: bool) -> int:
    """Change the inventory that a provider has of one class; raises as `replace_all`, and BadInventory without one."""
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        await advance(tx, uuid, generation, now)
        await check(tx, uuid, [wanted], may_reserve_all=may_reserve_all)
        if await inventories.find(tx, uuid, wanted.resource_class) is None:
            raise BadInventory(uuid=uuid, name=wanted.resource_class, complaint="no inventory record of it to update.")
        await inventories.write(tx, uuid, wanted, now)

    await placement.database.transact(work)
    return generation + 1


async def delete(placement: Placement, uuid: str, resource_class: str) -> None:
    """Take one inventory away. Raises: ProviderNotFound, InventoryNotFound (404), InventoryInUse (409)."""
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        await advance(tx, uuid, await _generation(tx, uuid), now)
        if await inventories.find(tx, uuid, resource_class) is None:
            raise InventoryNotFound(uuid=uuid, name=resource_class)
        await _drop(tx, uuid, [resource_class])

    await placement.database.transact(work)


async def delete_all(placement: Placement, uuid: str) -> None:
    """Take all inventories away. Raises: ProviderNotFound (404), InventoryInUse (409)."""
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        await advance(tx, uuid, await _generation(tx, uuid), now)
        await _drop(tx, uuid, list(await inventories.of_provider(tx, uuid)))

    await placement.database.transact(work)


async def check(tx: Transaction, uuid: str, wanted: Sequence[Inventory], *, may_reserve_all: bool) -> None:
    """Refuse inventories of unknown classes, and those that say nothing sensible.

    Raises: NoSuchResourceClass, BadInventory (400).
    """
    await resource_classes.rely_on(tx, [each.resource_class for each in wanted])
    for each in wanted:
        wrong = complaint(each, may_reserve_all=may_reserve_all)
        if wrong:
            raise BadInventory(uuid=uuid, name=each.resource_class, complaint=wrong)


async def advance(tx: Transaction, uuid: str, generation: int, now: int) -> None:
    """Move a provider on from the generation that the caller knows.

    Raises: ProviderNotFound (404), ProviderGenerationConflict (409).
    """
    if not await providers.advance(tx, uuid, generation, now):
        await _generation(tx, uuid)
        raise ProviderGenerationConflict(uuid=uuid, expected=generation)


async def put_all(tx: Transaction, uuid: str, wanted: Sequence[Inventory], now: int) -> None:
    """Write these inventories of a provider and drop all others. Raises: InventoryInUse (409)."""
    before = await inventories.of_provider(tx, uuid)
    names = {each.resource_class for each in wanted}
    await _drop(tx, uuid, [name for name in before if name not in names])
    for each in sorted(wanted, key=lambda each: each.resource_class):
        await inventories.write(tx, uuid, each, now)


async def _drop(tx: Transaction, uuid: str, classes: Sequence[str]) -> None:
    if classes:
        held = await inventories.drop(tx, uuid, classes)
        if held:
            raise InventoryInUse(uuid=uuid, names=", ".join(held))


async def _generation(tx: Transaction, uuid: str) -> int:
    found = await providers.find(tx, uuid)
    if found is None:
        raise ProviderNotFound(uuid=uuid)
    return found.generation
