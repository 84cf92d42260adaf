"""What is held: of a provider, or by a project."""

from pileus.placement.app.providers import get as get_provider
from pileus.placement.service import Placement
from pileus.placement.store import usages


async def of_provider(placement: Placement, uuid: str) -> tuple[int, dict[str, int]]:
    """A provider's generation, and how much of each class is held. Raises: ProviderNotFound (404)."""
    provider = await get_provider(placement, uuid)
    return provider.generation, await usages.of_provider(placement.database, uuid)


async def of_owner(
    placement: Placement, project_id: str, user_id: str | None
) -> tuple[list[tuple[str | None, str, int]], dict[str | None, int]]:
    """What a project's consumers hold, as (type, class, amount), and how many consumers there are of each type."""
    return await usages.of_owner(placement.database, project_id, user_id)
