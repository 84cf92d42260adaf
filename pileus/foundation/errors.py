"""The kinds of failure a caller can meet. A wing's own errors are small subclasses in its `domain/errors.py`.

Nothing here knows HTTP status codes except as the number each kind usually has; `foundation/http` maps and every
service dresses the body its own way.
"""

import errno
from typing import Any

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Error(Exception):
    """A failure that can be told to the caller.

    `message` is a template over the keyword facts; `code` names the error for programs. The facts travel with the
    error over the bus; `log` is for the operator only and never leaves the process.
    """

    status = 500
    message = "The request could not be fulfilled."
    code = "error"

    def __init__(self, message: str | None = None, *, log: str | None = None, **facts: Any):
        self.facts = facts
        self.log = log
        self.text = message if message is not None else type(self).message.format(**facts)
        super().__init__(self.text)


class BadRequest(Error):
    status, code, message = 400, "bad-request", "The request is not valid."


class Unauthorized(Error):
    status, code, message = 401, "unauthorized", "The request you have made requires authentication."


class Forbidden(Error):
    status, code, message = 403, "forbidden", "You are not authorized to perform the requested action."


class NotFound(Error):
    status, code, message = 404, "not-found", "The resource could not be found."


class MethodNotAllowed(Error):
    status, code, message = 405, "method-not-allowed", "The method is not allowed for this resource."


class NotAcceptable(Error):
    status, code, message = 406, "not-acceptable", "The requested representation is not available."


class Conflict(Error):
    status, code, message = 409, "conflict", "The request conflicts with the state of the resource."


class ConcurrentChange(Conflict):
    """A compare-and-set found another generation: read again, decide again."""

    code, message = "concurrent-change", "The resource was changed by another request; read it again and retry."


class Gone(Error):
    status, code, message = 410, "gone", "This resource is no longer available."


class PreconditionFailed(Error):
    status, code, message = 412, "precondition-failed", "The precondition of the request does not hold."


class TooLarge(Error):
    status, code, message = 413, "too-large", "The request is larger than this service accepts."


class UnsupportedMedia(Error):
    status, code, message = 415, "unsupported-media", "The media type of the request is not supported."


class OverQuota(Error):
    """More than the project's quota; each service shows it with a status of its own."""

    status, code, message = 403, "over-quota", "Quota exceeded."


class NoCapacity(Error):
    status, code, message = 503, "no-capacity", "There is no capacity for the request."


class NotSupported(Error):
    status, code, message = 501, "not-supported", "This is not supported here."


class Unavailable(Error):
    """A part that is needed did not answer; trying again later may help."""

    status, code, message = 503, "unavailable", "A service that is needed does not answer; try again later."


class CutOff(Unavailable):
    """Nobody can be reached from here: it says nothing of who was asked, and asking again costs nothing."""

    code = "cut-off"


class DiskFull(Unavailable):
    """A file that some part must write finds no room."""

    code = "disk.full"
    message = "A disk of the cloud is full. Free space in its state directory and retry."


KINDS: dict[str, type[Error]] = {
    kind.__name__: kind
    for kind in (
        Error, BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, Conflict,
        ConcurrentChange, Gone, PreconditionFailed, TooLarge, UnsupportedMedia, OverQuota, NoCapacity,
        NotSupported, Unavailable,
    )
}  # fmt: skip


def kind_of(error: Error) -> type[Error]:
    """The nearest of `KINDS` that `error` is."""
    for cls in type(error).__mro__:
        if cls.__name__ in KINDS and KINDS[cls.__name__] is cls:
            return KINDS[cls.__name__]
    return Error


def to_wire(error: BaseException) -> dict[str, Any]:
    """What a failure is on the bus and in a journal: kind, code, text, facts. A stranger keeps only its class name."""
    if isinstance(error, OSError) and error.errno in FULL:
        error = DiskFull()
    if isinstance(error, Error):
        return {"kind": kind_of(error).__name__, "code": error.code, "text": error.text, "facts": error.facts}
    return {"kind": "Error", "code": f"unexpected.{type(error).__name__}", "text": Error.message, "facts": {}}


def from_wire(wire: dict[str, Any]) -> Error:
    """The failure that `to_wire` wrote, as an instance of its kind with the sender's code."""
    error = KINDS.get(wire["kind"], Error)(wire["text"], **wire.get("facts", {}))
    error.code = wire["code"]
    return error
