"""A volume grows: the back end first, then the row, then the guest that has it learns of it."""

import logging

import msgspec

from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Flow, NewFlow, Step, StepContext
from pileus.foundation.runtime import Runtime
from pileus.volume.domain.volume import Volume, changed
from pileus.volume.domain.volume_states import Action, AttachStatus, fail, finish
from pileus.volume.flows.saving import save_failure, save_in
from pileus.volume.peers.host import Wanted
from pileus.volume.service import VolumeService
from pileus.volume.store import volumes

log = logging.getLogger("pileus.volume")

NAME = "extend-volume"
EVENT = "VOLUME_VOLUME_007_001"


class ExtendParams(msgspec.Struct):
    volume_id: str
    backend: str
    size_gib: int
    metadata: dict[str, str] = {}


def new_extend(runtime: Runtime, context: Context, volume: Volume, size_gib: int) -> NewFlow:
    params = {"volume_id": volume.id, "backend": volume.backend, "size_gib": size_gib, "metadata": volume.metadata}
    return NewFlow(
        id=runtime.uuid(), name=NAME, version=1, subject=volume.id, params=params, request_id=context.request_id
    )  # fmt: skip


async def grow(step: StepContext[VolumeService], params: ExtendParams) -> None:
    wanted = Wanted(volume_id=params.volume_id, size_gib=params.size_gib, metadata=params.metadata)
    await step.services.hosts.extend(params.backend, wanted, step.request_id)


async def tell_guests(step: StepContext[VolumeService], params: ExtendParams) -> None:
    """Let the servers that have the volume see its size; one that cannot sees it after its next start."""
    service = step.services
    volume = await volumes.find(service.database, params.volume_id)
    for held in volume.attachments if volume is not None else ():
        if held.status is not AttachStatus.ATTACHED or held.server_id is None:
            continue
        try:
            await service.servers.volume_extended(held.server_id, params.volume_id, service.own_authority())
        except errors.Error as error:
            log.warning("server %s was not told of volume %s: %s", held.server_id, params.volume_id, error)


async def done(tx: Transaction, runtime: Runtime, params: ExtendParams) -> None:
    """In the transaction that ends the flow: the volume has its new size."""

    def extended(volume: Volume) -> Volume:
        if volume.action is not Action.EXTEND:
            return volume
        now = runtime.now()
        return changed(finish(volume, Action.EXTEND, now), now, size_gib=params.size_gib, grows_to=None)

    await save_in(tx, params.volume_id, extended)


async def report_failure(step: StepContext[VolumeService], params: ExtendParams, error: errors.Error) -> None:
    service = step.services

    def failed(volume: Volume) -> Volume:
        if volume.action is not Action.EXTEND:
            return volume
        now = service.runtime.now()
        return changed(fail(volume, Action.EXTEND, now), now, grows_to=None)

    await save_failure(
        service, params.volume_id, failed, request_id=step.request_id, event_id=EVENT,
        text=f"extend volume: {error.text}",
    )  # fmt: skip


EXTEND_VOLUME = Flow(
    NAME,
    version=1,
    params=ExtendParams,
    steps=(Step("grow", grow), Step("guests", tell_guests)),
    on_failure=report_failure,
)
