"""Snapshots: taken, changed, removed. What takes longer goes on as a flow after the answer."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import FlowRecord
from pileus.volume.app.capacity import within_quota
from pileus.volume.domain.errors import InvalidSnapshot, SnapshotNotFound
from pileus.volume.domain.snapshot import Snapshot, SnapshotId, SnapshotStatus, begin_delete
from pileus.volume.domain.volume import Volume
from pileus.volume.domain.volume_query import VolumeQuery
from pileus.volume.domain.volume_states import Action, VolumeStatus, check
from pileus.volume.flows.snapshot_volume import DELETE, new_create, new_delete
from pileus.volume.service import VolumeService
from pileus.volume.store import listings, snapshots, volumes


class NewSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for; `force` admits a volume that a server has."""

    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}
    force: bool = False


async def create(service: VolumeService, context: Context, volume: Volume, wanted: NewSnapshot) -> Snapshot:
    """Promise the snapshot, and let it be taken. Raises: WrongStatus (400), OverQuota's kinds (413)."""
    new_id, now = SnapshotId(service.runtime.uuid()), service.runtime.now()

    async def work(tx: Transaction) -> tuple[Snapshot, FlowRecord]:
        found = await volumes.get(tx, volume.id)
        check(found, Action.CREATE_SNAPSHOT, more=wanted.force)
        snapshot = Snapshot(
            id=new_id, volume_id=found.id, project_id=found.project_id, user_id=context.user_id,
            size_gib=found.size_gib, status=SnapshotStatus.CREATING, backend=found.backend, type_id=found.type_id,
            created_at=now, name=wanted.name, description=wanted.description, metadata=wanted.metadata,
            image_metadata=found.image_metadata, is_bootable=found.is_bootable,
        )  # fmt: skip
        await within_quota(tx, found, {"snapshots": 1, "gigabytes": found.size_gib})
        await volumes.save(tx, found, found)  # whoever deletes the volume meanwhile looks again
        await snapshots.insert(tx, snapshot)
        new = new_create(service.runtime, context, snapshot, is_live=found.status is VolumeStatus.IN_USE)
        return snapshot, await service.journal.insert(tx, new, service.runner.owner)

    snapshot, record = await service.database.transact(work)
    service.runner.run(record)
    return snapshot


async def get(service: VolumeService, context: Context, snapshot_id: str) -> Snapshot:
    """A snapshot that the caller may know of. Raises: SnapshotNotFound (404)."""
    found = await snapshots.get(service.database, snapshot_id)
    if found.project_id != context.project_id and not (context.is_admin or "service" in context.roles):
        raise SnapshotNotFound(snapshot_id=snapshot_id)
    return found


async def page(service: VolumeService, query: VolumeQuery) -> list[Snapshot]:
    """Raises: MarkerNotFound (404)."""
    return await listings.snapshots(service.database, query)


async def count(service: VolumeService, query: VolumeQuery) -> int:
    return await listings.count_snapshots(service.database, query)


async def change(service: VolumeService, snapshot: Snapshot, how: Callable[[Snapshot, int], Snapshot]) -> Snapshot:
    """Apply a change to the snapshot as it is now."""

    async def work(tx: Transaction) -> Snapshot:
        before = await snapshots.get(tx, snapshot.id)
        after = how(before, service.runtime.now())
        return before if after is before else await snapshots.save(tx, before, after)

    return await service.database.transact(work)


async def update(service: VolumeService, snapshot: Snapshot, facts: Mapping[str, Any]) -> Snapshot:
    """Change name, description, metadata or, for administrators, the status."""
    return await change(service, snapshot, lambda found, now: replace(found, updated_at=now, **facts))


async def change_metadata(
    service: VolumeService, snapshot: Snapshot, how: Callable[[dict[str, str]], dict[str, str]]
) -> dict[str, str]:
    """Change the metadata as they are now, and return them."""
    saved = await change(
        service, snapshot, lambda found, now: replace(found, updated_at=now, metadata=how(found.metadata))
    )  # fmt: skip
    return saved.metadata


async def delete(service: VolumeService, context: Context, snapshot: Snapshot, *, force: bool = False) -> None:
    """Begin to remove it. Raises: InvalidSnapshot (400)."""

    async def work(tx: Transaction) -> FlowRecord | None:
        await tx.lock("snapshot", snapshot.id)
        before = await snapshots.get(tx, snapshot.id)
        after = begin_delete(before, service.runtime.now(), force=force)
        open_flows = await service.journal.open_of(tx, snapshot.id)
        if any(name == DELETE for _, name in open_flows):
            return None
        if open_flows:
            raise InvalidSnapshot(reason="it is still being taken.")
        saved = before if after is before else await snapshots.save(tx, before, after)
        new = new_delete(service.runtime, context, saved)
        return await service.journal.insert(tx, new, service.runner.owner)

    record = await service.database.transact(work)
    if record is not None:
        service.runner.run(record)
