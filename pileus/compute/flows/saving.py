"""How flows change a server: read, decide, compare-and-set; again when somebody was faster."""

from collections.abc import Callable
from typing import NamedTuple

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_actions import EVENTS, INSTANCE_ACTIONS
from pileus.compute.domain.server_states import Action
from pileus.compute.service import Compute
from pileus.compute.store import actions, servers
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction

Change = Callable[[Server], Server]


class Outcome(NamedTuple):
    """How a piece of an action's work ended, for the server's instance actions; `error` None means well."""

    request_id: str
    action: Action
    error: str | None = None


async def save_server(
    compute: Compute, server_id: str, change: Change, outcome: Outcome | None = None
) -> Server | None:
    """Apply `change` to the row as it is now; None when the server is gone. An unchanged server is not written."""

    async def work(tx: Transaction) -> Server | None:
        return await save_in(tx, compute, server_id, change, outcome)

    return await compute.database.transact(work)


async def save_in(
    tx: Transaction, compute: Compute, server_id: str, change: Change, outcome: Outcome | None = None
) -> Server | None:
    """`save_server` inside the caller's transaction."""
    before = await servers.find(tx, server_id)
    if before is None:
        return None
    after = change(before)
    if outcome is not None:
        await actions.end_event(
            tx, server_id, outcome.request_id, EVENTS[outcome.action], now=compute.runtime.now(), host=before.host,
            error=outcome.error,
        )  # fmt: skip
    return before if after is before else await servers.save(tx, before, after, compute.render)


async def record_action(
    tx: Transaction, compute: Compute, context: Context, server: Server, action: Action, flow_id: str
) -> None:
    """Write the action into the server's instance actions, and that its work began."""
    now = compute.runtime.now()
    await actions.record(tx, server, context, INSTANCE_ACTIONS[action], flow_id, now=now)
    await actions.begin_event(tx, server.id, context.request_id, EVENTS[action], host=server.host, now=now)
