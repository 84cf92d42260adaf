"""A launch after its 202: choose a host, hand over, watch; on failure take all back and try the next host.

The guest itself is built by a flow of the host (`host/flows/build_server.py`); this one only waits for it.
"""

from typing import Any

import msgspec

from pileus.compute.domain.errors import AttemptsUsedUp
from pileus.compute.domain.server import Fault, Server, changed
from pileus.compute.domain.server_states import Action, TaskState, VmState, advance, fail
from pileus.compute.flows.releasing import release_ports, release_volumes
from pileus.compute.flows.saving import Outcome, save_server
from pileus.compute.flows.watching import cancel_flow, wait_for
from pileus.compute.service import SCHEDULER, Compute, host_topic
from pileus.compute.store import servers
from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.flow import Flow, NewFlow, Step, StepContext
from pileus.foundation.flow.model import UndoFailed
from pileus.foundation.trace import Event, Trace

NAME = "launch-server"
FINAL = frozenset({"compute.no-valid-host", "compute.build.aborted", "flow.cancelled", "compute.scheduling.superseded"})
"""Codes of errors that no other host mends; nor does one mend that the user's rights have ended."""


class LaunchParams(msgspec.Struct):
    server_id: str
    place: dict[str, Any] = {}
    max_attempts: int = 3


def new_launch(
    compute: Compute,
    context: Context,
    server: Server,
    secret: bytes,
    events: list[Event],
    place: dict[str, Any] | None = None,
) -> NewFlow:
    """The flow that launches `server`; `secret` is the user's sealed token."""
    return NewFlow(
        id=compute.runtime.uuid(), name=NAME, version=1, subject=server.id,
        params={"server_id": server.id, "place": place or {}, "max_attempts": compute.settings.max_attempts},
        request_id=context.request_id, secret=secret, events=events,
    )  # fmt: skip


def build_id(flow_id: str, attempt: int) -> str:
    """The id of the host's flow that builds in one attempt: the same whenever it is asked for."""
    return f"{flow_id}.{attempt}"


async def cast_launch(
    compute: Compute, server: Server, flow_id: str, attempt: int, request_id: str, record: Trace | None = None
) -> None:
    """Step 12: nudge the host that the row names, once that row is on disk. It may be done again at any time.

    A power cut would leave a guest that no row knows of; such guests are never removed, for a restored backup makes
    all later ones look so.
    """
    assert server.host is not None
    args = {
        "flow_id": build_id(flow_id, attempt), "server_id": server.id, "epoch": server.epoch, "launch_id": flow_id,
        "attempt": attempt,
    }  # fmt: skip
    await compute.database.durable()
    envelope = compute.bus.cast(host_topic(server.host), "launch", args, request_id=request_id, source="scheduler")
    if record is not None:
        data: dict[str, object] = {"method": "launch", "host": server.host, "message": envelope.id}
        record.add(Event(12, "scheduler", "bus", envelope.sent, 0, process=compute.runtime.name, data=data))


async def select_host(step: StepContext[Compute], params: LaunchParams) -> dict[str, Any]:
    """Have the scheduler choose; asked again, it names the same host."""
    tried = [line.output["host"] for line in step.flow.steps
             if line.name == "place" and line.attempt < step.attempt and line.output]  # fmt: skip
    args = {
        "server_id": params.server_id, "flow_id": step.flow.id, "attempt": step.attempt, "tried": tried,
        "place": params.place,
    }  # fmt: skip
    found: dict[str, Any] = await step.services.bus.call(
        SCHEDULER, "select_host", args, timeout_s=step.services.settings.call_timeout_s, request_id=step.request_id,
        source="compute-api", record=step.trace, steps=(8, 9, 0),
    )  # fmt: skip
    return found


