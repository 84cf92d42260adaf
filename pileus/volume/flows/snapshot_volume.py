"""Snapshots are taken and removed: a copy of the volume's data that the back end keeps under the snapshot's id."""

import msgspec

from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Cancelled, Flow, NewFlow, Step, StepContext
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.runtime import Runtime
from pileus.volume.domain.errors import Superseded
from pileus.volume.domain.snapshot import Snapshot, SnapshotStatus, created, delete_failed
from pileus.volume.flows.saving import add_message
from pileus.volume.peers.host import Wanted
from pileus.volume.service import VolumeService
from pileus.volume.store import snapshots

CREATE = "create-snapshot"
DELETE = "delete-snapshot"
CREATE_EVENT = "VOLUME_SNAPSHOT_003_001"
DELETE_EVENT = "VOLUME_SNAPSHOT_005_001"


class SnapshotParams(msgspec.Struct):
    snapshot_id: str
    backend: str
    volume_id: str = ""
    size_gib: int = 0
    is_live: bool = False
    metadata: dict[str, str] = {}


def new_create(runtime: Runtime, context: Context, snapshot: Snapshot, *, is_live: bool) -> NewFlow:
    params = {
        "snapshot_id": snapshot.id, "backend": snapshot.backend, "volume_id": snapshot.volume_id,
        "size_gib": snapshot.size_gib, "is_live": is_live, "metadata": snapshot.metadata,
    }  # fmt: skip
    return NewFlow(
        id=runtime.uuid(), name=CREATE, version=1, subject=snapshot.id, params=params, request_id=context.request_id
    )  # fmt: skip


def new_delete(runtime: Runtime, context: Context, snapshot: Snapshot) -> NewFlow:
    params = {"snapshot_id": snapshot.id, "backend": snapshot.backend, "metadata": snapshot.metadata}
    return NewFlow(
        id=runtime.uuid(), name=DELETE, version=1, subject=snapshot.id, params=params, request_id=context.request_id
    )  # fmt: skip


async def take(step: StepContext[VolumeService], params: SnapshotParams) -> None:
    """Have the back end copy the volume; asked again, it goes on with what it began."""
    service = step.services
    found = await snapshots.find(service.database, params.snapshot_id)
    if found is None or found.status is not SnapshotStatus.CREATING:
        raise Superseded(action="create", volume_id=params.snapshot_id, current="delete")
    wanted = Wanted(volume_id=params.snapshot_id, size_gib=params.size_gib, metadata=params.metadata)
    source = {"volume_id": params.volume_id, "is_live": params.is_live}
    while not await service.hosts.ensure(params.backend, wanted, source=source, request_id=step.request_id):
        if step.cancelled.is_set():
            raise Cancelled(reason="it was asked to stop")


async def drop(step: StepContext[VolumeService], params: SnapshotParams) -> None:
    await step.services.hosts.remove(
        params.backend, params.snapshot_id, step.request_id, metadata=params.metadata, record=step.trace
    )


async def taken(tx: Transaction, runtime: Runtime, params: SnapshotParams) -> None:
    """In the transaction that ends the flow: the snapshot is there."""
    found = await snapshots.find(tx, params.snapshot_id)
    if found is not None:
        after = created(found, SnapshotStatus.AVAILABLE, runtime.now())
        if after is not found:
            await snapshots.save(tx, found, after)


async def dropped(tx: Transaction, journal: SqlJournal, params: SnapshotParams) -> None:
    """In the transaction that ends the flow: the row goes, and what is remembered of the snapshot's flows."""
    await snapshots.delete(tx, params.snapshot_id)
    await journal.forget(tx, params.snapshot_id)


async def not_taken(step: StepContext[VolumeService], params: SnapshotParams, error: errors.Error) -> None:
    service = step.services

    async def work(tx: Transaction) -> None:
        found = await snapshots.find(tx, params.snapshot_id)
        if found is None or found.status is not SnapshotStatus.CREATING:
            return
        await snapshots.save(tx, found, created(found, SnapshotStatus.ERROR, service.runtime.now()))
        await add_message(
            tx, service, project_id=found.project_id, resource_id=found.id, request_id=step.request_id,
            event_id=CREATE_EVENT, text=f"create snapshot: {error.text}",
        )  # fmt: skip

    await service.database.transact(work)


async def not_dropped(step: StepContext[VolumeService], params: SnapshotParams, error: errors.Error) -> None:
    service = step.services

    async def work(tx: Transaction) -> None:
        found = await snapshots.find(tx, params.snapshot_id)
        if found is None or found.status is not SnapshotStatus.DELETING:
            return
        await snapshots.save(tx, found, delete_failed(found, service.runtime.now()))
        await add_message(
            tx, service, project_id=found.project_id, resource_id=found.id, request_id=step.request_id,
            event_id=DELETE_EVENT, text=f"delete snapshot: {error.text}",
        )  # fmt: skip

    await service.database.transact(work)


CREATE_SNAPSHOT = Flow(
    CREATE,
    version=1,
    params=SnapshotParams,
    steps=(Step("take", take, undo=drop, timeout_s=7200.0, retry_after_s=(0.2, 1.0, 5.0)),),
    on_failure=not_taken,
)
DELETE_SNAPSHOT = Flow(
    DELETE,
    version=1,
    params=SnapshotParams,
    steps=(Step("remove", drop, timeout_s=3600.0, retry_after_s=(0.2, 1.0, 3.0, 10.0, 30.0)),),
    on_failure=not_dropped,
)
