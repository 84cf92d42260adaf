"""The states of a volume: one table of rules, and the only functions that change a status.

Every row of the published operations stands in `RULES`, also those whose command comes later. A volume without work in
flight has the status that its attachments give it. This module refuses what a rule does not admit (400 in this
service) and never does the work itself.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pileus.volume.domain.errors import Superseded, WrongStatus

if TYPE_CHECKING:
    from pileus.volume.domain.volume import Attachment, Volume


class VolumeStatus(StrEnum):
    """What a volume shows."""

    CREATING = "creating"
    AVAILABLE = "available"
    RESERVED = "reserved"
    ATTACHING = "attaching"
    IN_USE = "in-use"
    DETACHING = "detaching"
    MAINTENANCE = "maintenance"
    DELETING = "deleting"
    EXTENDING = "extending"
    RETYPING = "retyping"
    UPLOADING = "uploading"
    DOWNLOADING = "downloading"
    BACKING_UP = "backing-up"
    RESTORING_BACKUP = "restoring-backup"
    AWAITING_TRANSFER = "awaiting-transfer"
    MANAGING = "managing"
    REVERTING = "reverting"
    ERROR = "error"
    ERROR_DELETING = "error_deleting"
    ERROR_MANAGING = "error_managing"
    ERROR_EXTENDING = "error_extending"
    ERROR_RESTORING = "error_restoring"
    ERROR_BACKING_UP = "error_backing-up"


class AttachStatus(StrEnum):
    """How far an attachment is. `detached`: let go, and about to be forgotten."""

    RESERVED = "reserved"
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHED = "detached"


class Action(StrEnum):
    """Everything that can be asked of a volume; the value is the word of the API's refusals."""

    CREATE = "create"
    DELETE = "delete"
    FORCE_DELETE = "force_delete"
    ATTACHMENT_CREATE = "attachment_create"
    ATTACHMENT_DELETE = "attachment_delete"
    RESERVE = "reserve"
    UNRESERVE = "unreserve"
    ATTACH = "attach"
    BEGIN_DETACHING = "begin_detaching"
    ROLL_DETACHING = "roll_detaching"
    EXTEND = "extend"
    RETYPE = "retype"
    MIGRATE = "migrate_volume"
    UPLOAD_IMAGE = "upload_image"
    CREATE_SNAPSHOT = "create_snapshot"
    CREATE_BACKUP = "create_backup"
    RESTORE_BACKUP = "restore_backup"
    TRANSFER = "transfer"
    REIMAGE = "reimage"
    REVERT = "revert"
    SET_BOOTABLE = "set_bootable"
    SET_METADATA = "set_metadata"
    UPDATE = "update"
    RESET_STATUS = "reset_status"


_S, _A, _T = VolumeStatus, Action, AttachStatus

ANY: frozenset[VolumeStatus] = frozenset(VolumeStatus)
DELETABLE = frozenset({_S.AVAILABLE, _S.ERROR, _S.ERROR_RESTORING, _S.ERROR_EXTENDING, _S.ERROR_MANAGING})
TRANSITIONAL = frozenset(
    {
        _S.CREATING, _S.DOWNLOADING, _S.DELETING, _S.EXTENDING, _S.RETYPING, _S.UPLOADING, _S.BACKING_UP,
        _S.RESTORING_BACKUP, _S.REVERTING, _S.MANAGING,
    }
)  # fmt: skip
"""Statuses in which somebody must be at work on the volume."""
HOLDS_DATA = ANY - {_S.CREATING, _S.DOWNLOADING, _S.DELETING, _S.ERROR, _S.ERROR_DELETING, _S.ERROR_MANAGING}
"""Statuses in which the back end must have the volume."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When an action may begin, what shows meanwhile, where it ends."""

    statuses: AbstractSet[VolumeStatus]
    more: AbstractSet[VolumeStatus] = frozenset()  # admitted too, under the condition `when`
    when: str = ""
    shows: Sequence[VolumeStatus] = ()  # in this order while it runs; nothing: it only asks permission
    fails_in: VolumeStatus | None = None  # None: where it began
    detached: bool = False  # refused while anything holds the volume
    deadline_s: int = 600  # longer in flight means that something is wrong


