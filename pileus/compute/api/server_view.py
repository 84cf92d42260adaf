"""Servers in answers: ready documents joined as bytes, with what depends on the caller and on the moment.

A short cut never skips a decision of policy: what this caller may see is asked once for each request, here.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from pileus.compute.api.paging import project_segment
from pileus.compute.app import servers, services
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_document import (
    ADDRESS,
    CUT,
    LATEST,
    PREFIX,
    addresses,
    admin_fields,
    describe,
    fault_details,
    links,
    open_text,
    render,
)
from pileus.compute.domain.server_query import Form, Listed
from pileus.compute.service import Compute
from pileus.foundation.http.request import JSON, Request, Response, encode_json
from pileus.foundation.http.versions import Version

_LAST_OF_FIRST: Version = (2, 2)

_BASIC = frozenset(
    {
        "accessIPv4", "accessIPv6", "created", "flavor", "hostId", "id", "image", "links", "metadata", "name",
        "status", "tenant_id", "user_id", "updated", "OS-DCF:diskConfig", "progress", "fault", "locked",
        "description", "tags", "trusted_image_certificates", "locked_reason",
    }
)  # fmt: skip
"""What PUT and rebuild answered before 2.75, besides the addresses."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What of servers this request may see, and in which form the rows have it."""

    version: Version
    form: Form
    is_admin: bool  # further attributes
    host_status: str  # "": none; "all", or "unknown" for that alone
    details: bool  # of faults
    extra_specs: bool

    @property
    def needs_more(self) -> bool:
        """Whether the documents alone will not do."""
        return self.is_admin or self.details or bool(self.host_status)


def sight_of(request: Request[Compute]) -> Sight:
    version, context = request.version, request.context
    own = {"project_id": context.project_id, "user_id": context.user_id}
    extra_specs = version < (2, 47) or request.may("os_compute_api:os-flavor-extra-specs:index", own)
    status = ""
    if version >= (2, 16):
        if request.may("os_compute_api:servers:show:host_status", own):
            status = "all"
        elif request.may("os_compute_api:servers:show:host_status:unknown-only", own):
            status = "unknown"
    return Sight(
        version,
        "first" if version <= _LAST_OF_FIRST else "latest" if version >= LATEST and extra_specs else "whole",
        request.may("os_compute_api:os-extended-server-attributes", own),
        status,
        context.is_admin,
        extra_specs,
    )


# -- one server as text without its last brace ------------------------------------------------------------------------
def _text(found: Listed, sight: Sight) -> bytes:
    if found.document is None:
        return _fresh(found.server(), sight)
    return _joined(found.document, found.admin, sight)


def _fresh(server: Server, sight: Sight, *, without: AbstractSet[str] = frozenset()) -> bytes:
    """Rendered now: the server is in motion, or nobody keeps a document like this."""
    if sight.form != "whole" and not without:
        documents = render(server)
        document = documents.first if sight.form == "first" else documents.latest
        return _joined(document, documents.admin, sight)
    fields = describe(server, sight.version)
    if not sight.extra_specs:
        fields["flavor"].pop("extra_specs")
    if sight.is_admin:
        fields.update(admin_fields(server, sight.version))
    shown = {name: value for name, value in fields.items() if name not in without}
    return open_text(shown).replace(CUT, fault_details(server) if sight.details else b"")


def _joined(document: bytes, admin: bytes | None, sight: Sight) -> bytes:
    common, later, details = admin.split(CUT) if admin is not None else (b"", b"", b"")
    if CUT in document:
        document = document.replace(CUT, details if sight.details else b"")
    if not sight.is_admin:
        return document
    return document + common if sight.form == "first" else document + common + later


def _joined_for_admin(found: Listed, sight: Sight) -> bytes:
    """`_text` of most servers in an administrator's list: at rest, without a fault."""
    document, admin = found.document, found.admin
    if document is None or admin is None or CUT in document:
        return _text(found, sight)
    common, later, _ = admin.split(CUT)
    return document + common if sight.form == "first" else document + common + later


def _status_text(status: str, sight: Sight) -> bytes:
    shown = sight.host_status == "all" or status == "UNKNOWN"
    return f',"host_status":"{status}"'.encode() if shown else b""


async def _statuses(request: Request[Compute], sight: Sight, hosts: Iterable[str | None]) -> Mapping[str | None, str]:
    """What each server's host_status says; a server without a host has the empty one."""
    if not sight.host_status:
        return {}
    wanted = {host for host in hosts if host is not None}
    found: dict[str | None, str] = {None: ""}
    found.update(await services.host_statuses(request.service, wanted))
    return found


