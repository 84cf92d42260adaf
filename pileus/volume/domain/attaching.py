"""How an attachment lives: reserved, connected, in use, let go. Each function returns the volume as it is then."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from pileus.volume.domain.errors import AttachmentNotFound, InvalidInput, InvalidVolume, StaleConnector
from pileus.volume.domain.volume import Attachment, Volume, changed, find_attachment, with_attachment
from pileus.volume.domain.volume_states import REMOVES, Action, AttachStatus, check, settle

EPOCH = "pileus_epoch"
"""The connector's key for the epoch of the server's build that wants the volume."""
_T = AttachStatus


def get_attachment(volume: Volume, attachment_id: str) -> Attachment:
    """Raises: AttachmentNotFound (404)."""
    held = find_attachment(volume, attachment_id)
    if held is None:
        raise AttachmentNotFound(attachment_id=attachment_id)
    return held


def reserve(volume: Volume, new_id: str, server_id: str | None, mode: str, now: int) -> Volume:
    """A server will get the volume. One that has it may reserve it again: it moves to another host.

    Raises: WrongStatus, InvalidVolume (400).
    """
    has_it = server_id is not None and any(held.server_id == server_id for held in volume.attachments)
    check(volume, Action.ATTACHMENT_CREATE, more=volume.is_multiattach or has_it)
    _check_mode(volume, mode)
    held = Attachment(
        id=new_id, volume_id=volume.id, project_id=volume.project_id, status=_T.RESERVED, server_id=server_id,
        mode=mode, changed_at=now,
    )  # fmt: skip
    return settle(with_attachment(volume, held, now), now)


def begin_connecting(volume: Volume, attachment_id: str, connector: Mapping[str, Any], now: int) -> Volume:
    """The host that the connector describes will reach the volume; one that is attached stays so.

    Raises: AttachmentNotFound (404), StaleConnector (409), InvalidVolume, InvalidInput (400).
    """
    held = get_attachment(volume, attachment_id)
    epoch = connector.get(EPOCH, held.epoch)
    if not isinstance(epoch, int):
        raise InvalidInput(reason=f"{EPOCH} must be an integer.")
    if epoch < held.epoch:
        raise StaleConnector(epoch=epoch, attachment_id=attachment_id, current=held.epoch)
    if held.status is _T.DETACHED:
        raise InvalidVolume(reason=f"Attachment {attachment_id} is being removed.")
    if volume.action in (Action.CREATE, *REMOVES) or volume.status.value.startswith("error"):
        raise InvalidVolume(
            reason=f"Volume {volume.id} status must be settled to attach it, currently {volume.status}."
        )
    mode = str(connector.get("mode") or held.mode)
    _check_mode(volume, mode)
    status = _T.ATTACHED if held.status is _T.ATTACHED else _T.ATTACHING
    after = replace(
        held, status=status, connector=dict(connector), epoch=epoch, mode=mode, changed_at=now,
        host=_text(connector, "host"), device=_text(connector, "mountpoint"),
    )  # fmt: skip
    return settle(with_attachment(volume, after, now), now)


def _text(connector: Mapping[str, Any], name: str) -> str | None:
    value = connector.get(name)
    return value if isinstance(value, str) and value else None


def _check_mode(volume: Volume, mode: str) -> None:
    if mode not in ("rw", "ro"):
        raise InvalidInput(reason=f"Attaching mode should be 'rw' or 'ro', not {mode!r}.")
    if volume.is_read_only and mode != "ro":
        raise InvalidVolume(reason=f"Invalid attaching mode '{mode}' for volume {volume.id}: it is read-only.")


def connected(volume: Volume, attachment_id: str, epoch: int, connection: dict[str, Any], now: int) -> Volume:
    """The volume can be reached so. Raises: AttachmentNotFound (404), StaleConnector (409)."""
    held = get_attachment(volume, attachment_id)
    if held.epoch != epoch:
        raise StaleConnector(epoch=epoch, attachment_id=attachment_id, current=held.epoch)
    if held.connection == connection:
        return volume
    return with_attachment(volume, replace(held, connection=connection, changed_at=now), now)


def complete(volume: Volume, attachment_id: str, now: int) -> Volume:
    """The guest has the volume; said again, nothing changes. Raises: AttachmentNotFound (404), InvalidVolume (400)."""
    held = get_attachment(volume, attachment_id)
    if held.status is _T.ATTACHED:
        return volume
    if held.status is not _T.ATTACHING:
        raise InvalidVolume(reason=f"Attachment {attachment_id} status must be attaching, currently {held.status}.")
    after = replace(held, status=_T.ATTACHED, attached_at=now, changed_at=now)
    return settle(with_attachment(volume, after, now), now)


def attach(
    volume: Volume, new_id: str, *, server_id: str | None, host: str | None, device: str, mode: str, now: int
) -> Volume:
    """The old call that says that the volume is attached already. Raises: WrongStatus, InvalidInput (400)."""
    check(volume, Action.ATTACH, more=volume.is_multiattach)
    _check_mode(volume, mode)
    held = Attachment(
        id=new_id, volume_id=volume.id, project_id=volume.project_id, status=_T.ATTACHED, server_id=server_id,
        host=host, device=device, mode=mode, attached_at=now, changed_at=now,
    )  # fmt: skip
    return settle(with_attachment(volume, held, now), now)


def let_go(volume: Volume, attachment_id: str, now: int) -> Volume:
    """Nobody may use the attachment any more; the back end is yet to hear of it."""
    held = get_attachment(volume, attachment_id)
    if held.status is _T.DETACHED:
        return volume
    return settle(with_attachment(volume, replace(held, status=_T.DETACHED, changed_at=now), now), now)


def forget(volume: Volume, attachment_id: str, now: int) -> Volume:
    """The attachment is no more; nothing there is fine."""
    rest = tuple(held for held in volume.attachments if held.id != attachment_id)
    if len(rest) == len(volume.attachments):
        return volume
    return settle(changed(volume, now, attachments=rest), now)
