"""Traits: which there are, and which a provider has."""

from collections.abc import Sequence

from pileus.foundation.database import Transaction
from pileus.placement.app.inventories import advance
from pileus.placement.app.providers import get as get_provider
from pileus.placement.domain.errors import ProviderNotFound, StandardTrait, TraitInUse, TraitNotFound
from pileus.placement.domain.provider import Provider
from pileus.placement.domain.trait import is_standard
from pileus.placement.service import Placement
from pileus.placement.store import providers, traits


async def names(placement: Placement, *, only: Sequence[str] | None, prefix: str, used: bool | None) -> list[str]:
    """The names of traits: only those given, beginning so, that some (or no) provider has."""
    found = await traits.every(placement.database)
    if only is not None:
        found &= set(only)
    if used is not None:
        in_use = await traits.used(placement.database)
        found = found & in_use if used else found - in_use
    return sorted(name for name in found if name.startswith(prefix))


async def get_moment(placement: Placement, name: str) -> int:
    """When a trait came to be (UTC microseconds; a standard one was always there). Raises: TraitNotFound (404)."""
    if is_standard(name):
        return 0
    moment = await traits.find_moment(placement.database, name)
    if moment is None:
        raise TraitNotFound(name=name)
    return moment


async def ensure(placement: Placement, name: str) -> bool:
    """Have a custom trait; True when it is new."""
    now = placement.runtime.now()

    async def work(tx: Transaction) -> bool:
        return await traits.add(tx, name, now)

    return await placement.database.transact(work)


async def delete(placement: Placement, name: str) -> None:
    """Raises: StandardTrait (400), TraitNotFound (404), TraitInUse (409)."""
    if is_standard(name):
        raise StandardTrait(name=name)

    async def work(tx: Transaction) -> None:
        if not await traits.delete(tx, name):
            raise TraitNotFound(name=name)
        if await traits.is_in_use(tx, name):
            raise TraitInUse(name=name)

    await placement.database.transact(work)


async def of_provider(placement: Placement, uuid: str) -> tuple[Provider, Sequence[str]]:
    """A provider and its traits. Raises: ProviderNotFound (404)."""
    return await get_provider(placement, uuid), await traits.of_provider(placement.database, uuid)


async def replace_all(placement: Placement, uuid: str, generation: int, wanted: Sequence[str]) -> int:
    """Let a provider have exactly these traits and return its new generation.

    Raises: ProviderNotFound (404), NoSuchTraits (400), ProviderGenerationConflict (409).
    """
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        await advance(tx, uuid, generation, now)
        await traits.rely_on(tx, wanted)
        await traits.put_all(tx, uuid, wanted)

    await placement.database.transact(work)
    return generation + 1


async def delete_all(placement: Placement, uuid: str) -> None:
    """Take all traits from a provider. Raises: ProviderNotFound (404), ProviderGenerationConflict (409)."""
    now = placement.runtime.now()

    async def work(tx: Transaction) -> None:
        found = await providers.find(tx, uuid)
        if found is None:
            raise ProviderNotFound(uuid=uuid)
        await advance(tx, uuid, found.generation, now)
        await traits.put_all(tx, uuid, ())

    await placement.database.transact(work)
