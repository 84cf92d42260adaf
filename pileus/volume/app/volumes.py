"""Volumes: made, changed, removed. What takes longer goes on as a flow after the answer."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import FlowRecord
from pileus.volume.app import snapshots, types
from pileus.volume.app.capacity import quota_of_type, within_quota
from pileus.volume.domain.backend_choice import capabilities_of, choose_backend, fits
from pileus.volume.domain.errors import (
    InvalidInput,
    InvalidSnapshot,
    InvalidType,
    InvalidVolume,
    VolumeNotFound,
    WrongStatus,
)
from pileus.volume.domain.image import check_fits, metadata_of
from pileus.volume.domain.snapshot import SnapshotStatus, begin_delete
from pileus.volume.domain.volume import Volume, VolumeId, changed, is_multiattach_type
from pileus.volume.domain.volume_query import VolumeQuery
from pileus.volume.domain.volume_states import DELETE_REFUSAL, Action, VolumeStatus, begin, check, mark, reset
from pileus.volume.domain.volume_type import VolumeType
from pileus.volume.flows.create_volume import PURPOSE, new_create
from pileus.volume.flows.delete_volume import NAME as DELETE
from pileus.volume.flows.delete_volume import new_delete
from pileus.volume.flows.extend_volume import new_extend
from pileus.volume.service import VolumeService
from pileus.volume.store import hosts, listings, volumes
from pileus.volume.store import snapshots as snapshot_rows

Change = Callable[[Volume, int], Volume]


class NewVolume(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for. `size_gib` None: as large as the source."""

    size_gib: int | None
    name: str | None = None
    description: str | None = None
    zone: str | None = None
    metadata: dict[str, str] = {}
    type_name: str | None = None  # or its id; None: the source's, else the default
    image_id: str | None = None
    snapshot_id: str | None = None
    source_volume_id: str | None = None


