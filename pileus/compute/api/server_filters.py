"""The query string of a list of servers, brought to one request in the words of the newest microversion."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from pileus.compute.api.paging import LIMIT, MARKER, limit_of, marker_of
from pileus.compute.domain.moments import read_moment
from pileus.compute.domain.server_query import ADMIN_SORT_KEYS, SORT_KEYS, Form, ServerQuery
from pileus.compute.domain.server_states import PowerState, VmState
from pileus.compute.domain.server_status import status_filters
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest, Forbidden
from pileus.foundation.http.request import Request
from pileus.foundation.http.schema import Param, Query, text, word

_WORD = text(0, 255)
_TEXTS = (
    "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants", "reservation_id", "host", "hostname",
    "node", "project_id", "tenant_id", "user_id", "uuid", "vm_state", "task_state", "power_state", "key_name",
    "availability_zone", "config_drive", "deleted", "soft_deleted", "created_at", "launched_at", "terminated_at",
    "progress", "ip6", "access_ip_v4", "access_ip_v6", "auto_disk_config", "description", "display_description",
    "display_name", "image_ref", "instance_type_id", "kernel_id", "launch_index", "locked_by", "ramdisk_id",
    "root_device_name", "instance_name",
)  # fmt: skip

LIST = Query(
    LIMIT,
    MARKER,
    *(Param(name, _WORD, repeat=True) for name in _TEXTS),
    Param("sort_key", word(*sorted(SORT_KEYS - {"locked"})), until="2.72", repeat=True),
    Param("sort_key", word(*sorted(SORT_KEYS)), since="2.73", repeat=True),
    Param("sort_dir", _WORD, repeat=True),
    *(Param(name, _WORD, since="2.26", repeat=True) for name in ("tags", "tags-any", "not-tags", "not-tags-any")),
    Param("changes-before", _WORD, since="2.66", repeat=True),
    Param("locked", _WORD, since="2.73", repeat=True),
    additional_until="2.74",
)

_FOR_ALL = frozenset(
    {
        "reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants", "tags",
        "tags-any", "not-tags", "not-tags-any", "changes-before", "locked",
    }
)  # fmt: skip
_FOR_ALL_LATER = frozenset(
    {
        "availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state",
        "task_state", "vm_state", "progress", "user_id",
    }
)  # fmt: skip
_SINCE = {
    "tags": (2, 26), "tags-any": (2, 26), "not-tags": (2, 26), "not-tags-any": (2, 26), "changes-before": (2, 66),
    "locked": (2, 73),
}  # fmt: skip
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
_POWER = {state.name: state for state in PowerState}


class UnknownStatus(BadRequest):
    code = "compute.list.unknown-status"
    message = "Invalid status value"


class DeletedIsForAdmins(Forbidden):
    code = "compute.list.deleted-is-for-admins"
    message = "Only administrators may list deleted instances"


class FilterInvalid(BadRequest):
    code = "compute.list.filter-invalid"
    message = "Invalid input for query parameters {name}. Value: {value}."


def read_query(request: Request[Compute], form: Form, action: str, *, with_admin: bool = False) -> ServerQuery:
    """What the list asks for; `action` is "index" or "detail", by which rules are named.

    Raises: BadRequest (400), Forbidden (403) for what only administrators may list.
    """
    filters = _allowed(request)
    since, before = _moment(filters, "changes-since"), _moment(filters, "changes-before")
    if since is not None and before is not None and since > before:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    query = ServerQuery(
        form=form,
        with_admin=with_admin,
        project_id=_project(request, filters, action),
        equal=tuple(_equal(filters)),
        patterns=tuple((name, filters[name]) for name in ("name", "hostname", "ip", "ip6") if filters.get(name)),
        config_drive=_boolean(filters, "config_drive"),
        changed_since=since,
        changed_before=before,
        tags=_tags(filters, "tags"),
        tags_any=_tags(filters, "tags-any"),
        not_tags=_tags(filters, "not-tags"),
        not_tags_any=_tags(filters, "not-tags-any"),
        deleted="too" if since is not None else "no",
        sort=_sort(request),
        limit=_limit(request),
        marker=marker_of(request),
    )
    query = _with_deleted(request, filters, query)
    return _with_status(request, query) if "status" in filters else query


def _limit(request: Request[Compute]) -> int:
    """Of servers alone a limit of 0 means none."""
    asked = request.query.get("limit")
    return limit_of(request) if asked is None or int(asked[-1]) else 0


def _allowed(request: Request[Compute]) -> dict[str, str]:
    """The filters that this caller may use; others are passed over, as the reference does."""
    version = request.version
    found = {name: values[-1] for name, values in request.query.items() if version >= _SINCE.get(name, version)}
    if request.may("os_compute_api:servers:allow_all_filters", {"project_id": request.context.project_id}):
        return found
    names = _FOR_ALL
    if version >= (2, 5):
        names = names | {"ip6"}
    if version >= (2, 83):
        names = names | _FOR_ALL_LATER
    return {name: value for name, value in found.items() if name in names}


def _project(request: Request[Compute], filters: dict[str, str], action: str) -> str | None:
    """Whose servers: the caller's project's; of all projects (None) or another one where policy allows that."""
    everywhere = _everywhere(filters)
    if not everywhere:
        return request.context.project_id
    own = {"project_id": request.context.project_id, "user_id": request.context.user_id}
    request.authorize(own, f"os_compute_api:servers:{action}:get_all_tenants")
    return filters.get("tenant_id") or filters.get("project_id")


def _everywhere(filters: dict[str, str]) -> bool:
    """`all_tenants` with nothing behind it means yes; without it other filters by project mean nothing."""
    asked = filters.get("all_tenants")
    if not asked:
        return asked is not None
    found = _truth(asked)
    if found is None:
        raise FilterInvalid(name="all_tenants", value=asked)
    return found


def _truth(word_: str) -> bool | None:
    lowered = word_.strip().lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else None


def _boolean(filters: dict[str, str], name: str) -> bool | None:
    if name not in filters:
        return None
    found = _truth(filters[name])
    if found is None:
        raise FilterInvalid(name=name, value=filters[name])
    return found


def _moment(filters: dict[str, str], name: str) -> int | None:
    return read_moment(filters[name], name) if name in filters else None


_PLAIN = {
    "image": "image_id", "image_ref": "image_id", "flavor": "flavor_id", "reservation_id": "reservation_id",
    "host": "host", "node": "node", "user_id": "user_id", "uuid": "id", "key_name": "key_name",
    "availability_zone": "availability_zone", "vm_state": "vm_state", "display_name": "name",
}  # fmt: skip


def _equal(filters: dict[str, str]) -> Iterable[tuple[str, Any]]:
    for name, fact in _PLAIN.items():
        if filters.get(name):
            yield fact, filters[name].rpartition("/")[2] if name in ("image", "flavor") else filters[name]
    if "task_state" in filters:
        yield "task_state", None if filters["task_state"].lower() in ("", "none", "null") else filters["task_state"]
    if "power_state" in filters:
        yield "power_state", _power_state(filters["power_state"])
    if "locked" in filters:
        yield "is_locked", int(bool(_boolean(filters, "locked")))
    for name in ("created_at", "launched_at"):
        if name in filters:
            yield name, read_moment(filters[name], name)


def _power_state(text_: str) -> int:
    """A number, or the state's name."""
    named = _POWER.get(text_.upper())
    if named is not None:
        return int(named)
    if not (text_.isascii() and text_.isdigit() and len(text_) < 4):
        raise FilterInvalid(name="power_state", value=text_)
    return int(text_)


