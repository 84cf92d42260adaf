"""A volume leaves a server: first the guest lets go, then the volume service gets it back."""

from typing import Any

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action
from pileus.compute.flows.attach_volume import AttachParams, attach_on_host, detach, give_back, without_device
from pileus.compute.flows.change_interface import CHANGES_DEVICES
from pileus.compute.flows.saving import Outcome, save_server
from pileus.compute.flows.watching import wait_for_turn
from pileus.compute.service import Compute
from pileus.compute.store import servers
from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.flow import Flow, NewFlow, Step, StepContext

NAME = "detach-volume"


def new_detach(compute: Compute, context: Context, server: Server, device_id: str, volume_id: str) -> NewFlow:
    return NewFlow(
        id=compute.runtime.uuid(), name=NAME, version=1, subject=server.id,
        params={"server_id": server.id, "device_id": device_id, "volume_id": volume_id},
        request_id=context.request_id,
    )  # fmt: skip


async def mark(step: StepContext[Compute], params: AttachParams) -> None:
    """The volume shows that it is on its way."""
    await wait_for_turn(step, CHANGES_DEVICES)
    await step.services.volumes.begin_detaching(params.volume_id, step.services.own_authority())


async def unmark(step: StepContext[Compute], params: AttachParams) -> None:
    await step.services.volumes.roll_detaching(params.volume_id, step.services.own_authority())


async def attach_again(step: StepContext[Compute], params: AttachParams) -> None:
    """Give the guest its volume back, if the volume service still holds it for the server."""
    compute = step.services
    server = await servers.find(compute.database, params.server_id)
    held = await _held(compute, params)
    if server is not None and held is not None:
        await attach_on_host(step, params, server, held["id"])


async def _held(compute: Compute, params: AttachParams) -> Any | None:
    """The attachment, unless it has been let go."""
    held = await compute.volumes.attachment_of(params.volume_id, params.server_id, compute.own_authority())
    return None if held is None or held["status"] == "detached" else held


async def report_done(step: StepContext[Compute], params: AttachParams) -> None:
    compute = step.services
    outcome = Outcome(step.request_id, Action.DETACH_VOLUME)
    await save_server(compute, params.server_id, without_device(compute, params.device_id), outcome)


async def report_failure(step: StepContext[Compute], params: AttachParams, error: errors.Error) -> None:
    """The server keeps its volume, unless that was given back before something failed."""
    compute = step.services
    outcome = Outcome(step.request_id, Action.DETACH_VOLUME, error.text)
    is_held = await _held(compute, params) is not None
    change = without_device(compute, params.device_id)
    await save_server(compute, params.server_id, lambda server: server if is_held else change(server), outcome)


DETACH_VOLUME = Flow(
    NAME,
    version=1,
    params=AttachParams,
    steps=(
        Step("mark", mark, undo=unmark),
        Step("guest", detach, undo=attach_again, retry_after_s=(1.0, 5.0, 15.0)),
        Step("release", give_back, retry_after_s=(0.2, 1.0, 5.0, 15.0)),
        Step("done", report_done),
    ),
    on_failure=report_failure,
)