class _Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a new volume is filled from, and what it takes over."""

    source: dict[str, Any] = {}  # for the flow
    least_gib: int | None = None
    too_small: str = ""  # the refusal of a smaller size
    type_id: str | None = None
    backend: str | None = None  # the only one that has the source
    image_metadata: dict[str, Any] | None = None
    is_bootable: bool = False


async def create(service: VolumeService, context: Context, wanted: NewVolume) -> Volume:
    """Promise the volume, and let it be made.

    Raises: ImageNotFound, VolumeNotFound, SnapshotNotFound, TypeNotFound (404), InvalidInput, InvalidImage (400),
    OverQuota's kinds (413). Source: Block Storage API reference, "Create a volume".
    """
    origin = await _look_up(service, context, wanted)
    kind = await types.for_new_volume(service, context, wanted.type_name or origin.type_id)
    size_gib = _size(wanted, origin)
    if wanted.zone is not None and wanted.zone != service.settings.zone:
        raise InvalidInput(reason=f"Availability zone '{wanted.zone}' is invalid.")
    now = service.runtime.now()
    volume = Volume(
        id=VolumeId(service.runtime.uuid()), project_id=context.project_id, user_id=context.user_id,
        size_gib=size_gib, status=VolumeStatus.CREATING, type_id=kind.id, type_name=kind.name,
        backend=origin.backend or await _place(service, kind),
        zone=service.settings.zone, created_at=now, name=wanted.name, description=wanted.description,
        metadata=wanted.metadata, image_id=wanted.image_id, image_metadata=origin.image_metadata,
        snapshot_id=wanted.snapshot_id, source_volume_id=wanted.source_volume_id, is_bootable=origin.is_bootable,
        is_multiattach=is_multiattach_type(kind.specs), action=Action.CREATE, action_at=now,
        began_in=VolumeStatus.CREATING,
    )  # fmt: skip
    secret = service.sealer.seal(context.token.encode(), PURPOSE) if wanted.image_id else None

    async def work(tx: Transaction) -> FlowRecord:
        await types.rely_on(tx, kind.id)
        await within_quota(tx, volume, {"volumes": 1, "gigabytes": size_gib})
        await volumes.insert(tx, volume)
        new = new_create(service.runtime, context, volume, origin.source, secret)
        return await service.journal.insert(tx, new, service.runner.owner)

    service.runner.run(await service.database.transact(work))
    return volume


async def _place(service: VolumeService, kind: VolumeType) -> str:
    """The back end for a volume of this type; the empty string when there is none."""
    closed = await hosts.disabled(service.database)
    return choose_backend(kind.specs, [name for name in service.settings.backends if name not in closed]) or ""


async def _look_up(service: VolumeService, context: Context, wanted: NewVolume) -> _Origin:
    """What the new volume is filled from."""
    if wanted.snapshot_id is not None:
        return await _from_snapshot(service, context, wanted.snapshot_id)
    if wanted.source_volume_id is not None:
        return await _from_volume(service, context, wanted.source_volume_id)
    if wanted.image_id is not None:
        image = await service.images.get(wanted.image_id, service.users_authority(context.token))
        if wanted.size_gib is not None:
            check_fits(image, wanted.size_gib)
        return _Origin(source={"image_id": image.id}, image_metadata=metadata_of(image))
    return _Origin()


async def _from_snapshot(service: VolumeService, context: Context, snapshot_id: str) -> _Origin:
    found = await snapshots.get(service, context, snapshot_id)
    if found.status is not SnapshotStatus.AVAILABLE:
        raise InvalidSnapshot(reason="Originating snapshot status must be one of 'available' values")
    return _Origin(
        source={"volume_id": found.id}, least_gib=found.size_gib, type_id=found.type_id, backend=found.backend,
        image_metadata=found.image_metadata, is_bootable=found.is_bootable,
        too_small="Volume size '{size}'GB cannot be smaller than the snapshot size {least}GB. They must be >= original "
        "snapshot size.",
    )  # fmt: skip


async def _from_volume(service: VolumeService, context: Context, volume_id: str) -> _Origin:
    found = await get(service, context, volume_id)
    if found.status not in (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE):
        raise InvalidVolume(reason=f"Unable to create a volume from volume {volume_id} in status {found.status}.")
    return _Origin(
        source={"volume_id": found.id, "is_live": found.status is VolumeStatus.IN_USE}, least_gib=found.size_gib,
        type_id=found.type_id, backend=found.backend, image_metadata=found.image_metadata,
        is_bootable=found.is_bootable,
        too_small="Volume size '{size}'GB cannot be smaller than original volume size {least}GB. They must be >= "
        "original volume size.",
    )  # fmt: skip


def _size(wanted: NewVolume, origin: _Origin) -> int:
    """Raises: InvalidInput (400)."""
    size_gib = wanted.size_gib if wanted.size_gib is not None else origin.least_gib
    if size_gib is None:
        raise InvalidInput(
            reason="Invalid volume size provided for create request: None (size argument must be an integer (or string "
            "representation of an integer) and greater than zero)."
        )
    if origin.least_gib is not None and size_gib < origin.least_gib:
        raise InvalidInput(reason=origin.too_small.format(size=size_gib, least=origin.least_gib))
    return size_gib


# -- reading ------------------------------------------------------------------------------------------------------
async def get(service: VolumeService, context: Context, volume_id: str) -> Volume:
    """A volume that the caller may know of. Raises: VolumeNotFound (404)."""
    volume = await volumes.get(service.database, volume_id)
    if volume.project_id != context.project_id and not (context.is_admin or "service" in context.roles):
        raise VolumeNotFound(volume_id=volume_id)
    return volume


async def page(service: VolumeService, query: VolumeQuery) -> list[Volume]:
    """Raises: MarkerNotFound (404)."""
    return await listings.page(service.database, query)


async def count(service: VolumeService, query: VolumeQuery) -> tuple[int, int]:
    """How many volumes fit, and their GiB."""
    return await listings.count(service.database, query)


async def metadata_values(service: VolumeService, query: VolumeQuery) -> dict[str, list[str]]:
    """Which values each metadata key has among the volumes that fit."""
    return await listings.metadata_values(service.database, query)


# -- changing -----------------------------------------------------------------------------------------------------
async def change(service: VolumeService, volume: Volume, action: Action, how: Change) -> Volume:
    """Apply a change that `action` names to the volume as it is now. Raises: WrongStatus (400)."""

    async def work(tx: Transaction) -> Volume:
        before = await volumes.get(tx, volume.id)
        check(before, action, more=True)
        after = how(before, service.runtime.now())
        return before if after is before else await volumes.save(tx, before, after)

    return await service.database.transact(work)


async def update(service: VolumeService, volume: Volume, facts: Mapping[str, Any]) -> Volume:
    """Change name, description or metadata."""
    return await change(service, volume, Action.UPDATE, lambda found, now: changed(found, now, **facts))


async def change_metadata(
    service: VolumeService, volume: Volume, how: Callable[[dict[str, str]], dict[str, str]]
) -> dict[str, str]:
    """Change the metadata as they are now, and return them."""
    saved = await change(
        service, volume, Action.SET_METADATA, lambda found, now: changed(found, now, metadata=how(found.metadata))
    )
    return saved.metadata


async def change_image_metadata(
    service: VolumeService, volume: Volume, how: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Change what the volume remembers of its image, and return it."""
    saved = await change(
        service, volume, Action.SET_METADATA,
        lambda found, now: changed(found, now, image_metadata=how(found.image_metadata or {})),
    )  # fmt: skip
    return saved.image_metadata or {}


async def set_bootable(service: VolumeService, volume: Volume, *, is_bootable: bool) -> Volume:
    return await change(
        service, volume, Action.SET_BOOTABLE, lambda found, now: changed(found, now, is_bootable=is_bootable)
    )


async def set_read_only(service: VolumeService, volume: Volume, *, is_read_only: bool) -> Volume:
    """Raises: WrongStatus (400) unless the volume is available."""

    def how(found: Volume, now: int) -> Volume:
        if found.status is not VolumeStatus.AVAILABLE:
            raise InvalidVolume(
                reason=f"Volume {found.id} status must be available to update readonly flag, but current status is: "
                f"{found.status}."
            )
        return changed(found, now, read_only=is_read_only)

    return await change(service, volume, Action.UPDATE, how)


