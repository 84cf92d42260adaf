"""Moments as the compute API writes and reads them. Inside, a moment is UTC microseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta

from pileus.foundation.errors import BadRequest

_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(
    r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ](\d{2}):?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?"
)


class MomentInvalid(BadRequest):
    code = "compute.request.moment-invalid"
    message = "Invalid input for query parameters {name}. Value: {value}. {value!r} is not a 'date-time'"


def to_seconds(moment: int) -> str:
    """2026-01-02T03:04:05Z: when a server was created and last changed."""
    return (_EPOCH + timedelta(seconds=moment // _SECOND)).isoformat()[:19] + "Z"


def to_micros(moment: int) -> str:
    """2026-01-02T03:04:05.000000, without a zone: all other moments of the API."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds")[:26]


def maybe_micros(moment: int | None) -> str | None:
    return None if moment is None else to_micros(moment)


def read_moment(text: str, name: str) -> int:
    """The moment that an ISO 8601 text means, UTC where it names no zone. Raises: MomentInvalid (400)."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise MomentInvalid(name=name, value=text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "").ljust(6, "0")[:6]), UTC,
        )  # fmt: skip
    except ValueError as wrong:
        raise MomentInvalid(name=name, value=text) from wrong
    return (moment - _EPOCH - _offset(zone)) // timedelta(microseconds=1)


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset
