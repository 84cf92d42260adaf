"""Server groups over HTTP: one policy and its rules from 2.64, a list of policies before."""

from typing import Any

from pileus.compute.api.paging import LARGEST, LIMIT, OFFSET, limit_of
from pileus.compute.api.reach import own_target
from pileus.compute.app import server_groups
from pileus.compute.app.server_groups import GroupWithMembers
from pileus.compute.domain.server_group import read_policies, read_policy
from pileus.compute.service import Compute
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import (
    Body,
    Field,
    Param,
    Query,
    array,
    integer_or_digits,
    name,
    object_,
    text,
    word,
)
from pileus.foundation.http.versions import Version

_HARD = ("anti-affinity", "affinity")
_ALL = (*_HARD, "soft-anti-affinity", "soft-affinity")

CREATE = Body(
    "server_group",
    Field("name", name(255), required=True),
    Field("policies", array(word(*_HARD), 1, 1, unique=True), required=True, until="2.14"),
    Field("policies", array(word(*_ALL), 1, 1, unique=True), required=True, since="2.15", until="2.63"),
    Field("policy", word(*_ALL), required=True, since="2.64"),
    Field("rules", object_(Field("max_server_per_host", integer_or_digits(1, LARGEST))), since="2.64"),
)
LIST = Query(LIMIT, OFFSET, Param("all_projects", text(), repeat=True), additional_until="2.74")


async def list_groups(request: Request[Compute]) -> Response:
    project_id: str | None = request.context.project_id
    if "all_projects" in request.query and request.may(
        "os_compute_api:os-server-groups:index:all_projects", own_target(request)
    ):
        project_id = None
    offset = int(request.first("offset", "0") or 0)
    found = await server_groups.listed(request.service, project_id, limit=limit_of(request), offset=offset)
    return answer({"server_groups": [_view(one, request.version) for one in found]})


async def show_group(request: Request[Compute]) -> Response:
    return answer({"server_group": _view(await _reach(request), request.version)})


async def _reach(request: Request[Compute]) -> GroupWithMembers:
    """Raises: ServerGroupNotFound (404), NotAllowed (403)."""
    found = await server_groups.get(request.service, request.context, request.params["server_group_id"])
    request.authorize({"project_id": found.group.project_id, "user_id": found.group.user_id})
    return found


async def create_group(request: Request[Compute]) -> Response:
    body = request.body["server_group"]
    if request.version >= (2, 64):
        policy, most = read_policy(body["policy"], body.get("rules"))
    else:
        policy, most = read_policies(body["policies"]), None
    made = await server_groups.create(
        request.service, request.context, name=body["name"], policy=policy, max_server_per_host=most
    )
    return answer({"server_group": _view(made, request.version)})


async def delete_group(request: Request[Compute]) -> Response:
    found = await _reach(request)
    await server_groups.delete(request.service, request.context, found.group.id)
    return empty()


def _view(found: GroupWithMembers, version: Version) -> dict[str, Any]:
    group = found.group
    shown: dict[str, Any] = {"id": group.id, "name": group.name}
    if version >= (2, 64):
        shown |= {"policy": group.policy, "rules": group.rules}
    else:
        shown |= {"policies": [group.policy], "metadata": {}}
    shown["members"] = found.members
    if version >= (2, 13):
        shown |= {"project_id": group.project_id, "user_id": group.user_id}
    return shown