# -- whole answers ----------------------------------------------------------------------------------------------------
async def show(request: Request[Compute], found: Listed, sight: Sight) -> Response:
    """GET /servers/{id}."""
    text = _text(found, sight)
    more = await _shown_alone(request, sight, found.host, found.server_group_id)
    return with_addresses(request, b'{"server":' + text + more + b"}}")


async def show_changed(
    request: Request[Compute], server: Server, *, status: int = 200, more: Mapping[str, Any] | None = None
) -> Response:
    """The answer to PUT and rebuild: the whole server from 2.75 on, some of it before; `more` stands over both."""
    sight = sight_of(request)
    more = more or {}
    if sight.version >= (2, 75):
        text = _fresh(server, sight, without={*more, *(f"OS-EXT-SRV-ATTR:{name}" for name in more)})
        text += await _shown_alone(request, sight, server.host, server.server_group_id)
    else:
        text = await _basic(request, server, sight)
    further = b"," + open_text(dict(more))[1:] if more else b""
    return with_addresses(request, b'{"server":' + text + further + b"}}", status)


async def _shown_alone(request: Request[Compute], sight: Sight, host: str | None, group_id: str | None) -> bytes:
    """What a server shows only by itself, or that changes without it."""
    text = b""
    if sight.host_status:
        text = _status_text((await _statuses(request, sight, (host,)))[host], sight)
    if sight.version >= (2, 71):
        text += b',"server_groups":' + encode_json(await servers.groups_of(request.service, group_id))
    return text


async def _basic(request: Request[Compute], server: Server, sight: Sight) -> bytes:
    fields = {name: value for name, value in describe(server, sight.version).items() if name in _BASIC}
    fields["addresses"] = addresses(server, extended=False)
    if not sight.extra_specs:
        fields["flavor"].pop("extra_specs")
    if sight.version >= (2, 71):
        fields["server_groups"] = await servers.groups_of(request.service, server.server_group_id)
    return open_text(fields).replace(CUT, fault_details(server) if sight.details else b"")


async def list_detailed(
    request: Request[Compute], found: Sequence[Listed], sight: Sight, pages: list[dict[str, Any]] | None
) -> Response:
    """GET /servers/detail."""
    if sight.needs_more:
        statuses = await _statuses(request, sight, (one.host for one in found))
        endings = {host: _status_text(status, sight) for host, status in statuses.items()}
        without = _status_text("", sight) if sight.host_status else b""
        joined = _joined_for_admin if sight.is_admin and sight.form != "whole" else _text
        texts = [joined(one, sight) + endings.get(one.host, without) for one in found]
    else:  # most callers, most servers: the documents as they are
        texts = [
            document if (document := one.document) is not None and CUT not in document else _text(one, sight)
            for one in found
        ]
    return _listed(request, texts, pages)


def list_briefly(request: Request[Compute], found: Sequence[Listed], pages: list[dict[str, Any]] | None) -> Response:
    """GET /servers."""
    texts = [open_text({"id": one.id, "name": one.name, "links": links("servers", one.id)}) for one in found]
    return _listed(request, texts, pages)


def _listed(request: Request[Compute], texts: list[bytes], pages: list[dict[str, Any]] | None) -> Response:
    """The texts lack their last brace. A page is some 150 KB: it is put together once, never piece by piece."""
    more = b',"servers_links":' + encode_json(pages) + b"}" if pages else b"}"
    if not texts:
        return with_addresses(request, b'{"servers":[]' + more)
    texts[0] = b'{"servers":[' + texts[0]
    texts[-1] += b"}]" + more
    return with_addresses(request, b"},".join(texts))


def with_addresses(
    request: Request[Compute], body: bytes, status: int = 200, headers: list[tuple[str, str]] | None = None
) -> Response:
    """The answer with the service's address put in where the documents have marks for it."""
    address = encode_json(request.base_url)[1:-1]  # it comes from the request's own headers
    project = project_segment(request).encode()
    if project:
        body = body.replace(ADDRESS + PREFIX + b"/", address + PREFIX + project + b"/")
    return Response(status, body.replace(ADDRESS, address + project), headers, JSON)


def answer_marked(
    request: Request[Compute],
    document: dict[str, Any],
    status: int = 200,
    headers: list[tuple[str, str]] | None = None,
) -> Response:
    """The answer for a document whose links have marks."""
    return with_addresses(request, encode_json(document), status, headers)
