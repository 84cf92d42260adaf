"""What can be done to a server: each begins in one transaction with the flow that does it."""

from typing import Any

import msgspec

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action, begin, check
from pileus.compute.flows.act_on_server import new_act
from pileus.compute.flows.delete_server import new_delete
from pileus.compute.flows.saving import record_action
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import servers
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import FlowRecord


async def act(
    compute: Compute,
    context: Context,
    server: Server,
    action: Action,
    args: dict[str, Any] | None = None,
    *,
    secret: dict[str, str] | None = None,
    may_override_lock: bool = False,
) -> Server:
    """Begin `action`; its flow does the rest. `secret` (a password) is sealed and reaches only the host.

    Raises: Locked, NotReady, WrongState, ServerBusy, NotLaunched (409).
    """
    sealed = compute.sealer.seal(msgspec.json.encode(secret), "act") if secret else None

    async def work(tx: Transaction) -> tuple[Server, FlowRecord]:
        before = await servers.get(tx, server.id)
        after = begin(before, action, compute.runtime.now(), may_override_lock=may_override_lock)
        saved = await servers.save(tx, before, after, compute.render)
        new = new_act(compute, context, saved, action, args or {}, sealed)
        record = await compute.journal.insert(tx, new, compute.runner.owner)
        await record_action(tx, compute, context, saved, action, record.id)
        return saved, record

    saved, record = await compute.database.transact(work)
    compute.runner.run(record)
    return saved


async def delete(
    compute: Compute, context: Context, server: Server, *, force: bool = False, may_override_lock: bool = False
) -> None:
    """Begin to delete, whatever else is in flight: that is cancelled in the same transaction.

    Raises: Locked (409).
    """
    action = Action.FORCE_DELETE if force else Action.DELETE

    async def work(tx: Transaction) -> tuple[FlowRecord | None, list[str]]:
        before = await servers.get(tx, server.id)
        after = begin(before, action, compute.runtime.now(), may_override_lock=may_override_lock)
        open_ids = await compute.journal.open_of(tx, server.id)
        if after is before and any(name == "delete-server" for _, name in open_ids):
            return None, []
        if after is not before:
            await servers.save(tx, before, after, compute.render)
        for flow_id, _ in open_ids:
            await compute.journal.cancel(tx, flow_id)
        new = new_delete(compute, context, server, is_forced=force)
        record = await compute.journal.insert(tx, new, compute.runner.owner)
        await record_action(tx, compute, context, after, action, record.id)
        return record, [flow_id for flow_id, _ in open_ids]

    record, cancelled = await compute.database.transact(work)
    for flow_id in cancelled:
        compute.runner.cancel(flow_id)
    if record is not None:
        compute.runner.run(record)


async def console_output(compute: Compute, context: Context, server: Server, lines: int | None) -> str:
    """What the guest wrote to its serial console: the last `lines`, or all that is kept.

    Raises: NotReady (409) without a host.
    """
    check(server, Action.GET_CONSOLE_OUTPUT)
    assert server.host is not None
    raw: bytes = await compute.bus.call(
        host_topic(server.host), "console_output", {"server_id": server.id, "lines": lines},
        request_id=context.request_id,
    )  # fmt: skip
    return raw.decode("utf-8", "replace")
