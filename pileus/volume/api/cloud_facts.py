"""What the service tells of itself: extensions, zones, filters."""

from typing import Any

from pileus.foundation.errors import NotFound
from pileus.foundation.http.request import Request, Response, answer
from pileus.volume.api.volume_filters import FILTERS
from pileus.volume.service import VolumeService

_EXTENSIONS: dict[str, tuple[str, str]] = {
    "os-admin-actions": ("AdminActions", "Administrators reset states, delete and detach by force."),
    "os-availability-zone": ("AvailabilityZones", "Availability zones are listed."),
    "os-extended-quotas": ("ExtendedQuotas", "Quotas of a project can be removed."),
    "os-hosts": ("Hosts", "Administrators see the hosts."),
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
