"""What answers have in common: when something changed last, and where things are."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from pileus.foundation.http.request import Request
from pileus.foundation.http.versions import Version

STAMPED: Version = (1, 15)

Headers = list[tuple[str, str]]


def stamp(request: Request[Any], moment: int = 0) -> Headers:
    """The headers that tell when the shown things changed last (UTC microseconds; 0: now), from 1.15 on."""
    if request.version < STAMPED:
        return []
    return [
        ("last-modified", http_date(moment or request.context.started)),
        ("cache-control", "no-cache"),
    ]


def http_date(moment: int) -> str:
    """A moment (UTC microseconds) as HTTP writes it."""
    return format_datetime(datetime.fromtimestamp(moment // 1_000_000, UTC), usegmt=True)


def prefix(request: Request[Any]) -> str:
    """The path under which this service is reached; links begin with it."""
    return urlsplit(request.base_url).path
