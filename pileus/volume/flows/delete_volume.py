"""A volume goes: what else works on it stops, the back end forgets it, then the row goes."""

import msgspec

from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Flow, NewFlow, Step, StepContext
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.flow.model import ENDED, STUCK
from pileus.foundation.runtime import Runtime
from pileus.volume.domain.volume import Volume
from pileus.volume.domain.volume_states import REMOVES, fail
from pileus.volume.flows.saving import save_failure
from pileus.volume.service import VolumeService
from pileus.volume.store import snapshots, volumes

NAME = "delete-volume"
EVENT = "VOLUME_VOLUME_006_001"
LOOK_AGAIN_S = (0.0, 0.01, 0.05, 0.2, 0.5)


class DeleteParams(msgspec.Struct):
    volume_id: str
    backend: str
    metadata: dict[str, str] = {}
    others: list[str] = []  # flows that worked on the volume, and were cancelled
    snapshots: list[str] = []  # that go with it


def new_delete(runtime: Runtime, context: Context, volume: Volume, others: list[str], snapshots: list[str]) -> NewFlow:
    params = {
        "volume_id": volume.id, "backend": volume.backend, "metadata": volume.metadata, "others": others,
        "snapshots": snapshots,
    }  # fmt: skip
    return NewFlow(
        id=runtime.uuid(), name=NAME, version=1, subject=volume.id, params=params, request_id=context.request_id
    )  # fmt: skip


async def remove(step: StepContext[VolumeService], params: DeleteParams) -> None:
    for flow_id in params.others:
        await _wait_for_end(step, flow_id)
    if not params.backend:
        return
    for snapshot_id in params.snapshots:
        await step.services.hosts.remove(params.backend, snapshot_id, step.request_id)
    await step.services.hosts.remove(
        params.backend, params.volume_id, step.request_id, metadata=params.metadata, record=step.trace
    )


async def _wait_for_end(step: StepContext[VolumeService], flow_id: str) -> None:
    """Return when a cancelled flow has ended; one that is stuck is closed, since all it made goes now."""
    journal = step.services.journal
    pauses = iter(LOOK_AGAIN_S)
    pause = 0.0
    while True:
        record = await journal.get(flow_id)
        if record is None or record.state in ENDED:
            return
        if record.state == STUCK:
            await journal.close(record)
            return
        pause = next(pauses, pause)
        await step.runtime.sleep(pause)


async def done(tx: Transaction, journal: SqlJournal, params: DeleteParams) -> None:
    """In the transaction that ends the flow: the row goes, and what is remembered of the volume's flows."""
    volume = await volumes.find(tx, params.volume_id)
    if volume is not None:
        await volumes.delete(tx, volume)
    for snapshot_id in params.snapshots:
        await snapshots.delete(tx, snapshot_id)
        await journal.forget(tx, snapshot_id)
    await journal.forget(tx, params.volume_id)


async def report_failure(step: StepContext[VolumeService], params: DeleteParams, error: errors.Error) -> None:
    """The volume stays, in error; deleting it again by force begins anew."""
    service = step.services

    def failed(volume: Volume) -> Volume:
        if volume.action not in REMOVES:
            return volume
        return fail(volume, volume.action, service.runtime.now())

    await save_failure(
        service, params.volume_id, failed, request_id=step.request_id, event_id=EVENT,
        text=f"delete volume: {error.text}",
    )  # fmt: skip


DELETE_VOLUME = Flow(
    NAME,
    version=1,
    params=DeleteParams,
    steps=(Step("remove", remove, timeout_s=3600.0, retry_after_s=(0.2, 1.0, 3.0, 10.0, 30.0)),),
    on_failure=report_failure,
)
