"""What a list's query string asks for: filters, order, page."""

import ast
from collections.abc import Mapping
from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request
from pileus.foundation.http.schema import is_true
from pileus.volume.api.paging import limit_of, marker_of, offset_of
from pileus.volume.domain.moments import read_moment
from pileus.volume.domain.volume_query import VolumeQuery
from pileus.volume.service import VolumeService

ALL_PROJECTS = "volume:get_all_projects"
FILTERS = ("name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size")
"""Filters for everybody; administrators filter by every attribute."""
_MORE = ("id", "volume_type_id", "user_id", "host", "display_name", "glance_metadata", "consumes_quota", "created_at",
         "updated_at")  # fmt: skip
_NOT_FILTERS = frozenset(
    {"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "project_id", "tenant_id",
     "with_count", "name~", "status~", "availability_zone~"}
)  # fmt: skip
_SORTABLE = frozenset({"id", "created_at", "updated_at", "name", "status", "size", "availability_zone", "bootable",
                       "host", "volume_type_id", "project_id", "user_id"})  # fmt: skip
_SNAPSHOT_SORTABLE = frozenset({"id", "created_at", "updated_at", "name", "status", "volume_id", "size"})
_LONGEST = 4096


def read_query(request: Request[VolumeService]) -> VolumeQuery:
    """The list that a request asks for. Raises: BadRequest (400)."""
    _refuse_unknown(request)
    equal: dict[str, Any] = {}
    for name, values in request.query.items():
        if name in ("name", "display_name"):
            equal["name"] = values[0]
        elif name in ("status", "availability_zone", "id", "volume_type_id", "user_id"):
            equal[name] = values[0]
        elif name == "size":
            equal["size"] = _number(values[0])
        elif name == "bootable":
            equal["bootable"] = _bootable(values[0], is_strict=request.version >= (3, 2))
    return VolumeQuery(
        project_id=project_of(request),
        equal=equal,
        like=_likes(request),
        metadata=read_mapping(request.first("metadata"), "metadata"),
        times=_times(request),
        sort=read_sort(request, _SORTABLE),
        limit=limit_of(request),
        offset=offset_of(request),
        marker=marker_of(request),
    )


def read_snapshot_query(request: Request[VolumeService]) -> VolumeQuery:
    """The list of snapshots that a request asks for. Raises: BadRequest (400)."""
    equal: dict[str, Any] = {
        name: values[0] for name in ("name", "status", "volume_id", "id") if (values := request.query.get(name))
    }
    return VolumeQuery(
        project_id=project_of(request),
        equal=equal,
        like={"name": values[0]} if request.version >= (3, 34) and (values := request.query.get("name~")) else {},
        times=_times(request),
        sort=read_sort(request, _SNAPSHOT_SORTABLE),
        limit=limit_of(request),
        offset=offset_of(request),
        marker=marker_of(request),
    )


def project_of(request: Request[VolumeService]) -> str | None:
    """Whose things are asked for: the caller's own, or with `all_tenants` everybody's or the named project's."""
    own = request.context.project_id
    asked = request.first("all_tenants")
    if asked is None or not is_true(asked) or not request.may(ALL_PROJECTS, {"project_id": own}):
        return own
    return request.first("project_id") or request.first("tenant_id")


def _refuse_unknown(request: Request[VolumeService]) -> None:
    """From 3.31 a filter that does not exist is refused; before, it is left aside. Never do groups match."""
    if request.version < (3, 31):
        return
    known = {*FILTERS, *_NOT_FILTERS, *(_MORE if request.context.is_admin else ("created_at", "updated_at", "id"))}
    unknown = sorted(name for name in request.query if name not in known)
    if unknown:
        raise BadRequest(f"Invalid filters {', '.join(unknown)} are found in query options.")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise BadRequest(f"Invalid input received: size must be a number, not {text!r}.")
    return int(text)


def _bootable(text: str, *, is_strict: bool) -> int:
    if is_strict and text.lower() not in ("true", "false", "1", "0"):
        raise BadRequest(f"bootable={text}: Invalid value '{text}'")
    return int(is_true(text))


def _likes(request: Request[VolumeService]) -> dict[str, str]:
    if request.version < (3, 34):
        return {}
    return {name: values[0] for name in ("name", "status", "availability_zone")
            if (values := request.query.get(f"{name}~"))}  # fmt: skip


def read_mapping(text: str | None, name: str) -> Mapping[str, str]:
    """The mapping of a text like {'key': 'value'}, in Python's or JSON's spelling. Raises: BadRequest (400)."""
    if not text:
        return {}
    try:
        found = ast.literal_eval(text) if len(text) <= _LONGEST else None
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as wrong:
        raise BadRequest(f"Invalid input received: {name} is not a dictionary of texts.") from wrong
    if not isinstance(found, dict) or len(found) > 50 or not all(
        isinstance(key, str) and isinstance(value, str) for key, value in found.items()
    ):  # fmt: skip
        raise BadRequest(f"Invalid input received: {name} is not a dictionary of texts.")
    return found


def _times(request: Request[VolumeService]) -> tuple[tuple[str, str, int], ...]:
    """Comparisons such as created_at=gt:2026-01-02T03:04:05. Raises: BadRequest (400)."""
    if request.version < (3, 60):
        return ()
    found = []
    for name in ("created_at", "updated_at"):
        for part in (request.first(name) or "").split(","):
            if not part:
                continue
            word, colon, moment = part.partition(":")
            known = colon and word in ("gt", "gte", "lt", "lte", "eq", "neq")
            found.append((name, word if known else "eq", read_moment(moment if known else part, name)))
    return tuple(found)


def read_sort(request: Request[VolumeService], sortable: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Keys and directions, ended by the id. Raises: BadRequest (400)."""
    sort, key, way = (request.first(name) for name in ("sort", "sort_key", "sort_dir"))
    if sort is not None and (key is not None or way is not None):
        raise BadRequest("The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' "
                         "parameter.")  # fmt: skip
    pairs: list[tuple[str, str]] = []
    for part in (sort or "").split(","):
        if part.strip():
            name, _, direction = part.strip().partition(":")
            pairs.append((name.strip(), direction.strip() or "desc"))
    if key is not None or way is not None:
        pairs.append((key or "created_at", way or "desc"))
    pairs = [("name" if name == "display_name" else name, direction) for name, direction in pairs]
    for name, direction in pairs:
        if name not in sortable:
            raise BadRequest(f"Invalid input received: Invalid sort key: {name}.")
        if direction not in ("asc", "desc"):
            raise BadRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
    pairs = list(dict(pairs or [("created_at", "desc")]).items())
    return tuple(pairs) if any(name == "id" for name, _ in pairs) else (*pairs, ("id", pairs[-1][1]))
