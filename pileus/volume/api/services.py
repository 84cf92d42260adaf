"""The hosts behind the service, as administrators see and steer them."""

from typing import Any

from pileus.foundation.errors import BadRequest, NotFound
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import Body, Field, nullable, text
from pileus.volume.app import services
from pileus.volume.app.services import HostState
from pileus.volume.domain.backend_choice import capabilities_of
from pileus.volume.domain.errors import ServiceNotFound
from pileus.volume.domain.moments import to_micros
from pileus.volume.service import VolumeService

VOLUME, SCHEDULER = "cinder-volume", "cinder-scheduler"
_host = Field("host", text(1, 255), required=True)
SWITCH = Body(None, _host, Field("binary", text(1, 255)), Field("service", text(1, 255)), additional=True)
DISABLE = Body(
    None, _host, Field("binary", text(1, 255)), Field("service", text(1, 255)),
    Field("disabled_reason", nullable(text(0, 255))), additional=True,
)  # fmt: skip


async def list_services(request: Request[VolumeService]) -> Response:
    """The volume-hosts, as administrators know them."""
    binary, host = request.first("binary"), request.first("host")
    found = [_scheduler(request)]
    for one in await services.all_services(request.service):
        shown: dict[str, Any] = {
            "binary": VOLUME, "host": f"{one.host}@{one.backend}", "zone": request.service.settings.zone,
            "status": "disabled" if one.is_disabled else "enabled",
            "state": "up" if one.is_alive else "down",
            "updated_at": to_micros(one.last_seen_at), "disabled_reason": one.reason,
            "replication_status": "disabled", "active_backend_id": None, "frozen": False,
        }  # fmt: skip
        if request.version >= (3, 7):
            shown["cluster"] = None
        if request.version >= (3, 49):
            shown["backend_state"] = "up" if one.is_alive else "down"
        found.append(shown)
    fitting = [
        one for one in found
        if binary in (None, one["binary"]) and host in (None, one["host"], one["host"].partition("@")[0])
    ]  # fmt: skip
    return answer({"services": fitting})


def _scheduler(request: Request[VolumeService]) -> dict[str, Any]:
    """Who chooses back ends: this service itself, which answers and so is up."""
    shown: dict[str, Any] = {
        "binary": SCHEDULER, "host": request.service.settings.host, "zone": request.service.settings.zone,
        "status": "enabled", "state": "up", "updated_at": to_micros(request.service.runtime.now()),
        "disabled_reason": None,
    }  # fmt: skip
    return {**shown, "cluster": None} if request.version >= (3, 7) else shown


async def _switch(request: Request[VolumeService], *, is_disabled: bool, reason: str | None) -> dict[str, Any]:
    """Raises: ServiceNotFound (404)."""
    host, binary = request.body["host"], request.body.get("binary") or request.body.get("service") or VOLUME
    if binary != VOLUME:
        raise ServiceNotFound(host=host)
    await services.set_disabled(request.service, host, is_disabled=is_disabled, reason=reason)
    status = "disabled" if is_disabled else "enabled"
    return {"host": host, "service": binary, "binary": binary, "disabled": is_disabled, "status": status}


async def enable_service(request: Request[VolumeService]) -> Response:
    return answer({**await _switch(request, is_disabled=False, reason=None), "disabled_reason": None})


async def disable_service(request: Request[VolumeService]) -> Response:
    return answer(await _switch(request, is_disabled=True, reason=None))


async def disable_with_reason(request: Request[VolumeService]) -> Response:
    reason = request.body.get("disabled_reason")
    if not reason:
        raise BadRequest("Invalid input received: disabled_reason is needed.")
    return answer({**await _switch(request, is_disabled=True, reason=reason), "disabled_reason": reason})


async def list_hosts(request: Request[VolumeService]) -> Response:
    found = [_host_view(request, SCHEDULER, request.service.settings.host, request.service.runtime.now())]
    for one in await services.all_services(request.service):
        shown = _host_view(request, VOLUME, f"{one.host}@{one.backend}", one.last_seen_at)
        shown["service-status"] = "available" if one.is_alive else "unavailable"
        shown["service-state"] = "disabled" if one.is_disabled else "enabled"
        found.append(shown)
    wanted = request.first("service")
    return answer({"hosts": [one for one in found if wanted in (None, one["service"])]})


def _host_view(request: Request[VolumeService], binary: str, name: str, seen_at: int) -> dict[str, Any]:
    return {
        "service-status": "available", "service": binary, "zone": request.service.settings.zone,
        "service-state": "enabled", "host_name": name, "last-update": to_micros(seen_at),
    }  # fmt: skip


async def _find_host(request: Request[VolumeService], name: str) -> HostState:
    """The back end that HOST@BACKEND, with or without #POOL, names. Raises: NotFound (404)."""
    for one in await services.all_services(request.service):
        if name.partition("#")[0] == f"{one.host}@{one.backend}":
            return one
    raise NotFound(f"Host '{name}' could not be found.")


async def show_host(request: Request[VolumeService]) -> Response:
    """How much is kept there: in all, then by project."""
    one = await _find_host(request, request.params["host_name"])
    usage = await services.usage(request.service, one.backend)
    total = ("(total)", sum(use[1] for use in usage), sum(use[2] for use in usage))
    rows = [
        {
            "resource": {
                "volume_count": str(count), "total_volume_gb": str(gib), "total_snapshot_gb": "0", "project": project,
                "host": request.params["host_name"], "snapshot_count": "0",
            }
        }
        for project, count, gib in (total, *usage)
    ]  # fmt: skip
    return answer({"host": rows})


async def show_capabilities(request: Request[VolumeService]) -> Response:
    one = await _find_host(request, request.params["host_name"])
    known = capabilities_of(one.backend)
    return answer({
        "namespace": f"OS::Storage::Capabilities::{one.host}@{one.backend}", "vendor_name": known["vendor_name"],
        "volume_backend_name": one.backend, "pool_name": one.backend, "driver_version": one.facts.get("version", ""),
        "storage_protocol": known["storage_protocol"], "display_name": None, "description": None, "visibility": None,
        "replication_targets": [],
        "properties": {
            "thin_provisioning": {"title": "Thin Provisioning", "description": "Volumes take room as they are written.",
                                  "type": "boolean"},
        },
    })  # fmt: skip


async def list_pools(request: Request[VolumeService]) -> Response:
    """Each back end is one pool."""
    detail = (request.first("detail") or "false").lower() in ("true", "1")
    pools: list[dict[str, Any]] = []
    for one in await services.all_services(request.service):
        pool: dict[str, Any] = {"name": f"{one.host}@{one.backend}#{one.backend}"}
        if detail:
            pool["capabilities"] = {
                **capabilities_of(one.backend), "total_capacity_gb": one.facts.get("total_gib", 0),
                "free_capacity_gb": one.facts.get("free_gib", 0), "allocated_capacity_gb": one.allocated_gib,
                "reserved_percentage": 0, "thin_provisioning_support": True, "multiattach": True,
                "driver_version": one.facts.get("version", ""),
                "timestamp": to_micros(one.last_seen_at), "backend_state": "up" if one.is_alive else "down",
            }  # fmt: skip
        pools.append(pool)
    return answer({"pools": pools})
