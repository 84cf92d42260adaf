"""Who has which role where, and what that amounts to."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pileus.identity.domain.role import RoleBook

USER, GROUP = "user", "group"
PROJECT, DOMAIN, SYSTEM = "project", "domain", "system"
ALL = "all"  # the id of the one system


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """A role of a user or group on a project, a domain or the system.

    `inherited` means: not on the target itself, but on every project below it.
    """

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool = False


class Effective(msgspec.Struct, frozen=True, gc=False):
    """One role that a user really has on a target, and where it comes from."""

    user_id: str
    target_kind: str
    target_id: str
    role_id: str
    source: Assignment
    group_id: str = ""  # the membership it comes by
    prior_role_id: str = ""  # the role that implies it


def expand(
    assignments: Iterable[Assignment],
    members: Mapping[str, Sequence[str]],
    below: Mapping[str, Sequence[str]],
    book: RoleBook,
) -> list[Effective]:
    """Resolve groups to users, inheritance to projects and roles to those they imply.

    `members` are the users of each group, `below` the projects under each domain or project.
    """
    found: list[Effective] = []
    for each in assignments:
        users = [each.actor_id] if each.actor_kind == USER else members.get(each.actor_id, ())
        group_id = each.actor_id if each.actor_kind == GROUP else ""
        targets = [(each.target_kind, each.target_id)]
        if each.inherited:
            targets = [(PROJECT, project) for project in below.get(each.target_id, ())]
        for user_id in users:
            for kind, target_id in targets:
                for role_id, prior in _roles(each.role_id, book):
                    found.append(Effective(user_id, kind, target_id, role_id, each, group_id, prior))
    return found


def _roles(role_id: str, book: RoleBook) -> list[tuple[str, str]]:
    """Each global role that `role_id` brings, with the role that directly implies it."""
    closure = book.closure(role_id)
    return [
        (reached, "" if reached == role_id else _prior(reached, closure, book))
        for reached in closure
        if (role := book.roles.get(reached)) is not None and role.domain_id is None
    ]


def _prior(reached: str, closure: Sequence[str], book: RoleBook) -> str:
    return next(prior for prior in closure if reached in book.implied.get(prior, ()))
