"""What the service tells of itself: extensions, zones, filters, the hosts behind it."""

from typing import Any

from pileus.foundation.errors import NotFound
from pileus.foundation.http.request import Request, Response, answer
from pileus.volume.api.volume_filters import FILTERS
from pileus.volume.app import services
from pileus.volume.domain.moments import to_micros
from pileus.volume.service import VolumeService

_EXTENSIONS: dict[str, tuple[str, str]] = {
    "os-admin-actions": ("AdminActions", "Administrators reset states, delete and detach by force."),
    "os-availability-zone": ("AvailabilityZones", "Availability zones are listed."),
    "os-extended-quotas": ("ExtendedQuotas", "Quotas of a project can be removed."),
    "os-quota-class-sets": ("QuotaClasses", "The default quotas can be read and changed."),
    "os-quota-sets": ("Quotas", "Quotas of a project can be read and changed."),
    "os-services": ("Services", "Administrators see the services."),
    "os-types-extra-specs": ("TypesExtraSpecs", "Volume types have extra specs."),
    "os-types-manage": ("TypesManage", "Administrators manage volume types."),
    "os-used-limits": ("UsedLimits", "Limits show what is used."),
    "os-vol-host-attr": ("VolumeHostAttribute", "Administrators see where a volume is."),
    "os-vol-image-meta": ("VolumeImageMetadata", "A volume shows the image it was made from."),
    "os-vol-mig-status-attr": ("VolumeMigStatusAttribute", "Administrators see the migration of a volume."),
    "os-vol-tenant-attr": ("VolumeTenantAttribute", "A volume shows its project."),
    "os-volume-actions": ("VolumeActions", "Volumes can be reserved, attached, detached and extended."),
    "os-volume-encryption-metadata": ("VolumeEncryptionMetadata", "A volume shows how it is encrypted."),
    "os-volume-type-access": ("VolumeTypeAccess", "Volume types can be private to projects."),
}
_UPDATED = "2011-11-03T00:00:00+00:00"


def _extension(alias: str) -> dict[str, Any]:
    name, description = _EXTENSIONS[alias]
    return {"name": name, "alias": alias, "description": description, "updated": _UPDATED, "links": []}


async def list_extensions(request: Request[VolumeService]) -> Response:
    return answer({"extensions": [_extension(alias) for alias in _EXTENSIONS]})


async def show_extension(request: Request[VolumeService]) -> Response:
    alias = request.params["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound()
    return answer({"extension": _extension(alias)})


async def list_zones(request: Request[VolumeService]) -> Response:
    zone = {"zoneName": request.service.settings.zone, "zoneState": {"available": True}}
    return answer({"availabilityZoneInfo": [zone]})


async def list_filters(request: Request[VolumeService]) -> Response:
    """Which filters the lists of each resource know."""
    known = {"volume": list(FILTERS), "attachment": ["volume_id", "instance_id", "status"]}
    wanted = request.first("resource")
    return answer({
        "resource_filters": [
            {"resource": name, "filters": filters} for name, filters in known.items() if wanted in (None, name)
        ]
    })  # fmt: skip


async def list_services(request: Request[VolumeService]) -> Response:
    """The volume-hosts, as administrators know them."""
    binary, host = request.first("binary"), request.first("host")
    found = []
    for one in await services.all_services(request.service):
        name = f"{one.host}@{one.backend}"
        if binary not in (None, "cinder-volume") or host not in (None, name, one.host):
            continue
        shown: dict[str, Any] = {
            "binary": "cinder-volume", "host": name, "zone": request.service.settings.zone,
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
    return answer({"services": found})


async def list_pools(request: Request[VolumeService]) -> Response:
    """Each back end is one pool."""
    detail = (request.first("detail") or "false").lower() in ("true", "1")
    pools: list[dict[str, Any]] = []
    for one in await services.all_services(request.service):
        pool: dict[str, Any] = {"name": f"{one.host}@{one.backend}#{one.backend}"}
        if detail:
            pool["capabilities"] = {
                "volume_backend_name": one.backend, "total_capacity_gb": one.facts.get("total_gib", 0),
                "free_capacity_gb": one.facts.get("free_gib", 0), "allocated_capacity_gb": one.allocated_gib,
                "reserved_percentage": 0, "thin_provisioning_support": True, "multiattach": True,
                "storage_protocol": "file", "driver_version": one.facts.get("version", ""), "vendor_name": "Pileus",
                "timestamp": to_micros(one.last_seen_at), "backend_state": "up" if one.is_alive else "down",
            }  # fmt: skip
        pools.append(pool)
    return answer({"pools": pools})
