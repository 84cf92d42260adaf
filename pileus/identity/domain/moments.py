"""Moments as identity writes them: UTC, with microseconds."""

import datetime

_START = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - everything here is UTC


def as_text(microseconds: int) -> str:
    """2026-01-02T03:04:05.000000Z, from UTC microseconds."""
    return as_bare_text(microseconds) + "Z"


def as_bare_text(microseconds: int) -> str:
    """2026-01-02T03:04:05.000000: how the API writes when passwords and application credentials end."""
    return (_START + datetime.timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def read(text: str) -> int:
    """UTC microseconds of an ISO 8601 moment; without a zone it is UTC.

    Raises: ValueError.
    """
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return (moment - _START) // datetime.timedelta(microseconds=1)