def _tags(filters: dict[str, str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for tag in filters.get(name, "").split(",") if tag))


def _sort(request: Request[Compute]) -> tuple[tuple[str, str], ...]:
    """The order, which always ends with the id, so that pages never overlap."""
    keys, ways = request.query.get("sort_key", []), request.query.get("sort_dir", [])
    is_admin = request.context.is_admin
    found: dict[str, str] = {}
    for number, key in enumerate(keys or ["created_at"]):
        way = ways[number].lower() if number < len(ways) else (ways[0].lower() if ways and not keys else "desc")
        if way not in ("asc", "desc"):
            raise FilterInvalid(name="sort_dir", value=way)
        if is_admin or key not in ADMIN_SORT_KEYS:
            found.setdefault(key, way)
    if len(ways) > max(len(keys), 1):
        raise BadRequest("Sort direction array length exceeds sort key array length")
    if not found:
        found["created_at"] = "desc"
    found.setdefault("uuid", next(reversed(found.values())))
    return tuple(found.items())


def _with_deleted(request: Request[Compute], filters: dict[str, str], query: ServerQuery) -> ServerQuery:
    """`deleted=true` is for administrators and lists nothing but deleted servers."""
    wanted = _boolean(filters, "deleted")
    if wanted is None or not request.context.is_admin:
        return query
    return replace(query, deleted="only" if wanted else "no")


def _with_status(request: Request[Compute], query: ServerQuery) -> ServerQuery:
    asked = request.query["status"]
    found, unknown = status_filters(asked)
    if unknown and request.version >= (2, 38):
        raise UnknownStatus
    if any(VmState.DELETED in one.vm_states for one in found):
        if not request.context.is_admin:
            raise DeletedIsForAdmins
        query = replace(query, deleted="only" if len(found) == 1 else "too")
    return replace(query, statuses=found)
