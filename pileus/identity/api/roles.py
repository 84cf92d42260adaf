"""Roles and implications over HTTP."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.identity.api import views
from pileus.identity.api.bodies import own_attributes, split
from pileus.identity.api.listing import collection, paged, read_filters
from pileus.identity.app import roles as app
from pileus.identity.app.service import Identity
from pileus.identity.domain.errors import Missing, NoImplication, Unchangeable
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.role import Role

Asked = Request[Identity]

_KNOWN = frozenset({"id", "name", "domain_id", "description", "options", "links"})


async def _found(request: Asked, domain_rule: str) -> Role:
    """The role in the path, under the route's rule or, for a role of one domain, under `domain_rule`."""
    try:
        role = await app.get_role(request.service, request.params["role_id"])
    except Missing:
        request.authorize({"target": {}})
        raise
    target = {"target": {"role": {"id": role.id, "name": role.name, "domain_id": role.domain_id}}}
    request.authorize(target, domain_rule if role.domain_id is not None else "")
    return role


async def list_roles(request: Asked) -> Response:
    domain_id = request.first("domain_id")
    request.authorize({"target": {}}, "identity:list_domain_roles" if domain_id else "")
    conditions = [*read_filters(request, {}, names=True), Condition("domain_id", domain_id or "")]
    identity = request.service

    async def exists(id: str) -> bool:
        return bool(await app.list_roles(identity, [Condition("id", id)]))

    found, marker = await paged(
        request, conditions, lambda wanted, most: app.list_roles(identity, wanted, most), exists
    )
    return collection(request, "roles", [views.role(request, each) for each in found], marker)


async def show_role(request: Asked) -> Response:
    return answer({"role": views.role(request, await _found(request, "identity:get_domain_role"))})


async def create_role(request: Asked) -> Response:
    body = request.body["role"]
    domain_id = body.get("domain_id")
    request.authorize({"target": {}}, "identity:create_domain_role" if domain_id else "")
    role = Role(
        id="",
        name=body["name"],
        domain_id=domain_id,
        description=body.get("description"),
        options=split(body.get("options")),
        extra=own_attributes(body, _KNOWN),
    )
    return answer({"role": views.role(request, await app.create_role(request.service, role))}, 201)


async def update_role(request: Asked) -> Response:
    role = await _found(request, "identity:update_domain_role")
    body = request.body["role"]
    if "id" in body and body["id"] != role.id:
        raise Unchangeable(attribute="ID")
    if "domain_id" in body and body["domain_id"] != role.domain_id:
        raise Unchangeable(attribute="Domain ID")
    changes: dict[str, Any] = {name: body[name] for name in ("name", "description", "options") if name in body}
    changes["extra"] = own_attributes(body, _KNOWN)
    return answer({"role": views.role(request, await app.update_role(request.service, role.id, changes))})


async def delete_role(request: Asked) -> Response:
    role = await _found(request, "identity:delete_domain_role")
    await app.delete_role(request.service, role.id)
    return empty()


# -- implications -------------------------------------------------------------------------------------------
def _short(request: Asked, role: Role) -> dict[str, Any]:
    return {"id": role.id, "links": {"self": request.href(f"/v3/roles/{role.id}")}, "name": role.name}


def _inference(request: Asked, prior: Role, implied: Role) -> dict[str, Any]:
    return {
        "role_inference": {"prior_role": _short(request, prior), "implies": _short(request, implied)},
        "links": {"self": request.href(f"/v3/roles/{prior.id}/implies/{implied.id}")},
    }


async def list_inferences(request: Asked) -> Response:
    found = [
        {"prior_role": _short(request, prior), "implies": [_short(request, each) for each in implied]}
        for prior, implied in await app.all_implications(request.service)
    ]
    return answer({"role_inferences": found, "links": {"self": request.href("/v3/role_inferences")}})


async def list_implied(request: Asked) -> Response:
    prior = await app.get_role(request.service, request.params["prior_role_id"])
    implied = await app.implied_by(request.service, prior.id)
    inference = {"prior_role": _short(request, prior), "implies": [_short(request, each) for each in implied]}
    return answer({"role_inference": inference, "links": {"self": request.href(request.path)}})


async def _implied(request: Asked) -> tuple[Role, Role]:
    prior_id, implied_id = request.params["prior_role_id"], request.params["implied_role_id"]
    prior = await app.get_role(request.service, prior_id)
    for implied in await app.implied_by(request.service, prior_id):
        if implied.id == implied_id:
            return prior, implied
    raise NoImplication(prior_id=prior_id, implied_id=implied_id)


async def show_implied(request: Asked) -> Response:
    return answer(_inference(request, *await _implied(request)))


async def check_implied(request: Asked) -> Response:
    await _implied(request)
    return empty()


async def create_implied(request: Asked) -> Response:
    prior_id, implied_id = request.params["prior_role_id"], request.params["implied_role_id"]
    prior, implied = await app.imply(request.service, prior_id, implied_id)
    return answer(_inference(request, prior, implied), 201)


async def delete_implied(request: Asked) -> Response:
    await app.unimply(request.service, request.params["prior_role_id"], request.params["implied_role_id"])
    return empty()
