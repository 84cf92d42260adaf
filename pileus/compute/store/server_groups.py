"""Server groups in the database. Who belongs to a group is said by the servers' rows."""

from typing import Any

from pileus.compute.domain.candidate import Policy
from pileus.compute.domain.errors import ServerGroupNotFound
from pileus.compute.domain.server_group import ServerGroup
from pileus.foundation.database import Database, Transaction, sql

_COLUMNS = "id, project_id, user_id, name, policy, max_server_per_host, created_at"
_FIND = sql(f"SELECT {_COLUMNS} FROM compute_server_groups WHERE id = :id")
_OF_PROJECT = sql(
    f"SELECT {_COLUMNS} FROM compute_server_groups WHERE project_id = :project_id "
    "ORDER BY created_at, id LIMIT :limit OFFSET :offset"
)
_ALL = sql(f"SELECT {_COLUMNS} FROM compute_server_groups ORDER BY created_at, id LIMIT :limit OFFSET :offset")
_COUNT = sql("SELECT COUNT(*) AS found FROM compute_server_groups WHERE project_id = :project_id")
_INSERT = sql(
    f"INSERT INTO compute_server_groups ({_COLUMNS}) "
    "VALUES (:id, :project_id, :user_id, :name, :policy, :max_server_per_host, :created_at)"
)
_DELETE = sql("DELETE FROM compute_server_groups WHERE id = :id")
_MEMBERS = sql(
    "SELECT id, server_group_id, user_id FROM compute_servers WHERE server_group_id IN :ids* ORDER BY created_at, id"
)
_OF_USER = sql("SELECT COUNT(*) AS found FROM compute_servers WHERE server_group_id = :id AND user_id = :user_id")


def _group(row: Any) -> ServerGroup:
    return ServerGroup(
        id=row["id"], project_id=row["project_id"], user_id=row["user_id"], name=row["name"],
        policy=Policy(row["policy"]), max_server_per_host=row["max_server_per_host"], created_at=row["created_at"],
    )  # fmt: skip


async def find(reader: Database | Transaction, group_id: str) -> ServerGroup | None:
    row = await reader.one(_FIND, id=group_id)
    return None if row is None else _group(row)


async def get(reader: Database | Transaction, group_id: str) -> ServerGroup:
    """Raises: ServerGroupNotFound (404)."""
    found = await find(reader, group_id)
    if found is None:
        raise ServerGroupNotFound(group_id=group_id)
    return found


async def listed(reader: Database, project_id: str | None, *, limit: int = 1000, offset: int = 0) -> list[ServerGroup]:
    """Groups of one project, or of all (None), the oldest first."""
    if project_id is None:
        rows = await reader.all(_ALL, limit=limit, offset=offset)
    else:
        rows = await reader.all(_OF_PROJECT, project_id=project_id, limit=limit, offset=offset)
    return [_group(row) for row in rows]


async def count(reader: Database | Transaction, project_id: str) -> int:
    row = await reader.one(_COUNT, project_id=project_id)
    assert row is not None
    return int(row["found"])


async def insert(tx: Transaction, group: ServerGroup) -> None:
    await tx.run(
        _INSERT, id=group.id, project_id=group.project_id, user_id=group.user_id, name=group.name,
        policy=group.policy.value, max_server_per_host=group.max_server_per_host, created_at=group.created_at,
    )  # fmt: skip


async def delete(tx: Transaction, group_id: str) -> None:
    """Raises: ServerGroupNotFound (404)."""
    if await tx.run(_DELETE, id=group_id) != 1:
        raise ServerGroupNotFound(group_id=group_id)


async def members(reader: Database | Transaction, group_ids: list[str]) -> dict[str, list[str]]:
    """The servers of each of these groups, the oldest first."""
    found: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
    for row in await reader.all(_MEMBERS, ids=group_ids):
        found[row["server_group_id"]].append(row["id"])
    return found


async def members_of_user(reader: Database | Transaction, group_id: str, user_id: str) -> int:
    """How many servers of the user are in the group: what the members' quota counts."""
    row = await reader.one(_OF_USER, id=group_id, user_id=user_id)
    assert row is not None
    return int(row["found"])
