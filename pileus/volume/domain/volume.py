"""A volume and its attachments: one frozen value, one state machine."""

from collections.abc import Mapping
from typing import Any, NewType

import msgspec
from msgspec.structs import replace

from pileus.volume.domain.volume_states import Action, AttachStatus, VolumeStatus

VolumeId = NewType("VolumeId", str)

DEFAULT_TYPE = "__DEFAULT__"


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One hold on a volume: by a server, or by a host when `server_id` is None. Times are UTC microseconds."""

    id: str
    volume_id: str
    project_id: str
    status: AttachStatus
    server_id: str | None = None
    host: str | None = None
    device: str | None = None  # the mount point that the connector named
    mode: str = "rw"
    epoch: int = 0  # of the server's build that connected it
    connector: dict[str, Any] | None = None
    connection: dict[str, Any] | None = None  # how the connector reaches the volume; for services only
    attached_at: int | None = None
    changed_at: int = 0


class Volume(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A volume as its row has it. Times are UTC microseconds."""

    id: VolumeId
    project_id: str
    user_id: str
    size_gib: int
    status: VolumeStatus
    backend: str
    type_id: str
    zone: str
    created_at: int
    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}
    image_metadata: dict[str, Any] | None = None  # of the image it was made from
    image_id: str | None = None
    snapshot_id: str | None = None
    source_volume_id: str | None = None
    is_bootable: bool = False
    is_multiattach: bool = False
    read_only: bool | None = None  # None: never said
    attachments: tuple[Attachment, ...] = ()
    action: Action | None = None  # what is in flight
    action_at: int | None = None
    began_in: VolumeStatus | None = None
    grows_to: int | None = None  # GiB, while it is being extended: quotas count this
    updated_at: int | None = None
    generation: int = 0
    type_name: str = ""  # joined in when it is read

    @property
    def is_read_only(self) -> bool:
        return bool(self.read_only)

    @property
    def is_attached(self) -> bool:
        return any(held.status is AttachStatus.ATTACHED for held in self.attachments)


def changed(volume: Volume, now: int, **facts: Any) -> Volume:
    """The volume with other facts, changed now."""
    return replace(volume, updated_at=now, **facts)


def find_attachment(volume: Volume, attachment_id: str) -> Attachment | None:
    return next((held for held in volume.attachments if held.id == attachment_id), None)


def with_attachment(volume: Volume, attachment: Attachment, now: int) -> Volume:
    """The volume with this attachment in place of the one with its id, or added."""
    held = tuple(attachment if one.id == attachment.id else one for one in volume.attachments)
    is_known = find_attachment(volume, attachment.id) is not None
    return changed(volume, now, attachments=held if is_known else (*held, attachment))


def is_multiattach_type(specs: Mapping[str, str]) -> bool:
    """Whether a type's extra specs let several servers have one volume: `multiattach: <is> True`."""
    words = specs.get("multiattach", "").split()
    return len(words) == 2 and words[0] == "<is>" and words[1].lower() == "true"
