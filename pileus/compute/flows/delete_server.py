"""A delete after its answer: everything the server has goes, whatever was in flight. It works from every state.

No step has an undo: a delete only ever goes forward, and each step accepts that there is nothing (left) to remove.
"""

import msgspec

from pileus.compute.domain.server import Fault, Server, changed
from pileus.compute.domain.server_actions import EVENTS
from pileus.compute.domain.server_states import REMOVES, Action, PowerState, fail, finish
from pileus.compute.flows.releasing import release_ports, release_volumes
from pileus.compute.flows.saving import Outcome, save_server
from pileus.compute.flows.watching import LOOK_AGAIN_S, is_down
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import actions, servers
from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Flow, NewFlow, Step, StepContext
from pileus.foundation.flow.model import ENDED

NAME = "delete-server"


class DeleteParams(msgspec.Struct):
    server_id: str
    project_id: str
    is_forced: bool = False


def new_delete(compute: Compute, context: Context, server: Server, *, is_forced: bool) -> NewFlow:
    return NewFlow(
        id=compute.runtime.uuid(), name=NAME, version=1, subject=server.id,
        params={"server_id": server.id, "project_id": server.project_id, "is_forced": is_forced},
        request_id=context.request_id,
    )  # fmt: skip


async def settle(step: StepContext[Compute], params: DeleteParams) -> None:
    """Wait until everything else about this server has ended; it was cancelled with the delete's own row."""
    compute = step.services
    while True:
        others = [
            flow for flow in await compute.journal.open_about(params.server_id)
            if flow.id != step.flow.id and flow.name != NAME
        ]  # fmt: skip
        if not others:
            return
        for flow in others:
            await _hurry(compute, flow.id, flow.home)
        server = await servers.find(compute.database, params.server_id)
        if server is not None and server.host is not None:
            compute.bus.cast(host_topic(server.host), "cut_short", {"server_id": server.id})
        ended = compute.endings.expect(others[0].id)
        try:
            if await compute.journal.state_of(others[0].id) in (*ENDED, None):
                continue
            async with compute.runtime.timeout(LOOK_AGAIN_S):
                await ended.wait()
        except TimeoutError:
            await _give_up_on(compute, others[0].id)
        finally:
            compute.endings.forget(others[0].id, ended)


async def _hurry(compute: Compute, flow_id: str, home: str) -> None:
    compute.cancel(flow_id)
    if home.startswith("host:"):
        compute.bus.cast(host_topic(home[5:]), "cancel", {"flow_id": flow_id})


async def _give_up_on(compute: Compute, flow_id: str) -> None:
    """Close a flow that nobody can finish: its host is dead, or it is stuck."""
    record = await compute.journal.get(flow_id)
    if record is None:
        return
    if record.state == "stuck" or (record.home.startswith("host:") and await is_down(compute, record.home[5:])):
        await compute.journal.close(record)


async def remove_guest(step: StepContext[Compute], params: DeleteParams) -> None:
    """Have the host remove the guest. A dead host does so when it comes back: the tombstone tells it."""
    compute = step.services
    server = await servers.find(compute.database, params.server_id)
    if server is None or server.host is None or await is_down(compute, server.host):
        return
    args = {"server_id": server.id, "epoch": server.epoch}
    await compute.tell_host(server.host, "remove", args, request_id=step.request_id)


async def give_volumes_back(step: StepContext[Compute], params: DeleteParams) -> None:
    server = await servers.find(step.services.database, params.server_id)
    if server is not None:
        await release_volumes(step.services, server)


async def give_ports_back(step: StepContext[Compute], params: DeleteParams) -> None:
    server = await servers.find(step.services.database, params.server_id)
    if server is not None:
        await release_ports(step.services, server)


async def release_claim(step: StepContext[Compute], params: DeleteParams) -> None:
    await step.services.placement.release(params.server_id)


async def bury(step: StepContext[Compute], params: DeleteParams) -> None:
    """Remove the row; history keeps what the API must still answer."""
    compute = step.services

    async def work(tx: Transaction) -> None:
        server = await servers.find(tx, params.server_id)
        if server is None:
            return
        action = server.action if server.action in REMOVES else Action.DELETE
        after = finish(server, action, compute.runtime.now())
        await servers.bury(tx, server, after, host=server.host)
        await actions.end_event(tx, server.id, step.request_id, EVENTS[action], now=compute.runtime.now())

    await compute.database.transact(work)


async def report_failure(step: StepContext[Compute], params: DeleteParams, error: errors.Error) -> None:
    """The server stays, in ERROR with the reason; deleting it again begins anew.

    Without its guest it is nowhere any more, and nothing but another delete may be done to it.
    """
    compute = step.services

    def failed(server: Server) -> Server:
        if server.action not in REMOVES:
            return server
        now = compute.runtime.now()
        server = fail(server, server.action, Fault(f"The server could not be deleted: {error.text}", now), now)
        if "guest" not in step.outputs:
            return server
        return changed(server, now, host=None, node=None, interfaces=(), power_state=PowerState.NOSTATE)

    await save_server(compute, params.server_id, failed, Outcome(step.request_id, Action.DELETE, error.text))


_PATIENT = (0.2, 1.0, 3.0, 10.0, 30.0)

DELETE_SERVER = Flow(
    NAME,
    version=1,
    params=DeleteParams,
    steps=(
        Step("settle", settle, timeout_s=3600.0, retry_after_s=_PATIENT),
        Step("guest", remove_guest, retry_after_s=_PATIENT),
        Step("volumes", give_volumes_back, retry_after_s=_PATIENT),
        Step("ports", give_ports_back, retry_after_s=_PATIENT),
        Step("claim", release_claim, retry_after_s=_PATIENT),
        Step("bury", bury),
    ),
    on_failure=report_failure,
)
