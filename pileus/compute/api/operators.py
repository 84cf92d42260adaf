"""What operators look at and change: services, hypervisors, availability zones."""

from typing import Any

from pileus.compute.api.paging import limit_of, marker_of, next_page
from pileus.compute.app import hypervisors, services, zones
from pileus.compute.app.hypervisors import Hypervisor
from pileus.compute.app.services import ServiceChanges, ServiceFact
from pileus.compute.app.zones import Zone
from pileus.compute.domain.errors import ServiceNotFound
from pileus.compute.domain.moments import to_micros
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest, NotSupported
from pileus.foundation.http.request import Request, Response, answer, empty, encode_json
from pileus.foundation.http.schema import Body, Field, Param, Query, boolean, digits, is_true, text, uuid, word
from pileus.foundation.http.versions import Version

BY_UUID: Version = (2, 53)
LOOPBACK = "127.0.0.1"
"""Where a host is that reports no address of its own: on this machine."""


# -- services ---------------------------------------------------------------------------------------------------------
_NAME = text(1, 255)
LIST_SERVICES = Query(Param("host", text(), repeat=True), Param("binary", text(), repeat=True), additional_until="2.74")
CHANGE_SERVICE_BY_NAME = Body(
    None,
    Field("host", _NAME, required=True),
    Field("binary", _NAME, required=True),
    Field("disabled_reason", _NAME),
    Field("forced_down", boolean, since="2.11"),
)
CHANGE_SERVICE = Body(
    None,
    Field("status", word("enabled", "disabled")),
    Field("disabled_reason", _NAME),
    Field("forced_down", boolean),
)


class NoUptime(NotSupported):
    code = "compute.hypervisor.no-uptime"
    message = "The hypervisor of this host does not tell how long it runs."


class UnknownServiceAction(ServiceNotFound):
    code = "compute.service.unknown-action"
    message = "Unknown action"


async def list_services(request: Request[Compute]) -> Response:
    found = await services.listed(request.service, host=request.first("host"), name=request.first("binary"))
    return answer({"services": [_service(fact, request.version) for fact in found]})


def _service(fact: ServiceFact, version: Version) -> dict[str, Any]:
    service = fact.service
    shown: dict[str, Any] = {
        "binary": service.name,
        "host": service.host,
        "id": service.id if version >= BY_UUID else service.number,
        "zone": fact.zone,
        "status": "disabled" if service.is_disabled else "enabled",
        "state": "up" if fact.is_up else "down",
        "updated_at": to_micros(service.last_seen_at),
        "disabled_reason": service.disabled_reason,
    }
    if version >= (2, 11):
        shown["forced_down"] = service.is_forced_down
    return shown


async def change_service(request: Request[Compute]) -> Response:
    """From 2.53 a service is named by its uuid and changed as a whole."""
    body = request.body
    facts: dict[str, Any] = {}
    if "status" in body:
        facts["is_disabled"] = body["status"] == "disabled"
    if "disabled_reason" in body:
        if body.get("status") != "disabled":
            raise BadRequest("Specifying disabled_reason requires that status is 'disabled'.")
        facts["disabled_reason"] = body["disabled_reason"]
    if "forced_down" in body:
        facts["is_forced_down"] = is_true(body["forced_down"])
    if not facts:
        raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' must be specified.")
    fact = await services.change(request.service, request.params["service_id"], ServiceChanges(**facts))
    return answer({"service": _service(fact, request.version)})


async def change_service_by_name(request: Request[Compute]) -> Response:
    """Before 2.53 the path says what to do: enable, disable, disable-log-reason, force-down (2.11)."""
    body, action = request.body, request.params["service_id"]
    changes, shown = _read_action(action, body, request.version)
    await services.change_on_host(request.service, body["host"], body["binary"], changes)
    return answer({"service": {"host": body["host"], "binary": body["binary"], **shown}})


def _read_action(action: str, body: dict[str, Any], version: Version) -> tuple[ServiceChanges, dict[str, Any]]:
    if action == "enable":
        return ServiceChanges(is_disabled=False), {"status": "enabled"}
    if action == "disable":
        return ServiceChanges(is_disabled=True, disabled_reason=None), {"status": "disabled"}
    if action == "disable-log-reason":
        if "disabled_reason" not in body:
            raise BadRequest("Missing disabled reason field")
        reason = body["disabled_reason"]
        changes = ServiceChanges(is_disabled=True, disabled_reason=reason)
        return changes, {"status": "disabled", "disabled_reason": reason}
    if action == "force-down" and version >= (2, 11):
        if "forced_down" not in body:
            raise BadRequest("Missing forced_down field")
        forced = is_true(body["forced_down"])
        return ServiceChanges(is_forced_down=forced), {"forced_down": forced}
    raise UnknownServiceAction


