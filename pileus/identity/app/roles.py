"""Roles and what they imply."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Duplicate, Transaction
from pileus.identity.app.change import Change, change
from pileus.identity.app.service import Identity
from pileus.identity.domain import revocation
from pileus.identity.domain.assignment import GROUP, Assignment
from pileus.identity.domain.errors import Immutable, Missing, NeverImplied, NoImplication, Taken
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.options import merged
from pileus.identity.domain.role import ADMIN, SERVICE, Role
from pileus.identity.store import assignments, groups, projects, roles


async def get_role(identity: Identity, id: str) -> Role:
    """Raises: Missing (404)."""
    found = await roles.find(identity.database, id)
    if found is None:
        raise Missing(what="role", id=id)
    return found


async def list_roles(identity: Identity, conditions: Sequence[Condition], most: int | None = None) -> list[Role]:
    return await roles.listed(identity.database, conditions, most)


async def create_role(identity: Identity, role: Role) -> Role:
    """Make a role; the id is chosen here. Raises: Missing (404) for its domain, Taken (409)."""
    made = msgspec.structs.replace(role, id=identity.runtime.hex_id())

    async def work(step: Change) -> None:
        if made.domain_id is not None:
            domain = await projects.find_untagged(step.tx, made.domain_id)
            if domain is None or not domain.is_domain:
                raise Missing(what="domain", id=made.domain_id)
        await roles.insert(step.tx, made)

    try:
        await change(identity, work)
    except Duplicate as error:
        raise _taken(made) from error
    return made


def _taken(role: Role) -> Taken:
    where = f" at domain ID {role.domain_id}" if role.domain_id else ""
    return Taken(what="role", detail=f"Duplicate entry found with name {role.name}{where}")


async def update_role(identity: Identity, id: str, changes: dict[str, Any]) -> Role:
    """Raises: Missing (404), Immutable (403), Taken (409)."""
    updated: list[Role] = []

    async def work(step: Change) -> None:
        old = await roles.find(step.tx, id)
        if old is None:
            raise Missing(what="role", id=id)
        options = merged(old.options, changes.get("options"))
        extra = old.extra | changes.get("extra", {})
        new = msgspec.structs.replace(old, **(changes | {"options": options, "extra": extra}))
        if old.is_immutable and new.is_immutable:
            raise Immutable(verb="update", what="role", id=id)
        updated[:] = [new]
        await roles.update(step.tx, new)

    try:
        await change(identity, work)
    except Duplicate as error:
        raise _taken(updated[0]) from error
    return updated[0]


async def delete_role(identity: Identity, id: str) -> None:
    """Delete a role and all its assignments; tokens that lived on one end.

    Raises: Missing (404), Immutable (403).
    """

    async def work(step: Change) -> None:
        role = await roles.find(step.tx, id)
        if role is None:
            raise Missing(what="role", id=id)
        if role.is_immutable:
            raise Immutable(verb="delete", what="role", id=id)
        for each in await assignments.listed(step.tx, [Condition("role_id", id)]):
            await step.revoke(*await lost_by(step.tx, each))
        await assignments.drop_role(step.tx, id)
        await roles.delete(step.tx, id)

    await change(identity, work)


async def lost_by(tx: Transaction, assignment: Assignment) -> list[str]:
    """Whose tokens end when the assignment goes, as subjects of revocation."""
    if assignment.actor_kind == GROUP:
        user_ids = await groups.members(tx, assignment.actor_id)
    else:
        user_ids = [assignment.actor_id]
    if assignment.inherited:
        return [revocation.of_user(user_id) for user_id in user_ids]
    return [revocation.of_grant(user_id, assignment.target_kind, assignment.target_id) for user_id in user_ids]


# -- implications -------------------------------------------------------------------------------------------
async def imply(identity: Identity, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """Let one role bring another; never admin or service, and never a domain's own role by one of the whole cloud.

    Raises: Missing (404), NeverImplied (403).
    """

    async def work(step: Change) -> tuple[Role, Role]:
        prior, implied = await roles.find(step.tx, prior_id), await roles.find(step.tx, implied_id)
        if prior is None or implied is None:
            raise Missing(what="role", id=prior_id if prior is None else implied_id)
        is_of_the_cloud = implied.domain_id is None and implied.name in (ADMIN, SERVICE)
        is_narrower = implied.domain_id is not None and prior.domain_id is None
        if is_of_the_cloud or is_narrower:
            raise NeverImplied(id=implied_id)
        await roles.imply(step.tx, prior_id, implied_id)
        return prior, implied

    return await change(identity, work)


async def unimply(identity: Identity, prior_id: str, implied_id: str) -> None:
    """Raises: NoImplication (404)."""

    async def work(step: Change) -> None:
        if not await roles.unimply(step.tx, prior_id, implied_id):
            raise NoImplication(prior_id=prior_id, implied_id=implied_id)
        for each in await assignments.listed(step.tx, [Condition("role_id", prior_id)]):
            await step.revoke(*await lost_by(step.tx, each))

    await change(identity, work)


async def implied_by(identity: Identity, prior_id: str) -> list[Role]:
    """The roles that this one brings directly. Raises: Missing (404)."""
    book = await identity.tokens.role_book()
    if prior_id not in book.roles:
        raise Missing(what="role", id=prior_id)
    return [book.roles[each] for each in sorted(book.implied.get(prior_id, ()))]


async def all_implications(identity: Identity) -> list[tuple[Role, list[Role]]]:
    """Every role that implies others, with those."""
    book = await identity.tokens.role_book()
    return [
        (book.roles[prior], [book.roles[each] for each in sorted(implied)])
        for prior, implied in sorted(book.implied.items())
    ]
