"""Giving, taking and listing roles over HTTP: on projects, domains and the system, inherited or not."""

from collections.abc import Awaitable, Callable
from typing import Any

from pileus.foundation.http.request import Request, Response, empty
from pileus.identity.api import views
from pileus.identity.api.listing import collection
from pileus.identity.app import grants as app
from pileus.identity.app.service import Identity
from pileus.identity.domain.assignment import ALL, DOMAIN, GROUP, PROJECT, SYSTEM, USER, Assignment

Asked = Request[Identity]
Handler = Callable[[Asked], Awaitable[Response]]


def _assignment(request: Asked) -> Assignment:
    """What the path names; without a role it stands for all of them."""
    params = request.params
    actor_kind = USER if "user_id" in params else GROUP
    target_kind = PROJECT if "project_id" in params else DOMAIN if "domain_id" in params else SYSTEM
    return Assignment(
        actor_kind,
        params[f"{actor_kind}_id"],
        target_kind,
        params[f"{target_kind}_id"] if target_kind != SYSTEM else ALL,
        params.get("role_id", ""),
        request.path.startswith("/v3/OS-INHERIT/"),
    )


def _facts(parties: app.Parties) -> dict[str, Any]:
    target: dict[str, Any] = {}
    if parties.user is not None:
        target["user"] = {"id": parties.user.id, "domain_id": parties.user.domain_id}
    if parties.group is not None:
        target["group"] = {"id": parties.group.id, "domain_id": parties.group.domain_id}
    if parties.project is not None:
        target["project"] = {"id": parties.project.id, "domain_id": parties.project.domain_id}
    if parties.domain is not None:
        target["domain"] = {"id": parties.domain.id}
    if parties.role is not None:
        role = parties.role
        target["role"] = {"id": role.id, "name": role.name, "domain_id": role.domain_id}
    return {"target": target}


async def _authorized(request: Asked) -> Assignment:
    """The assignment in the path, once policy lets the caller and all its parties exist."""
    assignment = _assignment(request)
    parties = await app.parties(request.service, assignment)
    request.authorize(_facts(parties))
    app.check_parties(assignment, parties)
    return assignment


async def list_grants(request: Asked) -> Response:
    assignment = await _authorized(request)
    found = await app.roles_granted(request.service, assignment)
    return collection(request, "roles", [views.role(request, each) for each in found])


async def check_grant(request: Asked) -> Response:
    await app.check(request.service, await _authorized(request))
    return empty()


async def create_grant(request: Asked) -> Response:
    await app.grant(request.service, await _authorized(request))
    return empty()


async def revoke_grant(request: Asked) -> Response:
    await app.revoke(request.service, await _authorized(request))
    return empty()
