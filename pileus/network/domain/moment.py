"""Times as this API writes them: UTC, seconds, Z."""

import datetime

_ZERO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECOND = datetime.timedelta(seconds=1)


def written(microseconds: int) -> str:
    """2026-01-02T03:04:05Z of UTC microseconds."""
    return (_ZERO + _SECOND * (microseconds // 1_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> int:
    """UTC microseconds of a time a caller wrote. Raises ValueError."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return round((moment - _ZERO) / datetime.timedelta(microseconds=1))
