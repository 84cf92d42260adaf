"""Groups and their members."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Duplicate, Transaction
from pileus.identity.app.change import Change, change, write
from pileus.identity.app.service import Identity
from pileus.identity.domain import revocation
from pileus.identity.domain.assignment import GROUP
from pileus.identity.domain.errors import Missing, NotMember, Taken
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.user import Group, User
from pileus.identity.store import assignments, groups, projects, users


async def get_group(identity: Identity, id: str) -> Group:
    """Raises: Missing (404)."""
    found = await groups.find(identity.database, id)
    if found is None:
        raise Missing(what="group", id=id)
    return found


async def list_groups(identity: Identity, conditions: Sequence[Condition], most: int | None = None) -> list[Group]:
    return await groups.listed(identity.database, conditions, most)


async def create_group(identity: Identity, group: Group) -> Group:
    """Make a group; the id is chosen here. Raises: Missing (404) for the domain, Taken (409)."""
    made = msgspec.structs.replace(group, id=identity.runtime.hex_id())

    async def work(tx: Transaction) -> None:
        domain = await projects.find_untagged(tx, made.domain_id)
        if domain is None or not domain.is_domain:
            raise Missing(what="domain", id=made.domain_id)
        await groups.insert(tx, made)

    try:
        await write(identity, work)
    except Duplicate as error:
        raise _taken(made) from error
    return made


def _taken(group: Group) -> Taken:
    return Taken(what="group", detail=f"Duplicate entry found with name {group.name} at domain ID {group.domain_id}")


async def update_group(identity: Identity, id: str, changes: dict[str, Any]) -> Group:
    """Raises: Missing (404), Taken (409)."""
    updated: list[Group] = []

    async def work(tx: Transaction) -> None:
        old = await groups.find(tx, id)
        if old is None:
            raise Missing(what="group", id=id)
        new = msgspec.structs.replace(old, **(changes | {"extra": old.extra | changes.get("extra", {})}))
        updated[:] = [new]
        await groups.update(tx, new)

    try:
        await write(identity, work)
    except Duplicate as error:
        raise _taken(updated[0]) from error
    return updated[0]


async def delete_group(identity: Identity, id: str) -> None:
    """Delete a group; tokens of its members that had roles by it end. Raises: Missing (404)."""

    async def work(step: Change) -> None:
        if await groups.find(step.tx, id) is None:
            raise Missing(what="group", id=id)
        members = await groups.members(step.tx, id)
        if await assignments.listed(step.tx, [Condition("actor_id", id)]):
            await step.revoke(*(revocation.of_user(user_id) for user_id in members))
        await assignments.drop_actor(step.tx, GROUP, id)
        await groups.delete(step.tx, id)

    await change(identity, work)


async def users_of(identity: Identity, group_id: str) -> list[User]:
    """Raises: Missing (404)."""
    await get_group(identity, group_id)
    return await users.among(identity.database, await groups.members(identity.database, group_id))


async def groups_of(identity: Identity, user_id: str) -> list[Group]:
    return await groups.of_user(identity.database, user_id)


async def add_member(identity: Identity, group_id: str, user_id: str) -> None:
    """Joining twice is joining once. Raises: Missing (404) for either."""

    async def work(step: Change) -> None:
        if await groups.find(step.tx, group_id) is None:
            raise Missing(what="group", id=group_id)
        if await users.find(step.tx, user_id) is None:
            raise Missing(what="user", id=user_id)
        await groups.join(step.tx, group_id, user_id)

    await change(identity, work)


async def remove_member(identity: Identity, group_id: str, user_id: str) -> None:
    """Take a user out of a group; the user's tokens end. Raises: NotMember (404)."""

    async def work(step: Change) -> None:
        if not await groups.leave(step.tx, group_id, user_id):
            raise NotMember(user_id=user_id, group_id=group_id)
        await step.revoke(revocation.of_user(user_id))

    await change(identity, work)


async def check_member(identity: Identity, group_id: str, user_id: str) -> None:
    """Raises: NotMember (404)."""
    if not await groups.is_member(identity.database, group_id, user_id):
        raise NotMember(user_id=user_id, group_id=group_id)