# fmt: off
RULES: dict[Action, Rule] = {
    _A.CREATE: Rule({_S.CREATING}, shows=(_S.CREATING, _S.DOWNLOADING), fails_in=_S.ERROR, deadline_s=7200),
    _A.DELETE: Rule(DELETABLE, shows=(_S.DELETING,), fails_in=_S.ERROR_DELETING, detached=True),
    _A.FORCE_DELETE: Rule(ANY, shows=(_S.DELETING,), fails_in=_S.ERROR_DELETING),
    _A.ATTACHMENT_CREATE: Rule({_S.AVAILABLE, _S.DOWNLOADING}, {_S.IN_USE}, "multiattach"),
    _A.ATTACHMENT_DELETE: Rule(ANY),
    _A.RESERVE: Rule({_S.AVAILABLE}, {_S.IN_USE}, "multiattach"),
    _A.UNRESERVE: Rule({_S.ATTACHING}),
    _A.ATTACH: Rule({_S.AVAILABLE, _S.ATTACHING, _S.RESERVED}, {_S.IN_USE}, "multiattach"),
    _A.BEGIN_DETACHING: Rule({_S.IN_USE}),
    _A.ROLL_DETACHING: Rule({_S.DETACHING}),
    _A.EXTEND: Rule({_S.AVAILABLE}, {_S.IN_USE}, "3.42", (_S.EXTENDING,), _S.ERROR_EXTENDING),
    _A.RETYPE: Rule({_S.AVAILABLE, _S.IN_USE}, shows=(_S.RETYPING,)),
    _A.MIGRATE: Rule({_S.AVAILABLE, _S.IN_USE}, shows=(_S.MAINTENANCE,)),
    _A.UPLOAD_IMAGE: Rule({_S.AVAILABLE}, {_S.IN_USE}, "force", (_S.UPLOADING,), deadline_s=7200),
    _A.CREATE_SNAPSHOT: Rule({_S.AVAILABLE}, {_S.IN_USE}, "force or 3.66"),
    _A.CREATE_BACKUP: Rule({_S.AVAILABLE}, {_S.IN_USE}, "force", (_S.BACKING_UP,), deadline_s=7200),
    _A.RESTORE_BACKUP: Rule({_S.AVAILABLE}, shows=(_S.RESTORING_BACKUP,), fails_in=_S.ERROR_RESTORING, deadline_s=7200),
    _A.TRANSFER: Rule({_S.AVAILABLE}, shows=(_S.AWAITING_TRANSFER,)),
    _A.REIMAGE: Rule({_S.AVAILABLE, _S.ERROR}, {_S.RESERVED}, "asked", (_S.DOWNLOADING,), _S.ERROR, deadline_s=7200),
    _A.REVERT: Rule({_S.AVAILABLE, _S.IN_USE}, shows=(_S.REVERTING,), fails_in=_S.ERROR, deadline_s=7200),
    _A.SET_BOOTABLE: Rule(ANY - {_S.MAINTENANCE}),
    _A.SET_METADATA: Rule(ANY - {_S.MAINTENANCE, _S.UPLOADING}),
    _A.UPDATE: Rule(ANY - {_S.MAINTENANCE}),
    _A.RESET_STATUS: Rule(ANY),
}
# fmt: on

REMOVES = frozenset({_A.DELETE, _A.FORCE_DELETE})

_SHOWN = ((_T.ATTACHED, _S.IN_USE), (_T.ATTACHING, _S.ATTACHING), (_T.RESERVED, _S.RESERVED),
          (_T.DETACHED, _S.DETACHING))  # fmt: skip


def status_of(attachments: "Iterable[Attachment]") -> VolumeStatus:
    """What a volume at rest shows: the furthest of its attachments."""
    found = {held.status for held in attachments}
    return next((shown for status, shown in _SHOWN if status in found), _S.AVAILABLE)


def check(volume: "Volume", action: Action, *, more: bool = False) -> Rule:
    """Return the rule of `action` when `volume` admits it now; `more` says that the rule's condition holds.

    Raises: WrongStatus (400).
    """
    rule = RULES[action]
    if volume.status not in rule.statuses and not (more and volume.status in rule.more):
        raise WrongStatus(reason=_reason(volume, action, rule, more))
    if rule.detached and volume.attachments:
        raise WrongStatus(reason=_reason(volume, action, rule, more))
    return rule


def begin(volume: "Volume", action: Action, now: int, *, more: bool = False) -> "Volume":
    """Return the volume as it is while `action` runs; one that only asks permission returns it unchanged.

    A delete during a delete changes nothing either. Raises: WrongStatus (400).
    """
    if action in REMOVES and volume.action in REMOVES:
        return volume
    rule = check(volume, action, more=more)
    if not rule.shows:
        return volume
    return replace(
        volume, action=action, action_at=now, began_in=volume.status, status=rule.shows[0], updated_at=now
    )  # fmt: skip


