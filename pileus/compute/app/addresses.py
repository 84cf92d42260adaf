"""Compute's copy of servers' addresses: taken over when the network service has news, and by looking now and then."""

import logging
from collections.abc import Mapping, Sequence

import msgspec

from pileus.compute.domain.server import Address, Server, with_addresses
from pileus.compute.flows.saving import Change, save_server
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import servers
from pileus.foundation.errors import ConcurrentChange, Error

log = logging.getLogger("pileus.compute")

PAUSE_S = 60.0
AT_ONCE = 100  # servers asked for in one request
TRIES = 5


async def refresh(compute: Compute, server_ids: Sequence[str]) -> int:
    """Give these servers the addresses that their ports have now; returns how many had others before."""
    found = await compute.networks.addresses_of(server_ids, compute.own_authority())
    return sum([await _take_over(compute, server_id, addresses) for server_id, addresses in found.items()])


async def _take_over(compute: Compute, server_id: str, addresses: Mapping[str, tuple[Address, ...]]) -> bool:
    """The document changes, the server does not: its `updated_at` stays. Raises: ConcurrentChange (409)."""
    was_changed = False

    def change(server: Server) -> Server:
        nonlocal was_changed
        after = with_addresses(server, addresses)
        was_changed = after is not server
        return after

    saved = await _saved(compute, server_id, change)
    if was_changed and saved is not None and saved.host is not None:
        interfaces = msgspec.to_builtins(saved.interfaces)
        compute.bus.cast(host_topic(saved.host), "interfaces", {"server_id": server_id, "interfaces": interfaces})
    return was_changed


async def _saved(compute: Compute, server_id: str, change: Change) -> Server | None:
    for _ in range(TRIES - 1):
        try:
            return await save_server(compute, server_id, change)
        except ConcurrentChange:
            continue
    return await save_server(compute, server_id, change)


async def look(compute: Compute) -> int:
    """One pass over all servers; returns how many had missed news."""
    changed, after = 0, ""
    while ids := await servers.ids_after(compute.database, after, AT_ONCE):
        changed += await refresh(compute, ids)
        after = ids[-1]
    return changed


async def keep_addresses(compute: Compute) -> None:
    """Look for ever."""
    while True:
        await compute.runtime.sleep(PAUSE_S)
        try:
            await look(compute)
        except Error as error:  # the next pass is the retry
            log.warning("addresses of servers: %s", error)
