"""A volume leaves a server: first the guest lets go, then the volume service gets it back."""

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action
from pileus.compute.flows.attach_volume import AttachParams, detach, give_back, without_device
from pileus.compute.flows.saving import Outcome, save_server
from pileus.compute.service import Compute
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
    await step.services.volumes.begin_detaching(params.volume_id, step.services.own_authority())


async def unmark(step: StepContext[Compute], params: AttachParams) -> None:
    await step.services.volumes.roll_detaching(params.volume_id, step.services.own_authority())


async def report_done(step: StepContext[Compute], params: AttachParams) -> None:
    compute = step.services
    outcome = Outcome(step.request_id, Action.DETACH_VOLUME)
    await save_server(compute, params.server_id, without_device(compute, params.device_id), outcome)


async def report_failure(step: StepContext[Compute], params: AttachParams, error: errors.Error) -> None:
    """The server keeps its volume."""
    outcome = Outcome(step.request_id, Action.DETACH_VOLUME, error.text)
    await save_server(step.services, params.server_id, lambda server: server, outcome)


DETACH_VOLUME = Flow(
    NAME,
    version=1,
    params=AttachParams,
    steps=(
        Step("mark", mark, undo=unmark),
        Step("guest", detach, retry_after_s=(1.0, 5.0, 15.0)),
        Step("release", give_back, retry_after_s=(0.2, 1.0, 5.0, 15.0)),
        Step("done", report_done),
    ),
    on_failure=report_failure,
)
