"""What a list of servers asks for, in the words of the newest microversion."""

from typing import Any, Literal, NamedTuple

from msgspec import Struct
from msgspec.msgpack import Decoder

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import VmState
from pileus.compute.domain.server_status import StatusFilter

_unpack = Decoder(Server).decode

Form = Literal["brief", "first", "latest", "whole"]
"""What is wanted of each server: its name; a rendered document; everything."""

Deleted = Literal["no", "too", "only"]

EQUAL = frozenset(
    {
        "id", "user_id", "vm_state", "task_state", "power_state", "is_locked", "host", "node", "availability_zone",
        "image_id", "flavor_id", "key_name", "reservation_id", "created_at", "launched_at", "name",
    }
)  # fmt: skip
"""Facts of a server that a list may want to be equal to something."""

SORT_KEYS = frozenset(
    {
        "availability_zone", "created_at", "display_name", "host", "hostname", "image_ref", "instance_type_id",
        "key_name", "launched_at", "locked", "node", "power_state", "project_id", "task_state", "updated_at",
        "user_id", "uuid", "vm_state",
    }
)  # fmt: skip
"""The API's words for what a list may be sorted by."""

ADMIN_SORT_KEYS = frozenset({"host", "node"})


class ServerQuery(Struct, frozen=True, kw_only=True):
    """A list's filters, order and page. None and the empty tuple leave a filter out.

    `sort` is ((key, "asc" or "desc"), ...) and always ends with a key that no two servers share. Deleted servers come
    after the living ones, the last deleted first.
    """

    form: Form = "brief"
    with_admin: bool = False  # with the documents' parts for administrators, and the hosts
    project_id: str | None = None
    equal: tuple[tuple[str, Any], ...] = ()  # names of EQUAL
    statuses: tuple[StatusFilter, ...] | None = None  # any of them
    patterns: tuple[tuple[str, str], ...] = ()  # name, hostname, ip or ip6, and a regular expression found in it
    config_drive: bool | None = None
    changed_since: int | None = None
    changed_before: int | None = None
    tags: tuple[str, ...] = ()  # all of them
    tags_any: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()  # not all of them
    not_tags_any: tuple[str, ...] = ()
    deleted: Deleted = "no"
    sort: tuple[tuple[str, str], ...] = (("created_at", "desc"), ("uuid", "desc"))
    limit: int = 1000
    marker: str | None = None


class Listed(NamedTuple):
    """A server as it was found: with the document that was asked for, or packed to render it from.

    Lists leave out what they do not need.
    """

    id: str
    document: bytes | None
    data: bytes | None
    admin: bytes | None = None
    host: str | None = None
    name: str = ""
    hostname: str = ""
    addresses: str = ""  # divided by spaces
    project_id: str = ""
    user_id: str = ""
    server_group_id: str | None = None

    def server(self) -> Server:
        assert self.data is not None
        return _unpack(self.data)


def admits(query: ServerQuery, server: Server) -> bool:
    """Whether a deleted server fits: all but its patterns, which need an engine."""
    moment = server.deleted_at or server.updated_at
    return (
        (query.project_id is None or server.project_id == query.project_id)
        and (query.changed_since is None or moment >= query.changed_since)
        and (query.changed_before is None or moment <= query.changed_before)
        and all(_fact(server, name) == value for name, value in query.equal)
        and (query.config_drive is None or server.config_drive == query.config_drive)
        and (query.statuses is None or any(one.admits(VmState.DELETED, None) for one in query.statuses))
        and not query.tags
        and not query.tags_any
    )


def _fact(server: Server, name: str) -> Any:
    if name == "image_id":
        return server.image.id if server.image is not None else None
    if name == "flavor_id":
        return server.flavor.id
    if name == "is_locked":
        return int(server.is_locked)
    return getattr(server, name)


def texts_of(name: str, *, server_name: str, hostname: str, addresses: str) -> list[str]:
    """What a pattern named `name` is looked for in; `addresses` are the server's, divided by spaces."""
    if name == "name":
        return [server_name]
    if name == "hostname":
        return [hostname]
    wants_v6 = name == "ip6"
    return [address for address in addresses.split() if (":" in address) == wants_v6]
