"""Users and groups over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true
from pileus.identity.api import views
from pileus.identity.api.bodies import own_attributes, split
from pileus.identity.api.listing import collection, paged, read_filters
from pileus.identity.api.projects import own_domain
from pileus.identity.app import groups as groups_app
from pileus.identity.app import users as app
from pileus.identity.app.service import Identity
from pileus.identity.domain.errors import Missing, Unchangeable
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.user import Group, User

Asked = Request[Identity]

_KNOWN = frozenset(
    {"id", "name", "password", "enabled", "domain_id", "default_project_id", "options", "links", "password_expires_at"}
)
_GROUP_KNOWN = frozenset({"id", "name", "domain_id", "description", "links"})


def _target(user: User) -> dict[str, Any]:
    return {"id": user.id, "domain_id": user.domain_id, "name": user.name}


async def found_user(request: Asked, rule: str = "") -> User:
    """The user in the path, once policy lets the caller see what would be there."""
    user_id = request.params["user_id"]
    try:
        user = await app.get_user(request.service, user_id)
    except Missing:
        request.authorize({"user_id": user_id, "target": {"user": {"id": user_id}}}, rule)
        raise
    request.authorize({"user_id": user_id, "target": {"user": _target(user)}}, rule)
    return user


async def list_users(request: Asked) -> Response:
    domain_id = request.context.domain_id
    request.authorize({"target": {"domain_id": domain_id or None}})
    conditions = read_filters(
        request,
        {"domain_id": "domain_id", "default_project_id": "default_project_id"},
        names=True,
        switches=["enabled"],
    )
    if domain_id:
        conditions.append(Condition("domain_id", domain_id))
    found, marker = await paged(request, conditions, _finder(request.service), _exists(request.service))
    return collection(request, "users", [views.user(request, each) for each in found], marker)


def _finder(identity: Identity) -> Callable[[Any, int | None], Awaitable[list[User]]]:
    return lambda conditions, most: app.list_users(identity, conditions, most)


def _exists(identity: Identity) -> Callable[[str], Awaitable[bool]]:
    async def exists(id: str) -> bool:
        return bool(await app.list_users(identity, [Condition("id", id)]))

    return exists


async def show_user(request: Asked) -> Response:
    return answer({"user": views.user(request, await found_user(request))})


async def create_user(request: Asked) -> Response:
    body = request.body["user"]
    domain_id = own_domain(request, body.get("domain_id"))
    request.authorize({"target": {"user": {"domain_id": domain_id}}})
    user = User(
        id="",
        name=body["name"],
        domain_id=domain_id,
        enabled=is_true(body.get("enabled", True)),
        default_project_id=body.get("default_project_id"),
        options=split(body.get("options")),
        extra=own_attributes(body, _KNOWN),
    )
    made = await app.create_user(request.service, user, body.get("password"))
    return answer({"user": views.user(request, made)}, 201)


async def update_user(request: Asked) -> Response:
    user = await found_user(request)
    body = request.body["user"]
    if "id" in body and body["id"] != user.id:
        raise Unchangeable(attribute="ID")
    if "domain_id" in body and body["domain_id"] != user.domain_id:
        raise Unchangeable(attribute="Domain ID")
    changes = {name: body[name] for name in ("name", "default_project_id", "options") if name in body}
    if "enabled" in body:
        changes["enabled"] = is_true(body["enabled"])
    changes["extra"] = own_attributes(body, _KNOWN)
    updated = await app.update_user(request.service, user.id, changes, body.get("password"))
    return answer({"user": views.user(request, updated)})


async def delete_user(request: Asked) -> Response:
    user = await found_user(request)
    await app.delete_user(request.service, user.id)
    return empty()


async def change_password(request: Asked) -> Response:
    """The current password is the proof: no token is needed."""
    body = request.body["user"]
    user_id = request.params["user_id"]
    await app.change_password(request.service, user_id, body["original_password"], body["password"])
    return empty()


# -- groups -------------------------------------------------------------------------------------------------
async def found_group(request: Asked, *, user: User | None = None) -> Group:
    """The group in the path, once policy lets the caller see what would be there."""
    beside = {"user": _target(user)} if user is not None else {}
    try:
        group = await groups_app.get_group(request.service, request.params["group_id"])
    except Missing:
        request.authorize({"target": beside})
        raise
    facts = {"id": group.id, "domain_id": group.domain_id, "name": group.name}
    request.authorize({"target": {"group": facts, **beside}})
    return group


async def list_groups(request: Asked) -> Response:
    domain_id = request.context.domain_id
    request.authorize({"target": {"group": {"domain_id": domain_id or None}}})
    conditions = read_filters(request, {"domain_id": "domain_id"}, names=True)
    if domain_id:
        conditions.append(Condition("domain_id", domain_id))
    identity = request.service

    async def exists(id: str) -> bool:
        return bool(await groups_app.list_groups(identity, [Condition("id", id)]))

    found, marker = await paged(
        request, conditions, lambda wanted, most: groups_app.list_groups(identity, wanted, most), exists
    )
    return collection(request, "groups", [views.group(request, each) for each in found], marker)


async def show_group(request: Asked) -> Response:
    return answer({"group": views.group(request, await found_group(request))})


async def create_group(request: Asked) -> Response:
    body = request.body["group"]
    domain_id = own_domain(request, body.get("domain_id"))
    request.authorize({"target": {"group": {"domain_id": domain_id}}})
    group = Group(
        id="",
        name=body["name"],
        domain_id=domain_id,
        description=body.get("description") or "",
        extra=own_attributes(body, _GROUP_KNOWN),
    )
    made = await groups_app.create_group(request.service, group)
    return answer({"group": views.group(request, made)}, 201)


async def update_group(request: Asked) -> Response:
    group = await found_group(request)
    body = request.body["group"]
    if "id" in body and body["id"] != group.id:
        raise Unchangeable(attribute="ID")
    if "domain_id" in body and body["domain_id"] != group.domain_id:
        raise Unchangeable(attribute="Domain ID")
    changes: dict[str, Any] = {"extra": own_attributes(body, _GROUP_KNOWN)}
    if "name" in body:
        changes["name"] = body["name"]
    if "description" in body:
        changes["description"] = body["description"] or ""
    updated = await groups_app.update_group(request.service, group.id, changes)
    return answer({"group": views.group(request, updated)})


async def delete_group(request: Asked) -> Response:
    group = await found_group(request)
    await groups_app.delete_group(request.service, group.id)
    return empty()


async def list_group_users(request: Asked) -> Response:
    group = await found_group(request)
    found = await groups_app.users_of(request.service, group.id)
    return collection(request, "users", [views.user(request, each) for each in found])


async def list_user_groups(request: Asked) -> Response:
    user = await found_user(request)
    found = await groups_app.groups_of(request.service, user.id)
    documents = [views.group(request, each) | {"membership_expires_at": None} for each in found]
    return collection(request, "groups", documents)


async def _pair(request: Asked) -> tuple[str, str]:
    """Group and user of the path; both are what policy decides on. Raises: Missing (404) for either."""
    try:
        user = await app.get_user(request.service, request.params["user_id"])
    except Missing:
        await found_group(request)
        raise
    group = await found_group(request, user=user)
    return group.id, user.id


async def check_group_user(request: Asked) -> Response:
    await groups_app.check_member(request.service, *await _pair(request))
    return empty()


async def add_group_user(request: Asked) -> Response:
    await groups_app.add_member(request.service, *await _pair(request))
    return empty()


async def remove_group_user(request: Asked) -> Response:
    await groups_app.remove_member(request.service, *await _pair(request))
    return empty()
