"""Compute's copy of servers' addresses: taken over when the network service has news, and by looking now and then."""

import logging
from collections.abc import Mapping, Sequence

import msgspec

from pileus.compute.domain.server import Address, Server, with_addresses
from pileus.compute.flows.change_interface import CHANGES_DEVICES, new_detach
from pileus.compute.flows.saving import save_server
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import servers
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error
from pileus.foundation.flow import FlowRecord

log = logging.getLogger("pileus.compute")

PAUSE_S = 60.0
AT_ONCE = 100  # servers asked for in one request


async def refresh(compute: Compute, server_ids: Sequence[str]) -> int:
    """Give these servers the addresses that their ports have now; returns how many had others before.

    An interface whose port is gone is detached: somebody deleted the port at the network service.
    """
    before = [await servers.find(compute.database, server_id) for server_id in server_ids]
    found = await compute.networks.addresses_of(server_ids, compute.own_authority())
    for server in before:
        if server is not None and server.action is None:
            held = found.get(server.id, {})
            await _detach_lost(compute, server, [i.port_id for i in server.interfaces if i.port_id not in held])
    return sum([await _take_over(compute, server_id, addresses) for server_id, addresses in found.items()])


async def _take_over(compute: Compute, server_id: str, addresses: Mapping[str, tuple[Address, ...]]) -> bool:
    """The document changes, the server does not: its `updated_at` stays. Raises: ConcurrentChange (409)."""
    was_changed = False

    def change(server: Server) -> Server:
        nonlocal was_changed
        after = with_addresses(server, addresses)
        was_changed = after is not server
        return after

    saved = await save_server(compute, server_id, change)
    if was_changed and saved is not None and saved.host is not None:
        interfaces = msgspec.to_builtins(saved.interfaces)
        compute.bus.cast(host_topic(saved.host), "interfaces", {"server_id": server_id, "interfaces": interfaces})
    return was_changed


async def _detach_lost(compute: Compute, server: Server, port_ids: Sequence[str]) -> None:
    """Begin to detach, unless the server has changed since it was looked at: then the next look tells."""

    async def work(tx: Transaction) -> list[FlowRecord]:
        await servers.hold(tx, server.id)
        current = await servers.find(tx, server.id)
        if current is None or current.generation != server.generation:
            return []
        if any(name in CHANGES_DEVICES for _, name in await compute.journal.open_of(tx, server.id)):
            return []
        context = Context(f"req-{compute.runtime.uuid()}")
        made = [new_detach(compute, context, server, port_id, is_ours=True) for port_id in port_ids]
        return [await compute.journal.insert(tx, new, compute.runner.owner) for new in made]

    records = await compute.database.transact(work) if port_ids else []
    if records:
        log.warning("server %s lost its ports %s: detaching them", server.id, ", ".join(port_ids))
    for record in records:
        compute.runner.run(record)


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
