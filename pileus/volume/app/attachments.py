"""Attachments: who may use a volume, and how. Every call may be repeated.

Compute is the caller; what a server has only compute may take away (OSSA-2023-003).
"""

from collections.abc import Callable, Mapping
from typing import Any

from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.volume.domain import attaching
from pileus.volume.domain.errors import AttachmentNotFound, InvalidVolume, ServerUsesAttachment
from pileus.volume.domain.volume import Attachment, Volume
from pileus.volume.domain.volume_states import AttachStatus, VolumeStatus, reset, status_of
from pileus.volume.peers.host import Wanted
from pileus.volume.service import VolumeService
from pileus.volume.store import listings, volumes

Change = Callable[[Volume, int], Volume]


async def _save(service: VolumeService, volume_id: str, change: Change) -> Volume:
    async def work(tx: Transaction) -> Volume:
        before = await volumes.get(tx, volume_id)
        after = change(before, service.runtime.now())
        return before if after is before else await volumes.save(tx, before, after)

    return await service.database.transact(work)


def _wanted(volume: Volume) -> Wanted:
    return Wanted(volume_id=volume.id, size_gib=volume.size_gib, metadata=volume.metadata)


# -- reading ------------------------------------------------------------------------------------------------------
async def get(service: VolumeService, context: Context, attachment_id: str) -> tuple[Volume, Attachment]:
    """An attachment that the caller may know of, with its volume. Raises: AttachmentNotFound (404)."""
    volume = await volumes.get_by_attachment(service.database, attachment_id)
    if volume.project_id != context.project_id and not (context.is_admin or "service" in context.roles):
        raise AttachmentNotFound(attachment_id=attachment_id)
    return volume, attaching.get_attachment(volume, attachment_id)


async def page(
    service: VolumeService,
    *,
    project_id: str | None,
    equal: dict[str, str],
    limit: int,
    offset: int,
    marker: str | None,
) -> list[Attachment]:
    """One page of attachments; `project_id` None: of every project."""
    found = await listings.attachments(
        service.database, project_id=project_id, equal=equal, limit=limit, offset=offset, marker=marker
    )
    return [held for _, held in found]


# -- the way to a server ------------------------------------------------------------------------------------------
async def create(service: VolumeService, volume: Volume, server_id: str | None, *, mode: str) -> Attachment:
    """Reserve the volume. Raises: WrongStatus, InvalidVolume (400)."""
    new_id = service.runtime.uuid()
    after = await _save(
        service, volume.id, lambda found, now: attaching.reserve(found, new_id, server_id, mode, now)
    )  # fmt: skip
    return attaching.get_attachment(after, new_id)


async def connect(
    service: VolumeService, context: Context, volume: Volume, attachment_id: str, connector: Mapping[str, Any]
) -> Attachment:
    """Let the connector's host reach the volume; asked again, it answers the same.

    Raises: StaleConnector, ServerUsesAttachment (409), InvalidVolume (400), and what the back end says.
    """
    held = attaching.get_attachment(volume, attachment_id)
    if held.status is AttachStatus.ATTACHED:
        await check_unused(service, context, volume, held)
    saved = await _save(
        service, volume.id, lambda found, now: attaching.begin_connecting(found, attachment_id, connector, now)
    )
    epoch = attaching.get_attachment(saved, attachment_id).epoch
    sent = {**connector, "attachment_id": attachment_id}
    connection = await service.hosts.connect(saved.backend, _wanted(saved), sent, context.request_id)
    after = await _save(
        service, volume.id, lambda found, now: attaching.connected(found, attachment_id, epoch, connection, now)
    )
    return attaching.get_attachment(after, attachment_id)


async def complete(service: VolumeService, volume: Volume, attachment_id: str) -> None:
    """The guest has it. Raises: InvalidVolume (400)."""
    await _save(service, volume.id, lambda found, now: attaching.complete(found, attachment_id, now))


