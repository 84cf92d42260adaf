"""Giving and taking roles, and lists of who has which."""

from collections.abc import Sequence

import msgspec

from pileus.foundation.database import Database, Transaction
from pileus.identity.app.change import Change, change
from pileus.identity.app.roles import lost_by
from pileus.identity.app.service import Identity
from pileus.identity.domain.assignment import DOMAIN, GROUP, PROJECT, SYSTEM, USER, Assignment, Effective, expand
from pileus.identity.domain.errors import ForeignRole, Missing, MissingAssignment, NoSystemRole
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.project import Project
from pileus.identity.domain.role import Role
from pileus.identity.domain.user import Group, User
from pileus.identity.store import assignments, groups, projects, roles, users


class Parties(msgspec.Struct, frozen=True, gc=False):
    """Who and what an assignment joins; None for what it does not involve, or what does not exist."""

    user: User | None = None
    group: Group | None = None
    project: Project | None = None
    domain: Project | None = None
    role: Role | None = None


async def parties(identity: Identity, assignment: Assignment) -> Parties:
    """Look up everything an assignment names: what policy decides on."""
    return await _parties(identity.database, assignment)


async def _parties(db: Database | Transaction, each: Assignment) -> Parties:
    target = await projects.find_untagged(db, each.target_id) if each.target_kind != SYSTEM else None
    return Parties(
        user=await users.find(db, each.actor_id) if each.actor_kind == USER else None,
        group=await groups.find(db, each.actor_id) if each.actor_kind == GROUP else None,
        project=target if each.target_kind == PROJECT else None,
        domain=target if each.target_kind == DOMAIN and target is not None and target.is_domain else None,
        role=await roles.find(db, each.role_id) if each.role_id else None,
    )


def check_parties(each: Assignment, found: Parties) -> None:
    """Raises: Missing (404) for the first party that does not exist."""
    if each.role_id and found.role is None:
        raise Missing(what="role", id=each.role_id)
    if (found.user if each.actor_kind == USER else found.group) is None:
        raise Missing(what=each.actor_kind, id=each.actor_id)
    if each.target_kind == PROJECT and found.project is None:
        raise Missing(what="project", id=each.target_id)
    if each.target_kind == DOMAIN and found.domain is None:
        raise Missing(what="domain", id=each.target_id)


async def grant(identity: Identity, assignment: Assignment) -> None:
    """Assign a role; twice is once.

    Raises: Missing (404) for user, group, project, domain or role; NoSystemRole (400), ForeignRole (403).
    """

    async def work(step: Change) -> None:
        found = await _parties(step.tx, assignment)
        check_parties(assignment, found)
        _check_domain(assignment, found)
        await assignments.add(step.tx, assignment)

    await change(identity, work)


def _check_domain(each: Assignment, found: Parties) -> None:
    """Raises: NoSystemRole (400), ForeignRole (403) for a domain's own role elsewhere."""
    role = found.role
    if role is None or role.domain_id is None:
        return
    if each.target_kind == SYSTEM:
        raise NoSystemRole(role_id=role.id)
    if found.project is not None and role.domain_id != (found.project.domain_id or found.project.id):
        raise ForeignRole(what="Project", id=each.target_id, role_id=role.id)
    if found.domain is not None and role.domain_id != found.domain.id:
        raise ForeignRole(what="Domain", id=each.target_id, role_id=role.id)


async def revoke(identity: Identity, assignment: Assignment) -> None:
    """Take a role away; tokens that lived on it end. Raises: MissingAssignment (404)."""

    async def work(step: Change) -> None:
        if not await assignments.remove(step.tx, assignment):
            raise _missing(assignment)
        await step.revoke(*await lost_by(step.tx, assignment))

    await change(identity, work)


async def check(identity: Identity, assignment: Assignment) -> None:
    """Raises: MissingAssignment (404)."""
    if not await assignments.has(identity.database, assignment):
        raise _missing(assignment)


def _missing(assignment: Assignment) -> MissingAssignment:
    target_id = assignment.target_id if assignment.target_kind != SYSTEM else SYSTEM
    return MissingAssignment(role_id=assignment.role_id, actor_id=assignment.actor_id, target_id=target_id)


async def roles_granted(identity: Identity, like: Assignment) -> list[Role]:
    """The roles assigned to the actor on the target, as assigned: neither implied nor inherited ones."""
    found = await assignments.listed(
        identity.database,
        [
            Condition("actor_kind", like.actor_kind),
            Condition("actor_id", like.actor_id),
            Condition("target_kind", like.target_kind),
            Condition("target_id", like.target_id),
            Condition("inherited", int(like.inherited)),
        ],
    )
    book = await identity.tokens.role_book()
    return [book.roles[each.role_id] for each in found if each.role_id in book.roles]


# -- lists --------------------------------------------------------------------------------------------------
class Wanted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which assignments a list is asked for; empty means any. `project_ids` hold a whole subtree."""

    user_id: str = ""
    group_id: str = ""
    role_id: str = ""
    target_kind: str = ""
    target_ids: tuple[str, ...] = ()
    only_inherited: bool = False


async def list_assignments(identity: Identity, wanted: Wanted) -> list[Assignment]:
    """Assignments as they were made."""
    conditions = []
    if wanted.user_id:
        conditions += [Condition("actor_kind", USER), Condition("actor_id", wanted.user_id)]
    if wanted.group_id:
        conditions += [Condition("actor_kind", GROUP), Condition("actor_id", wanted.group_id)]
    if wanted.role_id:
        conditions.append(Condition("role_id", wanted.role_id))
    if wanted.target_kind:
        conditions.append(Condition("target_kind", wanted.target_kind))
        conditions.append(Condition("target_id", list(wanted.target_ids), "among"))
    if wanted.only_inherited:
        conditions.append(Condition("inherited", 1))
    return await assignments.listed(identity.database, conditions)


async def list_effective(identity: Identity, wanted: Wanted) -> list[Effective]:
    """What assignments amount to: users instead of groups, projects instead of what is inherited, implied roles too."""
    db = identity.database
    made = await _candidates(db, wanted)
    group_ids = sorted({each.actor_id for each in made if each.actor_kind == GROUP})
    inheriting = sorted({each.target_id for each in made if each.inherited})
    members = await groups.members_of(db, group_ids) if group_ids else {}
    below = {each: await projects.below(db, each) for each in inheriting}
    expanded = expand(made, members, below, await identity.tokens.role_book())
    return [each for each in expanded if _fits(each, wanted)]


async def _candidates(db: Database, wanted: Wanted) -> Sequence[Assignment]:
    if wanted.user_id:
        made: Sequence[Assignment] = await assignments.of_user(db, wanted.user_id)
    else:
        made = await assignments.listed(db, [Condition("inherited", 1)] if wanted.only_inherited else [])
    return [each for each in made if each.inherited] if wanted.only_inherited else made


def _fits(each: Effective, wanted: Wanted) -> bool:
    if wanted.user_id and each.user_id != wanted.user_id:
        return False
    if wanted.role_id and each.role_id != wanted.role_id:
        return False
    return not wanted.target_kind or (each.target_kind == wanted.target_kind and each.target_id in wanted.target_ids)
