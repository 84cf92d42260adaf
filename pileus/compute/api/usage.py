"""Usage over HTTP: all projects for administrators, one's own for everybody who may read there."""

from typing import Any
from urllib.parse import urlencode

from pileus.compute.api.paging import LIMIT, MARKER, base_of, limit_of, marker_of
from pileus.compute.app import usage
from pileus.compute.domain.moments import maybe_micros, read_moment, to_micros
from pileus.compute.domain.usage import ProjectUsage, ServerUsage, local_gib
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import Param, Query, text

_PERIOD = (Param("start", text(), repeat=True), Param("end", text(), repeat=True))
_PAGE = tuple(Param(param.name, param.type, since="2.40", repeat=True) for param in (LIMIT, MARKER))
LIST = Query(*_PERIOD, *_PAGE, Param("detailed", text(), repeat=True), additional_until="2.74")
SHOW = Query(*_PERIOD, *_PAGE, additional_until="2.74")
_FOUR_WEEKS = 28 * 86_400_000_000


def _period(request: Request[Compute]) -> tuple[int, int]:
    """From `start` to `end`: the last four weeks unless the query says something else. Raises: BadRequest (400)."""
    asked_start, asked_end = request.first("start"), request.first("end")
    stop = read_moment(asked_end, "end") if asked_end else request.service.runtime.now()
    start = read_moment(asked_start, "start") if asked_start else stop - _FOUR_WEEKS
    if start >= stop:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return start, stop


def _page(request: Request[Compute]) -> tuple[str | None, int]:
    return (marker_of(request), limit_of(request)) if request.version >= (2, 40) else (None, 1_000_000)


async def list_usage(request: Request[Compute]) -> Response:
    start, stop = _period(request)
    marker, limit = _page(request)
    found = await usage.of_all(request.service, start=start, stop=stop, marker=marker, limit=limit)
    detailed = request.first("detailed") == "1"
    document: dict[str, Any] = {"tenant_usages": [_project(one, detailed=detailed) for one in found]}
    return _linked(request, document, "tenant_usages", "/os-simple-tenant-usage", found)


async def show_usage(request: Request[Compute]) -> Response:
    project_id = request.params["project_id"]
    request.authorize({"project_id": project_id})
    start, stop = _period(request)
    marker, limit = _page(request)
    found = await usage.of_project(request.service, project_id, start=start, stop=stop, marker=marker, limit=limit)
    shown = _project(found, detailed=True) if found.servers else {}
    return _linked(request, {"tenant_usage": shown}, "tenant_usage", f"/os-simple-tenant-usage/{project_id}", [found])


def _linked(
    request: Request[Compute], document: dict[str, Any], name: str, path: str, found: list[ProjectUsage]
) -> Response:
    """The answer, with a link to the next page when this one is full (2.40)."""
    ids = sorted(one.server.id for project in found for one in project.servers)
    if request.version >= (2, 40) and len(ids) >= limit_of(request):
        query = [(key, value) for key, values in request.query.items() if key != "marker" for value in values]
        href = f"{base_of(request)}{path}?{urlencode([*query, ('marker', ids[-1])])}"
        document[f"{name}_links"] = [{"rel": "next", "href": href}]
    return answer(document)


def _project(found: ProjectUsage, *, detailed: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "tenant_id": found.project_id,
        "total_hours": found.hours,
        "total_vcpus_usage": found.vcpu_hours,
        "total_memory_mb_usage": found.ram_mib_hours,
        "total_local_gb_usage": found.disk_gib_hours,
        "start": to_micros(found.start),
        "stop": to_micros(found.stop),
    }
    if detailed:
        shown["server_usages"] = [_server(one) for one in found.servers]
    return shown


def _server(found: ServerUsage) -> dict[str, Any]:
    server = found.server
    return {
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor.name,
        "vcpus": server.flavor.vcpus,
        "memory_mb": server.flavor.ram_mib,
        "local_gb": local_gib(server),
        "hours": found.hours,
        "uptime": found.uptime_s,
        "started_at": maybe_micros(server.launched_at),
        "ended_at": maybe_micros(server.terminated_at),
        "state": found.state,
    }
