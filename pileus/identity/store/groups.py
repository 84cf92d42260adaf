"""Rows of groups and who is in them."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.project import name_key
from pileus.identity.domain.user import Group
from pileus.identity.store import documents
from pileus.identity.store.filters import selection
from pileus.identity.store.projects import Reads

_SELECT = "SELECT id, name, domain_id, description, extra FROM identity_groups"
_GET = sql(f"{_SELECT} WHERE id = :id")
_AMONG = sql(f"{_SELECT} WHERE id IN :ids* ORDER BY id")
_OF_USER = sql(
    f"{_SELECT} WHERE id IN (SELECT group_id FROM identity_group_members WHERE user_id = :user_id) ORDER BY id"
)
_INSERT = sql(
    "INSERT INTO identity_groups (id, name, name_key, domain_id, description, extra)"
    " VALUES (:id, :name, :name_key, :domain_id, :description, :extra)"
)
_UPDATE = sql(
    "UPDATE identity_groups SET name = :name, name_key = :name_key, description = :description, extra = :extra"
    " WHERE id = :id"
)
_DELETE = sql("DELETE FROM identity_groups WHERE id = :id")
_IN_DOMAIN = sql("SELECT id FROM identity_groups WHERE domain_id = :domain_id ORDER BY id")
_MEMBERS = sql("SELECT user_id FROM identity_group_members WHERE group_id = :group_id ORDER BY user_id")
_MEMBERS_AMONG = sql("SELECT group_id, user_id FROM identity_group_members WHERE group_id IN :ids* ORDER BY user_id")
_IS_MEMBER = sql("SELECT 1 AS yes FROM identity_group_members WHERE group_id = :group_id AND user_id = :user_id")
_JOIN = sql(
    "INSERT INTO identity_group_members (group_id, user_id) VALUES (:group_id, :user_id) ON CONFLICT DO NOTHING"
)
_LEAVE = sql("DELETE FROM identity_group_members WHERE group_id = :group_id AND user_id = :user_id")
_LEAVE_ALL = sql("DELETE FROM identity_group_members WHERE user_id = :user_id")
_EMPTY = sql("DELETE FROM identity_group_members WHERE group_id = :group_id")


def _group(row: Any) -> Group:
    return Group(
        id=row["id"],
        name=row["name"],
        domain_id=row["domain_id"],
        description=row["description"],
        extra=documents.read(row["extra"]),
    )


async def find(db: Reads, id: str) -> Group | None:
    row = await db.one(_GET, id=id)
    return None if row is None else _group(row)


async def among(db: Reads, ids: Sequence[str]) -> list[Group]:
    return [_group(row) for row in await db.all(_AMONG, ids=list(ids))]


async def listed(db: Reads, conditions: Sequence[Condition], most: int | None = None) -> list[Group]:
    """Groups that meet all conditions, ordered by id."""
    statement, values = selection(_SELECT, conditions, "id", most)
    return [_group(row) for row in await db.all(statement, **values)]


async def of_user(db: Reads, user_id: str) -> list[Group]:
    return [_group(row) for row in await db.all(_OF_USER, user_id=user_id)]


async def in_domain(db: Reads, domain_id: str) -> list[str]:
    return [row["id"] for row in await db.all(_IN_DOMAIN, domain_id=domain_id)]


async def insert(tx: Transaction, group: Group) -> None:
    """Raises: Duplicate when the name is taken in the domain."""
    await tx.run(_INSERT, domain_id=group.domain_id, **_values(group))


async def update(tx: Transaction, group: Group) -> None:
    """Raises: Duplicate when the name is taken in the domain."""
    await tx.run(_UPDATE, **_values(group))


def _values(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "name_key": name_key(group.name),
        "description": group.description,
        "extra": documents.write(group.extra),
    }


async def delete(tx: Transaction, id: str) -> None:
    await tx.run(_EMPTY, group_id=id)
    await tx.run(_DELETE, id=id)


async def members(db: Reads, group_id: str) -> list[str]:
    return [row["user_id"] for row in await db.all(_MEMBERS, group_id=group_id)]


async def members_of(db: Reads, group_ids: Sequence[str]) -> dict[str, list[str]]:
    """The users of each of these groups."""
    found: dict[str, list[str]] = {}
    for row in await db.all(_MEMBERS_AMONG, ids=list(group_ids)):
        found.setdefault(row["group_id"], []).append(row["user_id"])
    return found


async def is_member(db: Reads, group_id: str, user_id: str) -> bool:
    return await db.one(_IS_MEMBER, group_id=group_id, user_id=user_id) is not None


async def join(tx: Transaction, group_id: str, user_id: str) -> None:
    await tx.run(_JOIN, group_id=group_id, user_id=user_id)


async def leave(tx: Transaction, group_id: str, user_id: str) -> bool:
    """Whether the user was in the group."""
    return await tx.run(_LEAVE, group_id=group_id, user_id=user_id) > 0


async def leave_all(tx: Transaction, user_id: str) -> None:
    await tx.run(_LEAVE_ALL, user_id=user_id)
