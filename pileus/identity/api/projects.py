"""Projects, domains and their tags over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

from pileus.foundation.errors import BadRequest, Error
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true
from pileus.identity.api import views
from pileus.identity.api.bodies import own_attributes, split
from pileus.identity.api.listing import collection, flag, paged, read_filters
from pileus.identity.app import projects as app
from pileus.identity.app import users
from pileus.identity.app.service import Identity
from pileus.identity.domain.errors import Fixed, Missing, Unchangeable
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.project import DEFAULT_DOMAIN, Project
from pileus.identity.domain.tags import TagFilter

Asked = Request[Identity]

_KNOWN = frozenset(
    {"id", "name", "domain_id", "parent_id", "is_domain", "description", "enabled", "options", "tags", "links"}
)


def own_domain(request: Asked, asked: str | None = None) -> str:
    """The domain that a new thing belongs to: as asked, else that of the token's scope, else the first one."""
    return asked or request.context.domain_id or DEFAULT_DOMAIN


def _target(project: Project | None, **beside: Any) -> dict[str, Any]:
    if project is None:
        return {"target": {}, **beside}
    facts = {"id": project.id, "domain_id": project.domain_id, "name": project.name}
    return {"target": {"project": facts}, **beside}


async def _found(request: Asked, id: str) -> Project:
    """The project, once policy lets the caller see what would be there."""
    try:
        found = await app.get_project(request.service, id)
    except Missing:
        request.authorize(_target(None))
        raise
    request.authorize(_target(found))
    return found


# -- projects -----------------------------------------------------------------------------------------------
async def list_projects(request: Asked) -> Response:
    domain_id = request.context.domain_id
    request.authorize({"target": {"domain_id": domain_id or None}})
    conditions = read_filters(
        request, {"domain_id": "domain_id", "parent_id": "parent_id"}, names=True, switches=("enabled", "is_domain")
    )
    if request.first("is_domain") is None:
        conditions.append(Condition("is_domain", 0))
    if domain_id:
        conditions.append(Condition("domain_id", domain_id))
    return await _listed(request, conditions, "projects", views.project)


async def _listed(
    request: Asked, conditions: list[Condition], key: str, view: Callable[[Asked, Project], dict[str, Any]]
) -> Response:
    identity = request.service
    tags = TagFilter.read(request.query)
    if tags is None:
        found, marker = await paged(request, conditions, _finder(identity), _exists(identity))
    else:
        everything = await app.list_projects(identity, conditions)
        found, marker = [each for each in everything if tags.fits(each.tags)], ""
    return collection(request, key, [view(request, each) for each in found], marker)


def _finder(identity: Identity) -> Callable[[Any, int | None], Awaitable[list[Project]]]:
    return lambda conditions, most: app.list_projects(identity, conditions, most)


def _exists(identity: Identity) -> Callable[[str], Awaitable[bool]]:
    async def exists(id: str) -> bool:
        return bool(await app.list_projects(identity, [Condition("id", id)]))

    return exists


async def list_user_projects(request: Asked) -> Response:
    user_id = request.params["user_id"]
    try:
        user = await users.get_user(request.service, user_id)
    except Missing:
        request.authorize({"target": {"user": {"id": user_id}}})
        raise
    request.authorize({"target": {"user": {"id": user.id, "domain_id": user.domain_id}}})
    found = await app.projects_of_user(request.service, user_id)
    name, enabled = request.first("name"), request.first("enabled")
    kept = [
        each
        for each in found
        if (name is None or each.name == name) and (enabled is None or each.enabled == flag(request, "enabled"))
    ]
    return collection(request, "projects", [views.project(request, each) for each in kept])


