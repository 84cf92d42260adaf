"""A snapshot: the data of a volume as they were, kept beside it; and the only functions that change its status."""

from enum import StrEnum
from typing import Any, NewType

import msgspec
from msgspec.structs import replace

from pileus.volume.domain.errors import InvalidSnapshot, Superseded

SnapshotId = NewType("SnapshotId", str)


class SnapshotStatus(StrEnum):
    """What a snapshot shows."""

    CREATING = "creating"
    AVAILABLE = "available"
    BACKING_UP = "backing-up"
    DELETING = "deleting"
    RESTORING = "restoring"
    UNMANAGING = "unmanaging"
    UPDATING = "updating"
    ERROR = "error"
    ERROR_DELETING = "error_deleting"


DELETABLE = frozenset({SnapshotStatus.AVAILABLE, SnapshotStatus.ERROR, SnapshotStatus.ERROR_DELETING})


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A snapshot as its row has it. Times are UTC microseconds."""

    id: SnapshotId
    volume_id: str
    project_id: str
    user_id: str
    size_gib: int
    status: SnapshotStatus
    backend: str
    type_id: str
    created_at: int
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}
    image_metadata: dict[str, Any] | None = None  # of the volume then
    is_bootable: bool = False
    updated_at: int | None = None
    generation: int = 0


def created(snapshot: Snapshot, status: SnapshotStatus, now: int) -> Snapshot:
    """The snapshot after its data were taken, or could not be; one that is being deleted stays so."""
    if snapshot.status is not SnapshotStatus.CREATING:
        return snapshot
    return replace(snapshot, status=status, updated_at=now)


def begin_delete(snapshot: Snapshot, now: int, *, force: bool = False) -> Snapshot:
    """The snapshot as it is while it is being removed. Raises: InvalidSnapshot (400)."""
    if snapshot.status is SnapshotStatus.DELETING:
        return snapshot
    if not force and snapshot.status not in DELETABLE:
        raise InvalidSnapshot(reason=f"Snapshot status must be one of available, error, not {snapshot.status}.")
    return replace(snapshot, status=SnapshotStatus.DELETING, updated_at=now)


def delete_failed(snapshot: Snapshot, now: int) -> Snapshot:
    """Raises: Superseded (409) when nothing deletes it."""
    if snapshot.status is not SnapshotStatus.DELETING:
        raise Superseded(action="delete", volume_id=snapshot.id, current=snapshot.status.value)
    return replace(snapshot, status=SnapshotStatus.ERROR_DELETING, updated_at=now)
