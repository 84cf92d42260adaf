"""The list of all role assignments, as made or as they work out."""

from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response
from pileus.identity.api.listing import collection, flag
from pileus.identity.app import grants, names, projects
from pileus.identity.app.names import Names
from pileus.identity.app.service import Identity
from pileus.identity.domain.assignment import ALL, DOMAIN, PROJECT, SYSTEM, USER, Assignment, Effective
from pileus.identity.domain.errors import Missing

Asked = Request[Identity]
Document = dict[str, Any]


async def list_role_assignments(request: Asked) -> Response:
    wanted = await _wanted(request)
    named = flag(request, "include_names")
    if flag(request, "effective"):
        effective = await grants.list_effective(request.service, wanted)
        book = await names.of_effective(request.service, effective) if named else None
        documents = [_effective(request, each, book) for each in effective]
    else:
        made = await grants.list_assignments(request.service, wanted)
        book = await names.of_assignments(request.service, made) if named else None
        documents = [_made(request, each, book) for each in made]
    return collection(request, "role_assignments", documents)


# -- what is asked ------------------------------------------------------------------------------------------
async def _wanted(request: Asked) -> grants.Wanted:
    """The filters of the query, once policy allows them. Raises: BadRequest for those that contradict."""
    project_id, domain_id = request.first("scope.project.id"), request.first("scope.domain.id")
    user_id, group_id = request.first("user.id"), request.first("group.id")
    subtree = flag(request, "include_subtree")
    _check_filters(request, project_id, domain_id, user_id, group_id)
    targets: tuple[str, ...] = ()
    kind = ""
    if project_id:
        kind, targets = PROJECT, (project_id,)
    elif domain_id:
        kind, targets = DOMAIN, (domain_id,)
    elif request.first("scope.system"):
        kind, targets = SYSTEM, (ALL,)
    await _authorize(request, project_id, domain_id, subtree=subtree)
    if subtree and project_id:
        targets += tuple(each.id for each in await projects.subtree_of(request.service, project_id))
    return grants.Wanted(
        user_id=user_id or "",
        group_id=group_id or "",
        role_id=request.first("role.id") or "",
        target_kind=kind,
        target_ids=targets,
        only_inherited=request.first("scope.OS-INHERIT:inherited_to") == "projects",
    )


def _check_filters(
    request: Asked, project_id: str | None, domain_id: str | None, user_id: str | None, group_id: str | None
) -> None:
    if project_id and domain_id:
        raise BadRequest("Specify a domain or project, not both")
    if user_id and group_id:
        raise BadRequest("Specify a user or group, not both")
    if flag(request, "effective") and group_id:
        raise BadRequest("Combining effective and group filter will always result in an empty list.")
    if flag(request, "effective") and domain_id and request.first("scope.OS-INHERIT:inherited_to"):
        raise BadRequest("Combining effective, domain and inherited filters will always result in an empty list.")
    if flag(request, "include_subtree") and not project_id:
        raise BadRequest("'scope.project.id' is a dependency of 'include_subtree'")


async def _authorize(request: Asked, project_id: str | None, domain_id: str | None, *, subtree: bool) -> None:
    """A reader of a domain may list what lies in that domain, and must say so."""
    where = domain_id
    if project_id:
        try:
            where = (await projects.get_project(request.service, project_id)).domain_id
        except Missing:
            where = None
    rule = "identity:list_role_assignments_for_tree" if subtree else ""
    request.authorize({"target": {"domain_id": where}}, rule)


# -- what is answered ---------------------------------------------------------------------------------------
def _made(request: Asked, each: Assignment, book: Names | None) -> Document:
    document: Document = {"links": {"assignment": request.href(_path(each))}}
    document["scope"] = _scope(each.target_kind, each.target_id, each.inherited, book)
    document[each.actor_kind] = _actor(each.actor_kind, each.actor_id, book)
    document["role"] = _role(each.role_id, book)
    return document


def _effective(request: Asked, each: Effective, book: Names | None) -> Document:
    links = {"assignment": request.href(_path(each.source))}
    if each.group_id:
        links["membership"] = request.href(f"/v3/groups/{each.group_id}/users/{each.user_id}")
    if each.prior_role_id:
        links["prior_role"] = request.href(f"/v3/prior_role/{each.prior_role_id}/implies/{each.role_id}")
    return {
        "links": links,
        "scope": _scope(each.target_kind, each.target_id, each.source.inherited, book),
        "user": _actor(USER, each.user_id, book),
        "role": _role(each.role_id, book),
    }


def _path(each: Assignment) -> str:
    actor = f"{each.actor_kind}s/{each.actor_id}/roles/{each.role_id}"
    if each.target_kind == SYSTEM:
        return f"/v3/system/{actor}"
    target = f"{each.target_kind}s/{each.target_id}"
    return f"/v3/OS-INHERIT/{target}/{actor}/inherited_to_projects" if each.inherited else f"/v3/{target}/{actor}"


def _scope(kind: str, target_id: str, inherited: bool, book: Names | None) -> Document:
    if kind == SYSTEM:
        return {"system": {"all": True}}
    facts: Document = {"id": target_id}
    if book is not None:
        target = book.projects.get(target_id)
        facts["name"] = target.name if target else ""
        if kind == PROJECT and target is not None:
            facts["domain"] = _domain(target.domain_id or target.id, book)
    scope: Document = {kind: facts}
    if inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    return scope


def _actor(kind: str, actor_id: str, book: Names | None) -> Document:
    if book is None:
        return {"id": actor_id}
    found = book.users.get(actor_id) if kind == USER else book.groups.get(actor_id)
    if found is None:
        return {"id": actor_id, "name": ""}
    return {"id": actor_id, "name": found.name, "domain": _domain(found.domain_id, book)}


def _role(role_id: str, book: Names | None) -> Document:
    if book is None:
        return {"id": role_id}
    found = book.roles.get(role_id)
    document: Document = {"id": role_id, "name": found.name if found else ""}
    if found is not None and found.domain_id is not None:
        document["domain"] = _domain(found.domain_id, book)
    return document


def _domain(domain_id: str, book: Names) -> Document:
    found = book.projects.get(domain_id)
    return {"id": domain_id, "name": found.name if found else ""}