async def show_project(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    document = views.project(request, project)
    await _add_family(request, project, document)
    return answer({"project": document})


async def _add_family(request: Asked, project: Project, document: dict[str, Any]) -> None:
    """Parents and subtree, when asked for, as a list or as a tree of ids."""
    identity = request.service
    wishes = {"parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids"} & request.query.keys()
    if {"parents_as_list", "parents_as_ids"} <= wishes or {"subtree_as_list", "subtree_as_ids"} <= wishes:
        raise BadRequest("Cannot use a list and ids of the same family at once.")
    if "parents_as_list" in wishes:
        parents = await app.parents_of(identity, project.id)
        document["parents"] = [{"project": views.project(request, each)} for each in parents]
    if "parents_as_ids" in wishes:
        above = [each.id for each in await app.parents_of(identity, project.id)]
        document["parents"] = _chain([*above, project.domain_id] if project.domain_id else above)
    if "subtree_as_list" in wishes:
        below = await app.subtree_of(identity, project.id)
        document["subtree"] = [{"project": views.project(request, each)} for each in below]
    if "subtree_as_ids" in wishes:
        document["subtree"] = _tree(project.id, await app.subtree_of(identity, project.id))


def _chain(ids: list[str]) -> dict[str, Any] | None:
    tree: dict[str, Any] | None = None
    for each in reversed(ids):
        tree = {each: tree}
    return tree


def _tree(root: str, below: list[Project]) -> dict[str, Any] | None:
    children: dict[str, list[str]] = {}
    for each in below:
        children.setdefault(each.parent_id or "", []).append(each.id)

    def grow(id: str) -> dict[str, Any] | None:
        return {child: grow(child) for child in children[id]} if id in children else None

    return grow(root)


async def create_project(request: Asked) -> Response:
    body = request.body["project"]
    is_domain = body.get("is_domain", False)
    domain_id, parent_id = await _place(request, body, is_domain)
    request.authorize({"target": {"project": {"domain_id": domain_id}}})
    made = await app.create_project(
        request.service,
        Project(
            id="",
            name=body["name"],
            domain_id=domain_id,
            parent_id=parent_id,
            is_domain=is_domain,
            description=body.get("description", ""),
            enabled=is_true(body.get("enabled", True)),
            options=split(body.get("options")),
            extra=own_attributes(body, _KNOWN),
            tags=tuple(body.get("tags", ())),
        ),
    )
    return answer({"project": views.project(request, made)}, 201)


async def _place(request: Asked, body: dict[str, Any], is_domain: bool) -> tuple[str | None, str | None]:
    """Domain and parent of a new project: what is not said follows from the other, or from the token."""
    if is_domain:
        return None, None
    parent_id, domain_id = body.get("parent_id"), body.get("domain_id")
    if parent_id and not domain_id:
        try:
            parent = await app.get_project(request.service, parent_id)
        except Missing:
            return own_domain(request), parent_id
        return (parent.id if parent.is_domain else parent.domain_id), parent_id
    domain_id = own_domain(request, domain_id)
    return domain_id, parent_id or domain_id


async def update_project(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    body = request.body["project"]
    _check_fixed(project, body)
    updated = await app.update_project(request.service, project.id, _changes(body))
    return answer({"project": views.project(request, updated)})


def _check_fixed(project: Project, body: dict[str, Any]) -> None:
    """What was decided when the project was made stays. Raises: Fixed (403), Unchangeable, BadRequest (400)."""
    if "id" in body and body["id"] != project.id:
        raise Unchangeable(attribute="ID")
    if "domain_id" in body and body["domain_id"] != project.domain_id:
        raise Unchangeable(attribute="Domain ID")
    if "is_domain" in body and body["is_domain"] != project.is_domain:
        raise BadRequest("Update of `is_domain` is not allowed.")
    if "parent_id" in body and body["parent_id"] != project.parent_id:
        raise Fixed(attribute="parent_id")


def _changes(body: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {name: body[name] for name in ("name", "description", "options") if name in body}
    if "enabled" in body:
        changes["enabled"] = is_true(body["enabled"])
    if "tags" in body:
        changes["tags"] = tuple(body["tags"])
    changes["extra"] = own_attributes(body, _KNOWN)
    return changes


async def delete_project(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    await app.delete_project(request.service, project.id)
    return empty()


# -- tags ---------------------------------------------------------------------------------------------------
async def list_tags(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    return answer({"links": {"self": request.href(request.path)}, "tags": project.tags})


async def replace_tags(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    tags: list[str] = request.body["tags"]
    await app.set_tags(request.service, project.id, tags)
    return answer({"links": {"self": request.href(request.path)}, "tags": sorted(tags)})


async def delete_tags(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    await app.set_tags(request.service, project.id, ())
    return empty()


async def check_tag(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    if request.params["tag"] not in project.tags:
        raise Missing(what="project tag", id=request.params["tag"])
    return empty()


async def add_tag(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    tag = request.params["tag"]
    refused = tag_fault(tag)
    if refused is not None:
        raise refused
    await app.add_tag(request.service, project.id, tag)
    return Response(201)


def tag_fault(tag: str) -> Error | None:
    """Why a text is no tag: too long, or with a comma or slash."""
    if 0 < len(tag) <= 255 and not set(",/\x00") & set(tag):
        return None
    return BadRequest(f"{tag!r} is no tag: 1 to 255 characters, neither ',' nor '/'.")


async def drop_tag(request: Asked) -> Response:
    project = await _found(request, request.params["project_id"])
    await app.drop_tag(request.service, project.id, request.params["tag"])
    return empty()


# -- domains ------------------------------------------------------------------------------------------------
async def _found_domain(request: Asked, id: str) -> Project:
    try:
        found = await app.get_domain(request.service, id)
    except Missing:
        request.authorize({"target": {}})
        raise
    request.authorize({"target": {"domain": {"id": found.id}}})
    return found


async def list_domains(request: Asked) -> Response:
    domain_id = request.context.domain_id
    request.authorize({"target": {"domain": {"id": domain_id or None}}})
    conditions = [*read_filters(request, {}, names=True, switches=("enabled",)), Condition("is_domain", 1)]
    if domain_id:
        conditions.append(Condition("id", domain_id))
    return await _listed(request, conditions, "domains", views.domain)


async def show_domain(request: Asked) -> Response:
    domain = await _found_domain(request, request.params["domain_id"])
    return answer({"domain": views.domain(request, domain)})


async def create_domain(request: Asked) -> Response:
    body = request.body["domain"]
    made = await app.create_project(
        request.service,
        Project(
            id="",
            name=body["name"],
            domain_id=None,
            parent_id=None,
            is_domain=True,
            description=body.get("description", ""),
            enabled=is_true(body.get("enabled", True)),
            options=split(body.get("options")),
            extra=own_attributes(body, _KNOWN | {"explicit_domain_id"}),
            tags=tuple(body.get("tags", ())),
        ),
    )
    return answer({"domain": views.domain(request, made)}, 201)


async def update_domain(request: Asked) -> Response:
    domain = await _found_domain(request, request.params["domain_id"])
    body = request.body["domain"]
    if "id" in body and body["id"] != domain.id:
        raise Unchangeable(attribute="ID")
    updated = await app.update_project(request.service, domain.id, _changes(body), what="domain")
    return answer({"domain": views.domain(request, updated)})


async def delete_domain(request: Asked) -> Response:
    domain = await _found_domain(request, request.params["domain_id"])
    await app.delete_domain(request.service, domain.id)
    return empty()
