"""Projects and domains: making, changing, deleting."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Duplicate, Transaction
from pileus.identity.app.change import Change, change, write
from pileus.identity.app.service import Identity
from pileus.identity.domain import revocation
from pileus.identity.domain.assignment import GROUP, USER
from pileus.identity.domain.errors import (
    BranchDisabled,
    DisabledAbove,
    DomainEnabled,
    EnabledBelow,
    Immutable,
    Missing,
    MissingReference,
    NotLeaf,
    Taken,
    TooDeep,
)  # fmt: skip
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.options import merged
from pileus.identity.domain.project import Project
from pileus.identity.domain.token import DOMAIN, PROJECT
from pileus.identity.store import application_credentials, assignments, credentials, groups, projects, roles, users

MAX_DEPTH = 5
"""Levels of projects in one domain, the domain counted."""


async def get_project(identity: Identity, id: str) -> Project:
    """A project, or a domain as the project that it is.

    Raises: Missing (404).
    """
    found = await projects.find(identity.database, id)
    if found is None:
        raise Missing(what="project", id=id)
    return found


async def get_domain(identity: Identity, id: str) -> Project:
    """Raises: Missing (404)."""
    found = await projects.find(identity.database, id)
    if found is None or not found.is_domain:
        raise Missing(what="domain", id=id)
    return found


async def create_project(identity: Identity, project: Project) -> Project:
    """Make a project below its parent, or a domain when `is_domain`; the id is chosen here.

    Raises: MissingReference, BranchDisabled (400), TooDeep (403), Taken (409).
    """
    made = msgspec.structs.replace(project, id=identity.runtime.hex_id())

    async def work(tx: Transaction) -> None:
        if not made.is_domain:
            await _check_branch(tx, made)
        await projects.insert(tx, made)

    try:
        await write(identity, work)
    except Duplicate as error:
        raise await _taken(identity, made) from error
    return made


async def _check_branch(tx: Transaction, project: Project) -> None:
    domain = await projects.find_untagged(tx, project.domain_id or "")
    if domain is None or not domain.is_domain:
        raise MissingReference(what="domain", id=project.domain_id)
    parent_id = project.parent_id or domain.id
    branch = [parent_id, *await projects.above(tx, parent_id)]
    found = {each.id: each for each in await projects.among(tx, branch)}
    if parent_id not in found or domain.id not in found:
        raise MissingReference(what="project", id=parent_id)
    for each in found.values():
        if not each.enabled:
            raise BranchDisabled(id=each.id)
    if len(branch) >= MAX_DEPTH:
        raise TooDeep(id=parent_id)


async def _taken(identity: Identity, project: Project) -> Taken:
    if project.is_domain:
        detail = f"it is not permitted to have two projects acting as domains with the same name: {project.name}"
        return Taken(what="project", detail=detail)
    other = await projects.find_by_name(identity.database, project.name, project.domain_id or "")
    detail = (
        "it is not permitted to have two projects with either the same name or same id in the same domain: "
        f"name is {project.name}, project id {other.id if other else project.id}"
    )
    return Taken(what="project", detail=detail)


async def update_project(identity: Identity, id: str, changes: dict[str, Any], *, what: str = "project") -> Project:
    """Change name, description, enabled, options, tags or the client's own attributes.

    Raises: Missing (404), Immutable, EnabledBelow, DisabledAbove (403), Taken (409).
    """
    updated: list[Project] = []

    async def work(step: Change) -> None:
        old = await projects.find(step.tx, id)
        if old is None or (what == "domain" and not old.is_domain):
            raise Missing(what=what, id=id)
        new = _changed(old, changes)
        if old.is_immutable and new.is_immutable:
            raise Immutable(verb="update", what=what, id=id)
        await _check_enabled(step.tx, old, new)
        updated[:] = [new]
        await projects.update(step.tx, new)
        if new.tags != old.tags:
            await projects.set_tags(step.tx, id, new.tags)
        if old.enabled and not new.enabled:
            await step.revoke(revocation.of_target(DOMAIN if old.is_domain else PROJECT, id))

    try:
        await change(identity, work)
    except Duplicate as error:
        raise await _taken(identity, updated[0]) from error
    return updated[0]


def _changed(old: Project, changes: dict[str, Any]) -> Project:
    changes = dict(changes)
    changes["options"] = merged(old.options, changes.get("options"))
    changes["extra"] = old.extra | changes.get("extra", {})
    return msgspec.structs.replace(old, **changes)


async def _check_enabled(tx: Transaction, old: Project, new: Project) -> None:
    if old.is_domain or old.enabled == new.enabled:
        return
    if new.enabled:
        above = await projects.among(tx, await projects.above(tx, old.id))
        if any(not each.enabled for each in above):
            raise DisabledAbove(id=old.id)
    else:
        below = await projects.among(tx, await projects.below(tx, old.id))
        if any(each.enabled for each in below):
            raise EnabledBelow(id=old.id)


async def delete_project(identity: Identity, id: str) -> None:
    """Delete a project with its assignments and what hangs on it; a domain goes the same way as `delete_domain`.

    Raises: Missing (404), Immutable, NotLeaf, DomainEnabled (403).
    """

    async def work(step: Change) -> None:
        project = await projects.find_untagged(step.tx, id)
        if project is None:
            raise Missing(what="project", id=id)
        if project.is_immutable:
            raise Immutable(verb="delete", what="project", id=id)
        if project.is_domain:
            await _drop_domain(step.tx, project)
        elif await projects.children(step.tx, id):
            raise NotLeaf(id=id)
        else:
            await _drop_project(step.tx, id)

    await change(identity, work)


async def delete_domain(identity: Identity, id: str) -> None:
    """Delete a disabled domain with all its projects, users, groups and roles.

    Raises: Missing (404), Immutable, DomainEnabled (403).
    """

    async def work(step: Change) -> None:
        domain = await projects.find_untagged(step.tx, id)
        if domain is None or not domain.is_domain:
            raise Missing(what="domain", id=id)
        if domain.is_immutable:
            raise Immutable(verb="delete", what="domain", id=id)
        await _drop_domain(step.tx, domain)

    await change(identity, work)


async def _drop_project(tx: Transaction, id: str) -> None:
    await assignments.drop_target(tx, id)
    await application_credentials.drop_project(tx, id)
    await credentials.drop_project(tx, id)
    await users.forget_project(tx, id)
    await projects.delete(tx, id)


async def _drop_domain(tx: Transaction, domain: Project) -> None:
    if domain.enabled:
        raise DomainEnabled()
    for project_id in reversed(await projects.below(tx, domain.id)):
        await _drop_project(tx, project_id)
    for user_id in await users.in_domain(tx, domain.id):
        await drop_user(tx, user_id)
    for group_id in await groups.in_domain(tx, domain.id):
        await assignments.drop_actor(tx, GROUP, group_id)
        await groups.delete(tx, group_id)
    for role in await roles.listed(tx, [Condition("domain_id", domain.id)]):
        await assignments.drop_role(tx, role.id)
        await roles.delete(tx, role.id)
    await _drop_project(tx, domain.id)


async def drop_user(tx: Transaction, id: str) -> None:
    """A user with all that is only the user's."""
    await assignments.drop_actor(tx, USER, id)
    await application_credentials.drop_user(tx, id)
    await credentials.drop_user(tx, id)
    await groups.leave_all(tx, id)
    await users.delete(tx, id)