async def attach(
    service: VolumeService, volume: Volume, *, server_id: str | None, host: str | None, device: str, mode: str
) -> None:
    """The old call that only says so. Raises: WrongStatus, InvalidInput (400)."""
    new_id = service.runtime.uuid()
    await _save(
        service, volume.id,
        lambda found, now: attaching.attach(
            found, new_id, server_id=server_id, host=host, device=device, mode=mode, now=now
        ),
    )  # fmt: skip


# -- the way back -------------------------------------------------------------------------------------------------
async def check_unused(service: VolumeService, context: Context, volume: Volume, held: Attachment) -> None:
    """Only compute may take from a server what it has. Raises: ServerUsesAttachment (409), Unavailable (503)."""
    if context.is_service or held.server_id is None:
        return
    authority = service.users_authority(context.token)
    if await service.servers.has_attachment(held.server_id, volume.id, held.id, authority):
        raise ServerUsesAttachment(server_id=held.server_id)


async def delete(service: VolumeService, context: Context, volume: Volume, attachment_id: str) -> list[Attachment]:
    """Give the volume back, and return what else holds it.

    Raises: ServerUsesAttachment (409), and what the back end says: then it can be asked for again.
    """
    await check_unused(service, context, volume, attaching.get_attachment(volume, attachment_id))
    return await release(service, volume.id, attachment_id, context.request_id)


async def release(service: VolumeService, volume_id: str, attachment_id: str, request_id: str) -> list[Attachment]:
    """Let the attachment go, tell the back end, forget it; each step may have happened before."""
    saved = await _save(service, volume_id, lambda found, now: _first_step(found, attachment_id, now))
    held = next((one for one in saved.attachments if one.id == attachment_id), None)
    if held is not None:
        sent = {**(held.connector or {}), "attachment_id": attachment_id}
        await service.hosts.disconnect(saved.backend, _wanted(saved), sent, request_id)
        saved = await _save(service, volume_id, lambda found, now: attaching.forget(found, attachment_id, now))
    return list(saved.attachments)


def _first_step(volume: Volume, attachment_id: str, now: int) -> Volume:
    """One that was never connected is forgotten at once."""
    held = attaching.get_attachment(volume, attachment_id)
    if held.connector is None:
        return attaching.forget(volume, attachment_id, now)
    return attaching.let_go(volume, attachment_id, now)


async def detach(service: VolumeService, context: Context, volume: Volume, attachment_id: str | None) -> None:
    """The old call: without an id the only attachment goes, if there is one.

    Raises: InvalidVolume (400), ServerUsesAttachment (409).
    """
    if attachment_id is None:
        if not volume.attachments:
            return
        if len(volume.attachments) > 1:
            raise InvalidVolume(reason="Detach volume failed: More than one attachment, but no attachment_id provided.")
        attachment_id = volume.attachments[0].id
    await delete(service, context, volume, attachment_id)


async def force_detach(service: VolumeService, context: Context, volume: Volume, attachment_id: str | None) -> None:
    """An administrator's detach, which also ends an error. Raises: InvalidVolume (400), ServerUsesAttachment (409)."""
    await detach(service, context, volume, attachment_id)

    def calm(found: Volume, now: int) -> Volume:
        return reset(found, status_of(found.attachments), now) if found.status is VolumeStatus.ERROR else found

    await _save(service, volume.id, calm)


# -- connections without an attachment ----------------------------------------------------------------------------
async def initialize_connection(
    service: VolumeService, context: Context, volume: Volume, connector: Mapping[str, Any]
) -> dict[str, Any]:
    """The old call for a connection that no attachment remembers."""
    return await service.hosts.connect(volume.backend, _wanted(volume), connector, context.request_id)


async def terminate_connection(
    service: VolumeService, context: Context, volume: Volume, connector: Mapping[str, Any]
) -> None:
    """Raises: ServerUsesAttachment (409)."""
    for held in volume.attachments:
        await check_unused(service, context, volume, held)
    await service.hosts.disconnect(volume.backend, _wanted(volume), connector, context.request_id)
