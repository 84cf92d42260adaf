"""What other services tell of servers: news of the network are taken over, everything else is refused by name."""

from collections.abc import Sequence

from pileus.compute.app import addresses
from pileus.compute.service import Compute
from pileus.compute.store import servers

DONE, NOT_SUPPORTED, NO_SERVER, NO_HOST = 200, 400, 404, 422
OF_NETWORK = frozenset({"network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted"})


async def take(compute: Compute, events: Sequence[tuple[str, str]]) -> list[int]:
    """Act on each (name, server id); returns a code for each. Repeated news change nothing."""
    codes = [await _judged(compute, name, server_id) for name, server_id in events]
    told = [server_id for (_, server_id), code in zip(events, codes, strict=True) if code == DONE]
    if told:
        await addresses.refresh(compute, list(dict.fromkeys(told)))
    return codes


async def _judged(compute: Compute, name: str, server_id: str) -> int:
    server = await servers.find(compute.database, server_id)
    if server is None:
        return NO_SERVER
    if server.host is None:
        return NO_HOST
    return DONE if name in OF_NETWORK else NOT_SUPPORTED
