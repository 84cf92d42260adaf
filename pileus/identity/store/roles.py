"""Rows of roles and of which role implies which."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.project import name_key
from pileus.identity.domain.role import Role, RoleBook
from pileus.identity.store import documents
from pileus.identity.store.filters import selection
from pileus.identity.store.projects import Reads

_SELECT = "SELECT id, name, domain_id, description, options, extra FROM identity_roles"
_ALL = sql(f"{_SELECT} ORDER BY id")
_GET = sql(f"{_SELECT} WHERE id = :id")
_BY_NAME = sql(f"{_SELECT} WHERE domain_id = :domain_id AND name_key = :name_key")
_INSERT = sql(
    "INSERT INTO identity_roles (id, name, name_key, domain_id, description, options, extra)"
    " VALUES (:id, :name, :name_key, :domain_id, :description, :options, :extra)"
)
_UPDATE = sql(
    "UPDATE identity_roles SET name = :name, name_key = :name_key, description = :description, options = :options,"
    " extra = :extra WHERE id = :id"
)
_DELETE = sql("DELETE FROM identity_roles WHERE id = :id")
_IMPLICATIONS = sql("SELECT prior_id, implied_id FROM identity_implied_roles ORDER BY prior_id, implied_id")
_IMPLY = sql(
    "INSERT INTO identity_implied_roles (prior_id, implied_id) VALUES (:prior_id, :implied_id) ON CONFLICT DO NOTHING"
)
_UNIMPLY = sql("DELETE FROM identity_implied_roles WHERE prior_id = :prior_id AND implied_id = :implied_id")
_UNIMPLY_ALL = sql("DELETE FROM identity_implied_roles WHERE prior_id = :id OR implied_id = :id")


def _role(row: Any) -> Role:
    return Role(
        id=row["id"],
        name=row["name"],
        domain_id=row["domain_id"] or None,
        description=row["description"],
        options=documents.read(row["options"]),
        extra=documents.read(row["extra"]),
    )


async def book(db: Reads) -> RoleBook:
    """All roles and what they imply."""
    implied: dict[str, set[str]] = {}
    for row in await db.all(_IMPLICATIONS):
        implied.setdefault(row["prior_id"], set()).add(row["implied_id"])
    roles = [_role(row) for row in await db.all(_ALL)]
    return RoleBook(roles, {prior: frozenset(reached) for prior, reached in implied.items()})


async def find(db: Reads, id: str) -> Role | None:
    row = await db.one(_GET, id=id)
    return None if row is None else _role(row)


async def find_by_name(db: Reads, name: str, domain_id: str = "") -> Role | None:
    row = await db.one(_BY_NAME, domain_id=domain_id, name_key=name_key(name))
    return None if row is None else _role(row)


async def listed(db: Reads, conditions: Sequence[Condition], most: int | None = None) -> list[Role]:
    """Roles that meet all conditions, ordered by id."""
    statement, values = selection(_SELECT, conditions, "id", most)
    return [_role(row) for row in await db.all(statement, **values)]


async def insert(tx: Transaction, role: Role) -> None:
    """Raises: Duplicate when the name is taken."""
    await tx.run(_INSERT, domain_id=role.domain_id or "", **_values(role))


async def update(tx: Transaction, role: Role) -> None:
    """Raises: Duplicate when the name is taken."""
    await tx.run(_UPDATE, **_values(role))


def _values(role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "name_key": name_key(role.name),
        "description": role.description,
        "options": documents.write(role.options),
        "extra": documents.write(role.extra),
    }


async def delete(tx: Transaction, id: str) -> None:
    await tx.run(_UNIMPLY_ALL, id=id)
    await tx.run(_DELETE, id=id)


async def imply(tx: Transaction, prior_id: str, implied_id: str) -> None:
    await tx.run(_IMPLY, prior_id=prior_id, implied_id=implied_id)


async def unimply(tx: Transaction, prior_id: str, implied_id: str) -> bool:
    """Whether there was such an implication."""
    return await tx.run(_UNIMPLY, prior_id=prior_id, implied_id=implied_id) > 0
