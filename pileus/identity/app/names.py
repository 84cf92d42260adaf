"""The names behind the ids of role assignments, looked up in a few queries for a whole list."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pileus.identity.app.service import Identity
from pileus.identity.domain.assignment import GROUP, SYSTEM, USER, Assignment, Effective
from pileus.identity.domain.project import Project
from pileus.identity.domain.role import Role
from pileus.identity.domain.user import Group, User
from pileus.identity.store import groups, projects, users


class Names(msgspec.Struct, frozen=True, gc=False):
    """Everything that a list mentions, by id; domains are among the projects."""

    users: Mapping[str, User]
    groups: Mapping[str, Group]
    projects: Mapping[str, Project]
    roles: Mapping[str, Role]


async def of_assignments(identity: Identity, listed: Sequence[Assignment]) -> Names:
    return await _look_up(
        identity,
        {each.actor_id for each in listed if each.actor_kind == USER},
        {each.actor_id for each in listed if each.actor_kind == GROUP},
        {each.target_id for each in listed if each.target_kind != SYSTEM},
    )


async def of_effective(identity: Identity, listed: Sequence[Effective]) -> Names:
    return await _look_up(
        identity,
        {each.user_id for each in listed},
        (),
        {each.target_id for each in listed if each.target_kind != SYSTEM},
    )


async def _look_up(
    identity: Identity, user_ids: Iterable[str], group_ids: Iterable[str], target_ids: Iterable[str]
) -> Names:
    db = identity.database
    found_users = await users.among(db, sorted(user_ids))
    found_groups = await groups.among(db, sorted(group_ids))
    targets = await projects.among(db, sorted(target_ids))
    book = await identity.tokens.role_book()
    domain_ids = {each.domain_id for each in found_users} | {each.domain_id for each in found_groups}
    owners = {each.domain_id for each in targets} | {each.domain_id for each in book.roles.values()}
    domains = await projects.among(db, sorted(each for each in domain_ids | owners if each))
    return Names(
        {each.id: each for each in found_users},
        {each.id: each for each in found_groups},
        {each.id: each for each in (*targets, *domains)},
        book.roles,
    )
