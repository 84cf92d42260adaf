"""What was done with a server, over HTTP: more of it, and to more callers, from microversion to microversion."""

from typing import Any

from pileus.compute.api.paging import limit_of, marker_of, next_page
from pileus.compute.api.reach import target_of
from pileus.compute.app import instance_actions, servers
from pileus.compute.domain.instance_action import ServerAction, ServerEvent
from pileus.compute.domain.moments import maybe_micros, read_moment, to_micros
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_document import host_id
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import Param, Query, digits, text

_EVENTS = "os_compute_api:os-instance-actions:events"

LIST = Query(
    Param("limit", digits(0), since="2.58", repeat=True),
    Param("marker", text(), since="2.58", repeat=True),
    Param("changes-since", text(), since="2.58", repeat=True),
    Param("changes-before", text(), since="2.66", repeat=True),
    additional_until="2.57",
)


async def _reach(request: Request[Compute]) -> Server:
    """The server, from 2.21 on a deleted one too. Raises: ServerNotFound (404), NotAllowed (403)."""
    find = servers.get_even_deleted if request.version >= (2, 21) else servers.get
    server = await find(request.service, request.context, request.params["server_id"])
    request.authorize(target_of(server))
    return server


async def list_actions(request: Request[Compute]) -> Response:
    server = await _reach(request)
    paged = request.version >= (2, 58)
    since = _moment(request, "changes-since") if paged else None
    before = _moment(request, "changes-before") if request.version >= (2, 66) else None
    if since is not None and before is not None and since > before:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    found = await instance_actions.listed(
        request.service,
        server.id,
        since=since,
        before=before,
        marker=marker_of(request) if paged else None,
        limit=limit_of(request),
    )
    document: dict[str, Any] = {"instanceActions": [_action(one, request) for one in found]}
    path = f"/servers/{server.id}/os-instance-actions"
    pages = next_page(request, path, found, found[-1].request_id if found else "") if paged else None
    if pages:
        document["links"] = pages
    return answer(document)


def _moment(request: Request[Compute], name: str) -> int | None:
    asked = request.first(name)
    return None if asked is None else read_moment(asked, name)


async def show_action(request: Request[Compute]) -> Response:
    """Before 2.51 events are for administrators alone."""
    server = await _reach(request)
    action, events = await instance_actions.get(request.service, server.id, request.params["request_id"])
    shown = _action(action, request)
    is_admin = request.may(_EVENTS, target_of(server))
    if is_admin or request.version >= (2, 51):
        shown["events"] = [_event(one, request, server, is_admin=is_admin) for one in events]
    return answer({"instanceAction": shown})


def _action(action: ServerAction, request: Request[Compute]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "action": action.action,
        "instance_uuid": action.server_id,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": to_micros(action.started_at),
        "message": action.message,
    }
    if request.version >= (2, 58):
        shown["updated_at"] = to_micros(action.updated_at)
    return shown


def _event(event: ServerEvent, request: Request[Compute], server: Server, *, is_admin: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "event": event.name,
        "start_time": to_micros(event.started_at),
        "finish_time": maybe_micros(event.ended_at),
        "result": event.result,
    }
    if is_admin:
        shown["traceback"] = None  # programs' insides stay in the log; the request id finds them there
    if request.version >= (2, 62):
        shown["hostId"] = host_id(server.project_id, event.host)
        if is_admin:
            shown["host"] = event.host
    if request.version >= (2, 84) and request.may(f"{_EVENTS}:details", target_of(server)):
        shown["details"] = event.details
    return shown
