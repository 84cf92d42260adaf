"""One action on one server that has a host: the host does it, then the server's state says so.

Which actions there are, when they may begin and where they end is `domain/server_states.py`; what a host does for each
is `host/actions.py`. This flow only carries the request there, and the answer back.
"""

from typing import Any

import msgspec

from pileus.compute.domain.errors import HostUnavailable
from pileus.compute.domain.server import Fault, Server, changed
from pileus.compute.domain.server_states import Action, PowerState, fail, finish
from pileus.compute.flows.change_interface import CHANGES_DEVICES
from pileus.compute.flows.saving import Outcome, save_in, save_server
from pileus.compute.flows.watching import is_down, wait_for_turn
from pileus.compute.service import Compute
from pileus.compute.store import servers
from pileus.foundation import errors
from pileus.foundation.bus import BusTimeout
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Entry, Flow, FlowRecord, NewFlow, Step, StepContext
from pileus.foundation.flow.model import FAILED

NAME = "act-on-server"
PATIENCE_S = 600.0


class ActParams(msgspec.Struct):
    server_id: str
    action: str
    args: dict[str, Any] = {}


def new_act(
    compute: Compute, context: Context, server: Server, action: Action, args: dict[str, Any], secret: bytes | None
) -> NewFlow:
    return NewFlow(
        id=compute.runtime.uuid(), name=NAME, version=1, subject=server.id,
        params={"server_id": server.id, "action": action.value, "args": args}, request_id=context.request_id,
        secret=secret,
    )  # fmt: skip


async def act(step: StepContext[Compute], params: ActParams) -> dict[str, Any]:
    """Have the host do it. That may take as long as the step may; meanwhile it is asked again and again."""
    compute = step.services
    if params.action == Action.REBUILD:  # what it builds is what the row says once those are done
        await wait_for_turn(step, CHANGES_DEVICES)
    server = await servers.find(compute.database, params.server_id)
    if server is None or server.host is None:
        raise HostUnavailable(host="")
    secrets = compute.sealer.open(step.flow.secret, "act").decode() if step.flow.secret else ""
    args = {
        "server_id": server.id, "epoch": server.epoch, "action": params.action, "args": params.args,
        "secret": secrets, "flow_id": step.flow.id,
    }  # fmt: skip
    # The question may be lost, or its answer. However often it is asked, the host does it once for this flow.
    while True:
        if await is_down(compute, server.host):
            raise errors.Conflict(f"The host of server {server.id} is down.")
        try:
            done: dict[str, Any] = await compute.tell_host(
                server.host, "act", args, request_id=step.request_id, record=step.trace
            )
            return done
        except BusTimeout:
            if step.cancelled.is_set():
                raise


async def report_done(step: StepContext[Compute], params: ActParams) -> None:
    compute, action = step.services, Action(params.action)
    done = step.outputs["host"]

    def finished(server: Server) -> Server:
        if server.action is not action:
            return server
        now = compute.runtime.now()
        power = done.get("power_state")
        server = finish(server, action, now, power_state=PowerState(power) if power is not None else None)
        return changed(server, now, **done["facts"]) if done.get("facts") else server

    follow_up = stop_again(step.flow, params.server_id)

    async def work(tx: Transaction) -> FlowRecord | None:
        saved = await save_in(tx, compute, params.server_id, finished, Outcome(step.request_id, action))
        if action is not Action.STOP and saved is not None and saved.action is Action.STOP:
            return await compute.journal.ensure(tx, follow_up, compute.runner.owner)
        return None

    record = await compute.database.transact(work)
    if record is not None:
        compute.runner.run(record)


def stop_again(flow: FlowRecord, server_id: str) -> NewFlow:
    """What was stopped before it was built anew is stopped again: the flow that does it, in the same commit."""
    return NewFlow(
        id=f"{flow.id}.stop", name=NAME, version=1, subject=server_id, request_id=flow.request_id,
        params={"server_id": server_id, "action": Action.STOP.value, "args": {}},
    )  # fmt: skip


async def report_failure(step: StepContext[Compute], params: ActParams, error: errors.Error) -> None:
    compute, action = step.services, Action(params.action)
    if action is Action.CREATE_IMAGE:  # it was promised without bytes, and will have none
        await compute.images.delete(params.args["image_id"], compute.own_authority())

    def failed(server: Server) -> Server:
        if server.action is not action:
            return server
        now = compute.runtime.now()
        return fail(server, action, Fault(error.text, now, details=error.code), now)

    await save_server(compute, params.server_id, failed, Outcome(step.request_id, action, error.text))


async def call_off(compute: Compute, server_id: str, record: FlowRecord, action: Action, error: errors.Error) -> None:
    """Take a promise back whose flow has not run: the server is as it was, its action says why it failed."""
    entry = Entry(record.id, record.epoch, record.attempt, [], FAILED, errors.to_wire(error))

    def failed(server: Server) -> Server:
        if server.action is not action:
            return server
        now = compute.runtime.now()
        return fail(server, action, Fault(error.text, now, details=error.code), now)

    async def work(tx: Transaction) -> None:
        await compute.journal.write_in(tx, entry)
        await save_in(tx, compute, server_id, failed, Outcome(record.request_id, action, error.text))

    await compute.database.transact(work)
    compute.journal.announce(entry)


ACT_ON_SERVER = Flow(
    NAME,
    version=1,
    params=ActParams,
    steps=(Step("host", act, timeout_s=PATIENCE_S), Step("done", report_done)),
    on_failure=report_failure,
)
