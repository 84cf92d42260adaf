"""Which aggregates a provider is in."""

from collections.abc import Sequence

from pileus.foundation.database import Transaction
from pileus.placement.app.inventories import advance
from pileus.placement.app.providers import get as get_provider
from pileus.placement.domain.errors import ProviderNotFound
from pileus.placement.service import Placement
from pileus.placement.store import aggregates, providers


async def of_provider(placement: Placement, uuid: str) -> tuple[int, Sequence[str]]:
    """A provider's generation and aggregates. Raises: ProviderNotFound (404)."""
    provider = await get_provider(placement, uuid)
    return provider.generation, await aggregates.of_provider(placement.database, uuid)


async def replace_all(placement: Placement, uuid: str, generation: int | None, wanted: Sequence[str]) -> int:
    """Let a provider be in exactly these aggregates and return its generation afterwards.

    Without a generation (up to 1.18) none is compared, and none advanced.
    Raises: ProviderNotFound (404), ProviderGenerationConflict (409).
    """
    now = placement.runtime.now()

    async def work(tx: Transaction) -> int:
        if generation is not None:
            await advance(tx, uuid, generation, now)
            at = generation + 1
        else:
            held = await providers.hold(tx, uuid, now)
            if held is None:
                raise ProviderNotFound(uuid=uuid)
            at = held
        await aggregates.put_all(tx, uuid, wanted)
        return at

    return await placement.database.transact(work)