async def delete_service(request: Request[Compute]) -> Response:
    service_id = request.params["service_id"]
    if request.version < BY_UUID:
        service_id = (await services.by_number(request.service, service_id)).service.id
    await services.delete(request.service, service_id)
    return empty()


# -- hypervisors ------------------------------------------------------------------------------------------------------
LIST_HYPERVISORS = Query(
    Param("limit", digits(0), since="2.33", repeat=True),
    Param("marker", text(), since="2.33", repeat=True),
    Param("hypervisor_hostname_pattern", text(1), since="2.53", repeat=True),
    Param("with_servers", boolean, since="2.53", repeat=True),
    additional_until="2.52",
)
SHOW_HYPERVISOR = Query(Param("with_servers", boolean, since="2.53", repeat=True), additional_until="2.52")


def _with_servers(request: Request[Compute]) -> bool:
    return request.version >= BY_UUID and is_true(request.first("with_servers") or False)


async def list_hypervisors(request: Request[Compute]) -> Response:
    return await _list(request, "/os-hypervisors", detailed=False)


async def list_hypervisors_detailed(request: Request[Compute]) -> Response:
    return await _list(request, "/os-hypervisors/detail", detailed=True)


async def _list(request: Request[Compute], path: str, *, detailed: bool) -> Response:
    version = request.version
    pattern = request.first("hypervisor_hostname_pattern") if version >= BY_UUID else None
    paged = version >= (2, 33)
    if pattern is not None and (request.first("limit") or request.first("marker")):
        raise BadRequest("Paging over hypervisors with the hypervisor_hostname_pattern query is not supported.")
    found = await hypervisors.listed(
        request.service,
        pattern=pattern,
        marker=marker_of(request) if paged else None,
        limit=limit_of(request) if paged else None,
        with_usage=detailed and version < (2, 88),
        with_servers=_with_servers(request),
    )
    document: dict[str, Any] = {"hypervisors": [_hypervisor(one, version, detailed=detailed) for one in found]}
    last = (found[-1].fact.service.id if version >= BY_UUID else str(found[-1].fact.service.number)) if found else ""
    pages = next_page(request, path, found, last) if paged else None
    if pages:
        document["hypervisors_links"] = pages
    return answer(document)


async def show_hypervisor(request: Request[Compute]) -> Response:
    hypervisor_id = request.params["hypervisor_id"]
    _check_id(hypervisor_id, request.version)
    found = await hypervisors.get(
        request.service,
        hypervisor_id,
        with_usage=request.version < (2, 88),
        with_servers=_with_servers(request),
    )
    return answer({"hypervisor": _hypervisor(found, request.version, detailed=True)})


async def show_uptime(request: Request[Compute]) -> Response:
    found = await hypervisors.get(request.service, request.params["hypervisor_id"])
    uptime = _uptime(found.fact.service.inventory.get("uptime_s"))
    if uptime is None:
        raise NoUptime
    return answer({"hypervisor": _hypervisor(found, request.version, detailed=False) | {"uptime": uptime}})


async def search_hypervisors(request: Request[Compute]) -> Response:
    """By a part of their name; from 2.53 a parameter of the list does it."""
    found = await hypervisors.listed(request.service, pattern=request.params["hypervisor_id"])
    return answer({"hypervisors": [_hypervisor(one, request.version, detailed=False) for one in found]})


async def list_hypervisor_servers(request: Request[Compute]) -> Response:
    """The servers of hypervisors found by a part of their name; from 2.53 parameters of the list do it."""
    found = await hypervisors.listed(request.service, pattern=request.params["hypervisor_id"], with_servers=True)
    return answer({"hypervisors": [_hypervisor(one, request.version, detailed=False) for one in found]})


_UUID = Body("id", value=uuid)


def _check_id(hypervisor_id: str, version: Version) -> None:
    """From 2.53 only a uuid names a hypervisor. Raises: BadRequest (400)."""
    if version >= BY_UUID:
        _UUID.validate({"id": hypervisor_id}, version)