def advance(volume: "Volume", status: VolumeStatus, now: int) -> "Volume":
    """Return the volume one status further in the action that runs; staying is fine. Raises: Superseded (409)."""
    shows = RULES[volume.action].shows if volume.action is not None else ()
    if status not in shows:
        raise Superseded(action=status, volume_id=volume.id, current=volume.action)
    return volume if status is volume.status else replace(volume, status=status, updated_at=now)


def finish(volume: "Volume", action: Action, now: int) -> "Volume":
    """Return the volume after `action` succeeded. Raises: Superseded (409) when another action runs."""
    _require_running(volume, action)
    return replace(
        volume, action=None, action_at=None, began_in=None, status=status_of(volume.attachments), updated_at=now
    )  # fmt: skip


def fail(volume: "Volume", action: Action, now: int) -> "Volume":
    """Return the volume after `action` failed: where the rule says, else where it began.

    Raises: Superseded (409) when another action runs.
    """
    _require_running(volume, action)
    end = RULES[action].fails_in or volume.began_in or _S.ERROR
    return replace(volume, action=None, action_at=None, began_in=None, status=end, updated_at=now)


def settle(volume: "Volume", now: int) -> "Volume":
    """Return the volume after its attachments changed; while an action runs, its own status goes on showing."""
    if volume.action is not None or volume.status in _UNTOUCHED:
        return volume
    shown = status_of(volume.attachments)
    return volume if shown is volume.status else replace(volume, status=shown, updated_at=now)


_UNTOUCHED = frozenset({_S.MAINTENANCE, _S.AWAITING_TRANSFER}) | {
    status for status in VolumeStatus if status.value.startswith("error")
}


def mark(volume: "Volume", action: Action, now: int) -> "Volume":
    """Return the volume after one of the old calls that only move its status. Raises: WrongStatus (400)."""
    check(volume, action, more=volume.is_multiattach)
    if action is _A.RESERVE:
        return replace(volume, status=_S.ATTACHING, updated_at=now)
    if action is _A.UNRESERVE or action is _A.ROLL_DETACHING:
        return replace(volume, status=status_of(volume.attachments), updated_at=now)
    if not volume.is_attached:
        raise WrongStatus(reason=_REASONS[_A.BEGIN_DETACHING].format(id=volume.id, status=volume.status.value))
    return replace(volume, status=_S.DETACHING, updated_at=now)


def reset(volume: "Volume", status: VolumeStatus, now: int) -> "Volume":
    """Return the volume with the status that an administrator gives it; what was in flight is forgotten."""
    return replace(volume, action=None, action_at=None, began_in=None, status=status, updated_at=now)


def is_overdue(volume: "Volume", now: int) -> bool:
    """Whether the running action is in flight for longer than its rule's deadline."""
    if volume.action is None or volume.action_at is None:
        return False
    return now - volume.action_at > RULES[volume.action].deadline_s * 1_000_000


def _require_running(volume: "Volume", action: Action) -> None:
    if volume.action is not action:
        current = volume.action.value if volume.action is not None else "none"
        raise Superseded(action=action.value, volume_id=volume.id, current=current)


DELETE_REFUSAL = (
    "Volume status must be available or error or error_restoring or error_extending or error_managing and must not be "
    "migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots "
    "after volume transfer."
)
_REASONS: dict[Action, str] = {
    _A.DELETE: DELETE_REFUSAL,
    _A.BEGIN_DETACHING: "Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' "
    "to detach.",
    _A.EXTEND: "Volume {id} status must be '{expected}' to extend, currently {status}.",
    _A.ATTACHMENT_CREATE: "Volume {id} status must be {expected} to reserve, but the current status is {status}.",
    _A.RESERVE: "Volume status must be available to reserve, but the status is {status}.",
}

_OTHERS = "Volume {id} status must be {expected} to {action}, but the current status is {status}."


def _reason(volume: "Volume", action: Action, rule: Rule, more: bool) -> str:
    admitted = rule.statuses | rule.more if more else rule.statuses
    expected = " or ".join(sorted(status.value for status in admitted))
    text = _REASONS.get(action, _OTHERS)
    return text.format(id=volume.id, expected=expected, status=volume.status.value, action=action.value)