async def release_place(step: StepContext[Compute], params: LaunchParams) -> None:
    """Take the host out of the row and give the claim back.

    The host was told to build before the scheduler answered: it may be at work though this flow never heard of it.
    A server that came up all the same, or is being deleted, keeps its place: the claim is no longer ours.
    """
    compute = step.services
    placed = await servers.find(compute.database, params.server_id)
    if placed is not None and placed.host is not None:
        await _unbuild(step, params, placed.host)

    def without_host(server: Server) -> Server:
        if server.host is None or not _is_coming_up(server):
            return server
        now = compute.runtime.now()
        if server.action is Action.LAUNCH:
            server = advance(server, TaskState.SCHEDULING, now)
        devices = tuple(device.as_asked() for device in server.block_devices)
        return changed(server, now, host=None, node=None, interfaces=(), block_devices=devices)

    server = await save_server(compute, params.server_id, without_host)
    if server is None or server.host is None:
        await compute.placement.release(params.server_id)


def _is_coming_up(server: Server) -> bool:
    """Whether a launch may still change it: one that was stuck has left it in ERROR."""
    return server.action is Action.LAUNCH or (
        server.action is None and server.vm_state is VmState.ERROR and server.launched_at is None
    )


async def build(step: StepContext[Compute], params: LaunchParams) -> None:
    """Wait until the host has built the guest; its failure is ours.

    An earlier attempt may have built it, though the scheduler's answer was lost: nothing is left to do then.
    """
    compute = step.services
    if step.attempt > 1:
        placed = await servers.find(compute.database, params.server_id)
        if placed is not None and placed.launched_at is not None:
            return
    flow_id = build_id(step.flow.id, step.attempt)

    async def nudge() -> None:
        server = await servers.find(compute.database, params.server_id)
        if server is not None and server.host is not None:
            await cast_launch(compute, server, step.flow.id, step.attempt, step.request_id)

    record = await wait_for(step, flow_id, host=step.outputs["place"]["host"], nudge=nudge)
    if record.state != "done":
        raise errors.from_wire(record.error or errors.to_wire(errors.Error()))


async def abandon_build(step: StepContext[Compute], params: LaunchParams) -> None:
    """Let the host undo what it began; return when it has, or when it never will again."""
    place = step.outputs.get("place")
    if place is not None:
        await _unbuild(step, params, place["host"])


async def _unbuild(step: StepContext[Compute], params: LaunchParams, host: str) -> None:
    """Have what the host began taken back; for a dead one it is done from here, but for its guest."""
    compute = step.services
    if await cancel_flow(step, build_id(step.flow.id, step.attempt), host=host):
        return
    server = await servers.find(compute.database, params.server_id)
    if server is not None and _is_coming_up(server):
        await release_volumes(compute, server)
        await release_ports(compute, server)


async def report_failure(step: StepContext[Compute], params: LaunchParams, error: errors.Error) -> None:
    """The server ends in ERROR with the reason, unless it is being deleted or came up all the same."""
    compute = step.services
    server = await servers.find(compute.database, params.server_id)
    if server is None or server.launched_at is not None:
        return
    if step.attempt > 1 and error.code == "compute.no-valid-host":
        error = AttemptsUsedUp(reason=f"{error.text}. {await _last_words(step)}")

    def failed(server: Server) -> Server:
        if server.action is not Action.LAUNCH:
            return server
        now = compute.runtime.now()
        fault = Fault(error.text, now, code=500, details=f"{error.code} {error.facts}")
        server = fail(server, Action.LAUNCH, fault, now)
        if error.code == UndoFailed.code:  # something of it may still be there: that is the place to look for it
            return server
        return changed(server, now, host=None, node=None)

    await save_server(compute, params.server_id, failed, Outcome(step.request_id, Action.LAUNCH, error.text))


async def _last_words(step: StepContext[Compute]) -> str:
    """Why the attempt before this one failed: what a user can act on."""
    record = await step.services.journal.get(build_id(step.flow.id, step.attempt - 1))
    return f"The last attempt failed: {record.error['text']}" if record is not None and record.error else ""


def may_try_again(error: errors.Error, attempt: int) -> bool:
    return attempt < 3 and error.code not in FINAL and not isinstance(error, errors.Unauthorized)


LAUNCH_SERVER = Flow(
    NAME,
    version=1,
    params=LaunchParams,
    steps=(
        Step("place", select_host, undo=release_place),
        Step("build", build, undo=abandon_build, timeout_s=3600.0),
    ),
    on_failure=report_failure,
    again=may_try_again,
)
