"""Quotas and limits over HTTP: which resources are named depends on the microversion."""

from collections.abc import Mapping
from typing import Any

from pileus.compute.app import quotas
from pileus.compute.service import Compute
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, Param, Query, boolean, integer_or_digits, is_true, text
from pileus.foundation.http.versions import Version

_ALWAYS = ("cores", "instances", "key_pairs", "metadata_items", "ram")
_GROUPS = ("server_group_members", "server_groups")
_NETWORK = ("fixed_ips", "floating_ips", "security_group_rules", "security_groups")  # until 2.35, in classes 2.49
_FILES = ("injected_file_content_bytes", "injected_file_path_bytes", "injected_files")  # until 2.56

_LIMIT = integer_or_digits(-1, 2_147_483_647)
UPDATE = Body(
    "quota_set",
    *(Field(name, _LIMIT) for name in (*_ALWAYS, *_GROUPS)),
    *(Field(name, _LIMIT, until="2.35") for name in _NETWORK),
    *(Field(name, _LIMIT, until="2.56") for name in _FILES),
    Field("force", boolean),
)
UPDATE_CLASS = Body(
    "quota_class_set",
    *(Field(name, _LIMIT) for name in _ALWAYS),
    *(Field(name, _LIMIT) for name in _GROUPS),
    *(Field(name, _LIMIT, until="2.49") for name in _NETWORK),
    *(Field(name, _LIMIT, until="2.56") for name in _FILES),
    at_least=1,
)
OF_USER = Query(Param("user_id", text(), repeat=True), additional_until="2.74")
LIMITS = Query(Param("tenant_id", text(), repeat=True), Param("reserved", text(), repeat=True), additional_until="2.74")


def _names(version: Version) -> list[str]:
    names = [*_ALWAYS, *_GROUPS]
    if version < (2, 36):
        names += _NETWORK
    if version < (2, 57):
        names += _FILES
    return sorted(names)


def _class_names(version: Version) -> list[str]:
    names = [*_ALWAYS]
    names += _GROUPS if version >= (2, 50) else _NETWORK
    if version < (2, 57):
        names += _FILES
    return sorted(names)


def _target(request: Request[Compute]) -> str:
    """The project that the path names, once policy allows it. Raises: NotAllowed (403)."""
    project_id: str = request.params["project_id"]
    request.authorize({"project_id": project_id})
    return project_id


def _set(project_id: str, limits: Mapping[str, Any], version: Version) -> Response:
    return answer({"quota_set": {"id": project_id, **{name: limits[name] for name in _names(version)}}})


async def show_quotas(request: Request[Compute]) -> Response:
    project_id = _target(request)
    return _set(project_id, await quotas.limits(request.service, project_id), request.version)


async def show_defaults(request: Request[Compute]) -> Response:
    project_id = _target(request)
    return _set(project_id, await quotas.defaults(request.service), request.version)


async def show_usage(request: Request[Compute]) -> Response:
    """Limits with what is in use; what bounds single things is never in use."""
    project_id = _target(request)
    limits = await quotas.limits(request.service, project_id)
    used = await quotas.used(request.service, project_id)
    found = {name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in limits.items()}
    return _set(project_id, found, request.version)


async def update_quotas(request: Request[Compute]) -> Response:
    project_id = _target(request)
    body = request.body["quota_set"]
    changes = {name: int(value) for name, value in body.items() if name != "force"}
    force = is_true(body.get("force", False))
    limits = await quotas.update(request.service, project_id, changes, force=force)
    return answer({"quota_set": {name: limits[name] for name in _names(request.version)}})


async def delete_quotas(request: Request[Compute]) -> Response:
    await quotas.reset(request.service, _target(request))
    return empty(202)


# -- classes ----------------------------------------------------------------------------------------------------------
async def show_class(request: Request[Compute]) -> Response:
    name = request.params["id"]
    limits = await quotas.of_class(request.service, name)
    return answer({"quota_class_set": {"id": name, **{one: limits[one] for one in _class_names(request.version)}}})


async def update_class(request: Request[Compute]) -> Response:
    changes = {name: int(value) for name, value in request.body["quota_class_set"].items()}
    limits = await quotas.update_class(request.service, request.params["id"], changes)
    return answer({"quota_class_set": {name: limits[name] for name in _class_names(request.version)}})


# -- limits -----------------------------------------------------------------------------------------------------------
_SHOWN = {
    "maxTotalCores": "cores",
    "maxTotalInstances": "instances",
    "maxTotalKeypairs": "key_pairs",
    "maxServerMeta": "metadata_items",
    "maxTotalRAMSize": "ram",
    "maxServerGroups": "server_groups",
    "maxServerGroupMembers": "server_group_members",
}
_SHOWN_UNTIL: dict[str, tuple[str, Version]] = {
    "maxImageMeta": ("metadata_items", (2, 38)),
    "maxPersonality": ("injected_files", (2, 56)),
    "maxPersonalitySize": ("injected_file_content_bytes", (2, 56)),
    "maxTotalFloatingIps": ("floating_ips", (2, 35)),
    "maxSecurityGroups": ("security_groups", (2, 35)),
    "maxSecurityGroupRules": ("security_group_rules", (2, 35)),
}
_USED = {
    "totalRAMUsed": "ram",
    "totalCoresUsed": "cores",
    "totalInstancesUsed": "instances",
    "totalServerGroupsUsed": "server_groups",
}


async def show_limits(request: Request[Compute]) -> Response:
    """The limits and uses of the caller's project, or, where policy allows it, of another one."""
    project_id = request.context.project_id
    asked = request.first("tenant_id")
    if asked:
        request.authorize({"project_id": asked}, "os_compute_api:limits:other_project")
        project_id = asked
    limits = await quotas.limits(request.service, project_id)
    used = await quotas.used(request.service, project_id)
    absolute = {shown: limits[name] for shown, name in _SHOWN.items()}
    absolute |= {shown: limits[name] for shown, (name, last) in _SHOWN_UNTIL.items() if request.version <= last}
    absolute |= {shown: used[name] for shown, name in _USED.items()}
    if request.version < (2, 36):
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}  # the network service counts these
    return answer({"limits": {"rate": [], "absolute": absolute}})
