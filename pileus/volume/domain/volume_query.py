"""Which volumes a list shows, and in which order."""

from collections.abc import Mapping
from typing import Any

import msgspec


class VolumeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One list. `project_id` None looks at every project's."""

    project_id: str | None
    equal: Mapping[str, Any] = {}  # column of the row -> value
    like: Mapping[str, str] = {}  # column -> part of a text
    metadata: Mapping[str, str] = {}
    times: tuple[tuple[str, str, int], ...] = ()  # column, comparison, moment
    sort: tuple[tuple[str, str], ...] = (("created_at", "desc"), ("id", "desc"))
    limit: int = 1000
    offset: int = 0
    marker: str | None = None
