"""Quotas and limits on the wire."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Param, Query, either, integer_or_digits, is_true, mapping, null, text
from pileus.volume.app import quotas
from pileus.volume.domain.quota import MOST
from pileus.volume.service import VolumeService

_limit = either(integer_or_digits(-1, MOST), null)
_sets = mapping(either(integer_or_digits(-1, MOST), text(0, 255), null))
UPDATE = Body("quota_set", value=_sets)
UPDATE_CLASS = Body("quota_class_set", value=_sets)
SHOW = Query(Param("usage", text()))
LIMITS = Query(Param("project_id", text(), since="3.39"))
_NO_LIMITS = frozenset({"tenant_id", "project_id", "force", "id", "class_name"})
"""What clients send beside the limits."""
_OTHER_PROJECT = "limits_extension:used_limits:other_project"


def _target(request: Request[VolumeService]) -> str:
    """The project that the path names, if the caller may."""
    project_id = request.params["target_project_id"]
    request.authorize({"project_id": project_id})
    return project_id


async def show_quota(request: Request[VolumeService]) -> Response:
    project_id = _target(request)
    limits: Mapping[str, Any] = await quotas.limits(request.service, project_id)
    if is_true((request.first("usage") or "false").lower()):
        used = await quotas.used(request.service, project_id)
        limits = {
            name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in limits.items()
        }  # fmt: skip
    return answer({"quota_set": {**limits, "id": project_id}})


async def show_defaults(request: Request[VolumeService]) -> Response:
    project_id = _target(request)
    return answer({"quota_set": {**await quotas.defaults(request.service), "id": project_id}})


async def update_quota(request: Request[VolumeService]) -> Response:
    project_id = _target(request)
    skip = is_true((request.first("skip_validation") or "true").lower())
    changes = _changes(request.body["quota_set"])
    return answer({"quota_set": await quotas.update(request.service, project_id, changes, skip_validation=skip)})


def _changes(asked: Mapping[str, Any]) -> dict[str, int]:
    """The limits to set. Raises: InvalidBody (400)."""
    found = {name: value for name, value in asked.items() if name not in _NO_LIMITS and value is not None}
    _LIMITS_ONLY.validate({"limits": found})
    return {name: int(value) for name, value in found.items()}


_LIMITS_ONLY = Body("limits", value=mapping(integer_or_digits(-1, MOST)))


async def delete_quota(request: Request[VolumeService]) -> Response:
    await quotas.reset(request.service, _target(request))
    return empty(200)


async def show_class(request: Request[VolumeService]) -> Response:
    name = request.params["class_name"]
    return answer({"quota_class_set": {**await quotas.defaults(request.service), "id": name}})


async def update_class(request: Request[VolumeService]) -> Response:
    changes = _changes(request.body["quota_class_set"])
    return answer({"quota_class_set": await quotas.update_defaults(request.service, changes)})


async def show_limits(request: Request[VolumeService]) -> Response:
    """What the project may have, and has; administrators ask for another project from 3.39."""
    project_id = request.context.project_id
    asked = request.first("project_id")
    if asked is not None and request.version >= (3, 39):
        request.authorize({"project_id": asked}, _OTHER_PROJECT)
        project_id = asked
    limits = await quotas.limits(request.service, project_id)
    used = await quotas.used(request.service, project_id)
    absolute = {
        "maxTotalVolumes": limits["volumes"],
        "maxTotalSnapshots": limits["snapshots"],
        "maxTotalVolumeGigabytes": limits["gigabytes"],
        "maxTotalBackups": limits["backups"],
        "maxTotalBackupGigabytes": limits["backup_gigabytes"],
        "totalVolumesUsed": used.get("volumes", 0),
        "totalGigabytesUsed": used.get("gigabytes", 0),
        "totalSnapshotsUsed": used.get("snapshots", 0),
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return answer({"limits": {"rate": [], "absolute": absolute}})