async def list_projects(identity: Identity, conditions: Sequence[Condition], most: int | None = None) -> list[Project]:
    return await projects.listed(identity.database, conditions, most)


# -- tags ---------------------------------------------------------------------------------------------------
async def set_tags(identity: Identity, id: str, tags: Sequence[str]) -> None:
    """Raises: Missing (404)."""

    async def work(tx: Transaction) -> None:
        await _must_exist(tx, id)
        await projects.set_tags(tx, id, tags)

    await write(identity, work)


async def add_tag(identity: Identity, id: str, tag: str) -> None:
    """Raises: Missing (404)."""

    async def work(tx: Transaction) -> None:
        await _must_exist(tx, id)
        await projects.add_tag(tx, id, tag)

    await write(identity, work)


async def drop_tag(identity: Identity, id: str, tag: str) -> None:
    """Raises: Missing (404) for the project or the tag."""

    async def work(tx: Transaction) -> None:
        await _must_exist(tx, id)
        if not await projects.drop_tag(tx, id, tag):
            raise Missing(what="project tag", id=tag)

    await write(identity, work)


async def _must_exist(tx: Transaction, id: str) -> None:
    if await projects.find_untagged(tx, id) is None:
        raise Missing(what="project", id=id)


# -- the tree -----------------------------------------------------------------------------------------------
async def parents_of(identity: Identity, id: str) -> list[Project]:
    """The projects above, nearest first, the domain left out."""
    ids = await projects.above(identity.database, id)
    found = {each.id: each for each in await projects.among(identity.database, ids)}
    return [found[each] for each in ids if not found[each].is_domain]


async def subtree_of(identity: Identity, id: str) -> list[Project]:
    """The projects below, nearest first."""
    ids = await projects.below(identity.database, id)
    found = {each.id: each for each in await projects.among(identity.database, ids)}
    return [found[each] for each in ids]


async def projects_of_user(identity: Identity, user_id: str) -> list[Project]:
    """Every project where the user has a role, also by a group or inherited; ordered by id."""
    db = identity.database
    ids: set[str] = set()
    for each in await assignments.of_user(db, user_id):
        if each.inherited:
            ids.update(await projects.below(db, each.target_id))
        elif each.target_kind == PROJECT:
            ids.add(each.target_id)
    return await projects.among(db, sorted(ids))


async def domains_of_user(identity: Identity, user_id: str) -> list[Project]:
    """Every domain where the user has a role."""
    found = await assignments.of_user(identity.database, user_id)
    ids = {each.target_id for each in found if each.target_kind == DOMAIN and not each.inherited}
    return await projects.among(identity.database, sorted(ids))
