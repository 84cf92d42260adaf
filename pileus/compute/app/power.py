"""Servers follow what their guests do by themselves: a look at the guests of a host, now and then or when nudged.

The rows are read before the guests are looked at, and saved only if they are still the same: a look that is late
changes nothing.
"""

import logging
from collections.abc import Iterable

from pileus.compute.domain.power import follow_power
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action, PowerState
from pileus.compute.flows.act_on_server import new_act
from pileus.compute.flows.saving import record_action
from pileus.compute.flows.watching import is_down
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import servers
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error
from pileus.foundation.flow import FlowRecord

log = logging.getLogger("pileus.compute")

PAUSE_S = 60.0


async def keep_looking(compute: Compute) -> None:
    """Look at every host, for ever."""
    while True:
        await compute.runtime.sleep(PAUSE_S)
        for host in await servers.hosts(compute.database):
            try:
                await look(compute, host)
            except Error as error:  # the next look is the retry
                log.warning("guests of %s: %s", host, error)


async def look(compute: Compute, host: str) -> None:
    """Let the servers of a host that lives follow their guests. Raises: Unavailable."""
    if not await is_down(compute, host):
        await _look_at(compute, host, await servers.on_host(compute.database, host))


async def look_at_one(compute: Compute, host: str, server_id: str, hint: PowerState) -> None:
    """Look at one guest, unless the server shows what was told already, or something is in flight."""
    server = await servers.find(compute.database, server_id)
    if server is not None and server.host == host and follow_power(server, hint, 0) is not server:
        await _look_at(compute, host, [server])


async def _look_at(compute: Compute, host: str, before: Iterable[Server]) -> None:
    idle = {server.id: server for server in before if server.action is None}
    if not idle:
        return
    found = await compute.bus.call(host_topic(host), "powers", {"ids": list(idle)})
    for server_id, power in found.items():
        server, seen = idle[server_id], PowerState(power)
        if follow_power(server, seen, 0) is not server:
            await _follow(compute, server, seen)


async def _follow(compute: Compute, server: Server, seen: PowerState) -> None:
    async def work(tx: Transaction) -> FlowRecord | None:
        current = await servers.find(tx, server.id)
        if current is None or current.generation != server.generation:
            return None
        after = await servers.save(
            tx, current, follow_power(current, seen, compute.runtime.now()), compute.render
        )  # fmt: skip
        if after.action is not Action.STOP:
            return None
        log.warning("server %s is %s by itself: stopping it", server.id, seen.name.lower())
        context = Context(f"req-{compute.runtime.uuid()}")
        record = await compute.journal.insert(
            tx, new_act(compute, context, after, Action.STOP, {}, None), compute.runner.owner
        )
        await record_action(tx, compute, context, after, Action.STOP, record.id)
        return record

    record = await compute.database.transact(work)
    if record is not None:
        compute.runner.run(record)
