"""Finding providers."""

from pileus.placement.domain.provider import Provider
from pileus.placement.service import Placement
from pileus.placement.store import provider_lists, resource_classes, traits
from pileus.placement.store.provider_lists import ProviderQuery

__all__ = ["ProviderQuery", "find"]


async def find(placement: Placement, query: ProviderQuery) -> list[Provider]:
    """The providers that fit. Raises: NoSuchTraits, NoSuchResourceClass (400) for names that do not exist."""
    await traits.check(placement.database, query.required.names)
    await resource_classes.check(placement.database, query.resources)
    return await provider_lists.find(placement.database, query)