def _hypervisor(found: Hypervisor, version: Version, *, detailed: bool) -> dict[str, Any]:
    service = found.fact.service
    shown: dict[str, Any] = {
        "id": service.id if version >= BY_UUID else service.number,
        "hypervisor_hostname": found.hostname,
        "state": "up" if found.fact.is_up else "down",
        "status": "disabled" if service.is_disabled else "enabled",
    }
    if detailed:
        shown |= _details(found, version)
    if found.servers is not None and (found.servers or version >= (2, 75)):
        shown["servers"] = [{"uuid": server_id, "name": name} for server_id, name in found.servers]
    return shown


def _details(found: Hypervisor, version: Version) -> dict[str, Any]:
    service, inventory = found.fact.service, found.fact.service.inventory
    shown: dict[str, Any] = {
        "hypervisor_type": inventory.get("hypervisor_type", ""),
        "hypervisor_version": inventory.get("hypervisor_version", 0),
        "host_ip": inventory.get("host_ip") or LOOPBACK,
        "service": {
            "id": service.id if version >= BY_UUID else service.number,
            "host": service.host,
            "disabled_reason": service.disabled_reason,
        },
    }
    if version >= (2, 88):
        return shown | {"uptime": _uptime(inventory.get("uptime_s"))}
    return shown | _sizes(found, version)


def _sizes(found: Hypervisor, version: Version) -> dict[str, Any]:
    """What placement has told better since 2.88."""
    inventory, usage = found.fact.service.inventory, found.usage or hypervisors.NOTHING
    ram, disk = inventory.get("ram_mib", 0), inventory.get("disk_gib", 0)
    return {
        "vcpus": inventory.get("vcpus", 0),
        "memory_mb": ram,
        "local_gb": disk,
        "vcpus_used": usage.vcpus,
        "memory_mb_used": usage.ram_mib,
        "local_gb_used": usage.disk_gib,
        "free_ram_mb": ram - usage.ram_mib,
        "free_disk_gb": disk - usage.disk_gib,
        "current_workload": usage.busy,
        "running_vms": usage.servers,
        "disk_available_least": inventory.get("disk_free_gib", 0),
        "cpu_info": _cpu(inventory.get("cpu", {}), version),
    }


def _cpu(cpu: dict[str, Any], version: Version) -> dict[str, Any] | str:
    shown = {name: cpu.get(name, "") for name in ("arch", "model", "vendor")}
    shown["features"] = cpu.get("features", [])
    shown["topology"] = {name: cpu.get(name, 1) for name in ("cores", "threads", "sockets")}
    return shown if version >= (2, 28) else encode_json(shown).decode()


def _uptime(seconds: int | None) -> str | None:
    """As the command of that name says it, without what nobody asked the host for; None when the host does not know."""
    if seconds is None:
        return None
    days, rest = divmod(int(seconds), 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    since = f"{days} day{'' if days == 1 else 's'}, " if days else ""
    return f"up {since}{hours:2d}:{minutes:02d}"


async def show_statistics(request: Request[Compute]) -> Response:
    """All hosts added up; gone with 2.88."""
    found = await hypervisors.listed(request.service, with_usage=True)
    sums: dict[str, int] = {"count": len(found)}
    for one in found:
        for name, value in _sizes(one, request.version).items():
            if name != "cpu_info":
                sums[name] = sums.get(name, 0) + value
    return answer({"hypervisor_statistics": sums})


# -- availability zones -----------------------------------------------------------------------------------------------
async def list_zones(request: Request[Compute]) -> Response:
    found = await zones.listed(request.service, internal=False)
    return answer({"availabilityZoneInfo": [_zone(zone) | {"hosts": None} for zone in found]})


async def list_zones_detailed(request: Request[Compute]) -> Response:
    found = await zones.listed(request.service, internal=True)
    return answer({"availabilityZoneInfo": [_zone(zone) | {"hosts": _hosts(zone)} for zone in found]})


def _zone(zone: Zone) -> dict[str, Any]:
    return {"zoneName": zone.name, "zoneState": {"available": zone.is_available}}


def _hosts(zone: Zone) -> dict[str, Any] | None:
    if not zone.is_available:
        return None
    hosts: dict[str, Any] = {}
    for fact in zone.services:
        service = fact.service
        hosts.setdefault(service.host, {})[service.name] = {
            "available": fact.is_up,
            "active": not service.is_disabled,
            "updated_at": to_micros(service.last_seen_at),
        }
    return hosts