async def move(service: VolumeService, volume: Volume, action: Action) -> Volume:
    """One of the old calls that only move the status: reserve, unreserve, begin_detaching, roll_detaching.

    Raises: WrongStatus (400).
    """

    async def work(tx: Transaction) -> Volume:
        before = await volumes.get(tx, volume.id)
        return await volumes.save(tx, before, mark(before, action, service.runtime.now()))

    return await service.database.transact(work)


async def reset_status(service: VolumeService, volume: Volume, status: VolumeStatus) -> None:
    """Give the volume the status that an administrator names."""

    async def work(tx: Transaction) -> None:
        before = await volumes.get(tx, volume.id)
        await volumes.save(tx, before, reset(before, status, service.runtime.now()))

    await service.database.transact(work)


async def extend(service: VolumeService, context: Context, volume: Volume, size_gib: int, *, in_use: bool) -> None:
    """Let the volume grow; `in_use` admits one that a server has. Raises: WrongStatus, InvalidInput (400), 413."""

    async def work(tx: Transaction) -> FlowRecord:
        before = await volumes.get(tx, volume.id)
        after = begin(before, Action.EXTEND, service.runtime.now(), more=in_use)
        if size_gib <= before.size_gib:
            raise InvalidInput(
                reason=f"New size for extend must be greater than current size. (current: {before.size_gib}, "
                f"extended: {size_gib})."
            )
        after = changed(after, service.runtime.now(), grows_to=size_gib)
        await within_quota(tx, after, {"gigabytes": size_gib - before.size_gib})
        saved = await volumes.save(tx, before, after)
        new = new_extend(service.runtime, context, saved, size_gib)
        return await service.journal.insert(tx, new, service.runner.owner)

    service.runner.run(await service.database.transact(work))


async def retype(service: VolumeService, context: Context, volume: Volume, type_name: str) -> None:
    """Give the volume another type, whose back end must be the one it is in.

    Raises: TypeNotFound (404), InvalidType, WrongStatus (400), OverQuota's kinds (413).
    """
    kind = await types.for_new_volume(service, context, type_name)

    async def work(tx: Transaction) -> None:
        before = await volumes.get(tx, volume.id)
        check(before, Action.RETYPE)
        if kind.id == before.type_id:
            raise InvalidInput(reason=f"New volume_type same as original: {kind.name}.")
        if not fits(kind.specs, capabilities_of(before.backend)):
            raise InvalidType(reason=f"volumes of type {kind.name} are kept elsewhere, and cannot be moved yet.")
        is_multiattach = is_multiattach_type(kind.specs)
        if is_multiattach != before.is_multiattach and before.attachments:
            raise InvalidInput(reason="Changing multiattach needs a volume that nothing holds.")
        after = changed(
            before, service.runtime.now(), type_id=kind.id, type_name=kind.name, is_multiattach=is_multiattach
        )
        await types.rely_on(tx, kind.id)
        await tx.lock("quota", before.project_id, "volumes")
        await quota_of_type(tx, after)
        await volumes.save(tx, before, after)

    await service.database.transact(work)


async def delete(
    service: VolumeService, context: Context, volume: Volume, *, force: bool = False, cascade: bool = False
) -> None:
    """Begin to delete; by force from any status, stopping what is in flight; `cascade` takes the snapshots along.

    Raises: WrongStatus (400).
    """
    action = Action.FORCE_DELETE if force else Action.DELETE

    async def work(tx: Transaction) -> tuple[FlowRecord | None, list[str]]:
        await tx.lock("volume", volume.id)  # of deletes at once one begins the flow
        before = await volumes.get(tx, volume.id)
        if force and before.attachments:
            raise InvalidVolume(reason="Volume must be detached before it is deleted by force.")
        after = begin(before, action, service.runtime.now())
        taken = await snapshot_rows.of_volume(tx, volume.id) if after is not before else []
        if taken and not (cascade or force):
            raise WrongStatus(reason=DELETE_REFUSAL)
        for snapshot in taken:
            await snapshot_rows.save(tx, snapshot, begin_delete(snapshot, service.runtime.now(), force=force))
        open_flows = await service.journal.open_of(tx, volume.id)
        if after is before and any(name == DELETE for _, name in open_flows):
            return None, []
        saved = before if after is before else await volumes.save(tx, before, after)
        others = [flow_id for flow_id, _ in open_flows]
        for flow_id in others:
            await service.journal.cancel(tx, flow_id)
        new = new_delete(service.runtime, context, saved, others, [snapshot.id for snapshot in taken])
        return await service.journal.insert(tx, new, service.runner.owner), others

    record, others = await service.database.transact(work)
    for flow_id in others:
        service.cancel(flow_id)
    if record is not None:
        service.runner.run(record)
