"""A volume after its 202: the back end has it, then the row says so; on failure nothing is left of it."""

from typing import Any

import msgspec

from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Cancelled, Flow, NewFlow, Step, StepContext
from pileus.foundation.runtime import Runtime
from pileus.volume.domain.errors import NoBackendFits, Superseded
from pileus.volume.domain.volume import Volume, changed
from pileus.volume.domain.volume_states import Action, VolumeStatus, advance, fail, finish
from pileus.volume.flows.saving import save_failure, save_in, save_volume
from pileus.volume.peers.host import Wanted
from pileus.volume.service import VolumeService

NAME = "create-volume"
PURPOSE = "create-volume"
EVENT = "VOLUME_VOLUME_001_001"


class CreateParams(msgspec.Struct):
    volume_id: str
    backend: str
    size_gib: int
    metadata: dict[str, str] = {}
    source: dict[str, Any] = {}  # {"image_id"} or {"volume_id", "is_live"}; empty: zeros
    type_name: str = ""


def new_create(
    runtime: Runtime, context: Context, volume: Volume, source: dict[str, Any], secret: bytes | None
) -> NewFlow:
    """The flow that makes `volume`; `secret` is the user's sealed token, for the image's data."""
    params = {
        "volume_id": volume.id, "backend": volume.backend, "size_gib": volume.size_gib, "metadata": volume.metadata,
        "source": source, "type_name": volume.type_name,
    }  # fmt: skip
    return NewFlow(
        id=runtime.uuid(), name=NAME, version=1, subject=volume.id, params=params, request_id=context.request_id,
        secret=secret,
    )  # fmt: skip


async def make(step: StepContext[VolumeService], params: CreateParams) -> None:
    """Have the back end make it; asked again, it goes on with what it began."""
    service = step.services
    if not params.backend:
        raise NoBackendFits(name=params.type_name)
    if step.is_repeat or params.source:
        await _still_wanted(step, params)
    token = service.sealer.open(step.flow.secret, PURPOSE).decode() if step.flow.secret else ""
    wanted = Wanted(volume_id=params.volume_id, size_gib=params.size_gib, metadata=params.metadata)
    while not await service.hosts.ensure(
        params.backend, wanted, source=params.source, token=token, request_id=step.request_id, record=step.trace
    ):
        if step.cancelled.is_set():
            raise Cancelled(reason="it was asked to stop")


async def _still_wanted(step: StepContext[VolumeService], params: CreateParams) -> None:
    """Show that data are on their way. Raises: Superseded when the volume is gone, or no longer being made."""
    service = step.services

    def downloading(volume: Volume) -> Volume:
        if "image_id" not in params.source:
            return volume
        return advance(volume, VolumeStatus.DOWNLOADING, service.runtime.now())

    volume = await save_volume(service, params.volume_id, downloading)
    if volume is None or volume.action is not Action.CREATE:
        raise Superseded(action=Action.CREATE.value, volume_id=params.volume_id, current="delete")


async def unmake(step: StepContext[VolumeService], params: CreateParams) -> None:
    if params.backend:
        await step.services.hosts.remove(params.backend, params.volume_id, step.request_id)


async def done(tx: Transaction, runtime: Runtime, params: CreateParams) -> None:
    """In the transaction that ends the flow: the volume is there."""

    def available(volume: Volume) -> Volume:
        if volume.action is not Action.CREATE:
            return volume
        now = runtime.now()
        is_bootable = volume.is_bootable or "image_id" in params.source
        return changed(finish(volume, Action.CREATE, now), now, is_bootable=is_bootable)

    await save_in(tx, params.volume_id, available)


async def report_failure(step: StepContext[VolumeService], params: CreateParams, error: errors.Error) -> None:
    """The volume ends in error, and a message says why; unless it is being deleted."""
    service = step.services

    def failed(volume: Volume) -> Volume:
        if volume.action is not Action.CREATE:
            return volume
        return fail(volume, Action.CREATE, service.runtime.now())

    await save_failure(
        service, params.volume_id, failed, request_id=step.request_id, event_id=EVENT,
        text=f"create volume: {error.text}",
    )  # fmt: skip


CREATE_VOLUME = Flow(
    NAME,
    version=1,
    params=CreateParams,
    steps=(Step("make", make, undo=unmake, timeout_s=7200.0, retry_after_s=(0.2, 1.0, 5.0)),),
    on_failure=report_failure,
)
