"""The states of an image as a table, and the only functions that move it through them."""

from enum import StrEnum

import msgspec

from pileus.image.domain.errors import FormatMissing, NotNowActive, WrongStatus
from pileus.image.domain.image import Image


class Status(StrEnum):
    """Every state an image can be seen in. `deleted` has no row: nobody is shown it."""

    QUEUED = "queued"  # a row without bytes
    SAVING = "saving"  # bytes are coming in
    UPLOADING = "uploading"  # bytes come in, or are, in the staging place
    IMPORTING = "importing"  # staged bytes become the image's
    ACTIVE = "active"
    DEACTIVATED = "deactivated"  # its bytes are for administrators only
    KILLED = "killed"
    PENDING_DELETE = "pending_delete"
    DELETED = "deleted"


Q, SAV, UP, IMP, ACT, OFF, KILL, PEND, DEL = (
    Status.QUEUED, Status.SAVING, Status.UPLOADING, Status.IMPORTING, Status.ACTIVE, Status.DEACTIVATED,
    Status.KILLED, Status.PENDING_DELETE, Status.DELETED,
)  # fmt: skip

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Q: frozenset({SAV, UP, IMP, ACT, DEL}),
    SAV: frozenset({ACT, KILL, Q, DEL}),
    UP: frozenset({IMP, Q, DEL}),
    IMP: frozenset({ACT, Q, DEL}),
    ACT: frozenset({OFF, PEND, DEL}),
    OFF: frozenset({ACT, DEL}),
    KILL: frozenset({DEL}),
    PEND: frozenset({ACT, DEL}),
    DEL: frozenset(),
}

TAKES_BYTES = frozenset({SAV, IMP, ACT})
WAITS_FOR_BYTES = frozenset({Q, UP})


def move(image: Image, wanted: Status) -> Image:
    """The image in another state; back in `queued` it has neither bytes nor sizes.

    Raises: WrongStatus (409); FormatMissing (400) when bytes would come before their formats are named.
    """
    status = Status(image.status)
    if wanted not in TRANSITIONS[status]:
        raise WrongStatus(status=status.value, wanted=wanted.value)
    if status in WAITS_FOR_BYTES and wanted in TAKES_BYTES:
        require_formats(image)
    if wanted is Status.QUEUED:
        return msgspec.structs.replace(
            image, status=wanted.value, size=None, virtual_size=None, checksum=None, os_hash_algo=None,
            os_hash_value=None, location="",
        )  # fmt: skip
    return msgspec.structs.replace(image, status=wanted.value)


def require_formats(image: Image) -> None:
    """Raises: FormatMissing (400)."""
    missing = [name for name in ("disk_format", "container_format") if not getattr(image, name)]
    if missing:
        word = "Property" if len(missing) == 1 else "Properties"
        raise FormatMissing(names=f"{word} {', '.join(missing)}")


def deactivate(image: Image) -> Image:
    """The image with its bytes locked away; doing it twice is fine.

    Raises: NotNowActive (403) in any other state.
    """
    if image.status == OFF:
        return image
    if image.status != ACT:
        raise NotNowActive(action="deactivate", status=image.status)
    return move(image, OFF)


def reactivate(image: Image) -> Image:
    """The image as it was before `deactivate`; doing it twice is fine.

    Raises: NotNowActive (403) in any other state.
    """
    if image.status == ACT:
        return image
    if image.status != OFF:
        raise NotNowActive(action="reactivate", status=image.status)
    return move(image, ACT)
