"""Rows of role assignments."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.identity.domain.assignment import Assignment
from pileus.identity.domain.filters import Condition
from pileus.identity.store.filters import selection
from pileus.identity.store.projects import Reads

_SELECT = "SELECT actor_kind, actor_id, target_kind, target_id, role_id, inherited FROM identity_assignments"
_ORDER = "actor_id, actor_kind, target_id, target_kind, role_id, inherited"
_ADD = sql(
    "INSERT INTO identity_assignments (actor_kind, actor_id, target_kind, target_id, role_id, inherited)"
    " VALUES (:actor_kind, :actor_id, :target_kind, :target_id, :role_id, :inherited) ON CONFLICT DO NOTHING"
)
_REMOVE = sql(
    "DELETE FROM identity_assignments WHERE actor_kind = :actor_kind AND actor_id = :actor_id"
    " AND target_kind = :target_kind AND target_id = :target_id AND role_id = :role_id AND inherited = :inherited"
)
_HAS = sql(
    "SELECT 1 AS yes FROM identity_assignments WHERE actor_kind = :actor_kind AND actor_id = :actor_id"
    " AND target_kind = :target_kind AND target_id = :target_id AND role_id = :role_id AND inherited = :inherited"
)
_DROP_ACTOR = sql("DELETE FROM identity_assignments WHERE actor_kind = :actor_kind AND actor_id = :actor_id")
_DROP_TARGET = sql("DELETE FROM identity_assignments WHERE target_id = :target_id")
_DROP_ROLE = sql("DELETE FROM identity_assignments WHERE role_id = :role_id")

_MINE = "(actor_id = :user_id OR actor_id IN (SELECT group_id FROM identity_group_members WHERE user_id = :user_id))"
_ROLES_ON = sql(
    f"SELECT DISTINCT role_id FROM identity_assignments WHERE {_MINE}"
    " AND ((inherited = 0 AND target_kind = :kind AND target_id = :target_id)"
    " OR (inherited = 1 AND target_id IN :above*))"
)
_ROLES_ON_FLAT = sql(
    f"SELECT DISTINCT role_id FROM identity_assignments WHERE {_MINE}"
    " AND ((inherited = 0 AND target_kind = :kind AND target_id = :target_id)"
    " OR (inherited = 1 AND target_id = :above))"
)
_OF_USER = sql(f"{_SELECT} WHERE {_MINE} ORDER BY {_ORDER}")


def _assignment(row: Any) -> Assignment:
    return Assignment(
        row["actor_kind"], row["actor_id"], row["target_kind"], row["target_id"], row["role_id"], bool(row["inherited"])
    )


def _values(each: Assignment) -> dict[str, Any]:
    return {
        "actor_kind": each.actor_kind,
        "actor_id": each.actor_id,
        "target_kind": each.target_kind,
        "target_id": each.target_id,
        "role_id": each.role_id,
        "inherited": int(each.inherited),
    }


async def roles_on(db: Reads, user_id: str, kind: str, target_id: str, above: Sequence[str] = ()) -> list[str]:
    """The roles assigned to a user or the user's groups, on the target or inherited from what is `above` it."""
    if len(above) <= 1:
        rows = await db.all(
            _ROLES_ON_FLAT, user_id=user_id, kind=kind, target_id=target_id, above=above[0] if above else ""
        )
    else:
        rows = await db.all(_ROLES_ON, user_id=user_id, kind=kind, target_id=target_id, above=list(above))
    return [row["role_id"] for row in rows]


async def of_user(db: Reads, user_id: str) -> list[Assignment]:
    """Everything assigned to a user, also by group."""
    return [_assignment(row) for row in await db.all(_OF_USER, user_id=user_id)]


async def listed(db: Reads, conditions: Sequence[Condition]) -> list[Assignment]:
    """Assignments that meet all conditions."""
    statement, values = selection(_SELECT, conditions, _ORDER)
    return [_assignment(row) for row in await db.all(statement, **values)]


async def has(db: Reads, assignment: Assignment) -> bool:
    return await db.one(_HAS, **_values(assignment)) is not None


async def add(tx: Transaction, assignment: Assignment) -> None:
    """Assigning twice leaves one assignment."""
    await tx.run(_ADD, **_values(assignment))


async def remove(tx: Transaction, assignment: Assignment) -> bool:
    """Whether it was there."""
    return await tx.run(_REMOVE, **_values(assignment)) > 0


async def drop_actor(tx: Transaction, kind: str, id: str) -> None:
    await tx.run(_DROP_ACTOR, actor_kind=kind, actor_id=id)


async def drop_target(tx: Transaction, target_id: str) -> None:
    await tx.run(_DROP_TARGET, target_id=target_id)


async def drop_role(tx: Transaction, role_id: str) -> None:
    await tx.run(_DROP_ROLE, role_id=role_id)
