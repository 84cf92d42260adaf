"""Volume types in the database."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Database, Transaction, sql
from pileus.volume.domain.volume_type import VolumeType

_FIELDS = "id, name, description, is_public, specs, created_at, updated_at"
_ALL = sql(f"SELECT {_FIELDS} FROM volume_types ORDER BY created_at DESC, id DESC")
_GET = sql(f"SELECT {_FIELDS} FROM volume_types WHERE id = :id")
_BY_NAME = sql(f"SELECT {_FIELDS} FROM volume_types WHERE name = :name")
_NAMES = sql("SELECT id, name FROM volume_types ORDER BY created_at, id")
_PUT = sql(
    "INSERT INTO volume_types (id, name, description, is_public, specs, created_at, updated_at) "
    "VALUES (:id, :name, :description, :is_public, :specs, :created_at, :updated_at) "
    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, "
    "is_public = excluded.is_public, specs = excluded.specs, updated_at = excluded.updated_at"
)
_DELETE = sql("DELETE FROM volume_types WHERE id = :id")
_ACCESS = sql("SELECT project_id FROM volume_type_access WHERE type_id = :type_id ORDER BY project_id")
_MAY = sql("SELECT 1 AS may FROM volume_type_access WHERE type_id = :type_id AND project_id = :project_id")
_GIVE = sql(
    "INSERT INTO volume_type_access (type_id, project_id) VALUES (:type_id, :project_id) ON CONFLICT DO NOTHING"
)
_TAKE = sql("DELETE FROM volume_type_access WHERE type_id = :type_id AND project_id = :project_id")
_TAKE_ALL = sql("DELETE FROM volume_type_access WHERE type_id = :type_id")
_OPEN_TO = sql("SELECT type_id FROM volume_type_access WHERE project_id = :project_id")


def _type(row: Any) -> VolumeType:
    return VolumeType(
        id=row["id"], name=row["name"], description=row["description"], is_public=bool(row["is_public"]),
        specs=msgspec.json.decode(row["specs"]), created_at=row["created_at"], updated_at=row["updated_at"],
    )  # fmt: skip


async def all_types(reader: Database | Transaction) -> Sequence[VolumeType]:
    """Every type, the newest first."""
    return [_type(row) for row in await reader.all(_ALL)]


async def names(reader: Database | Transaction) -> dict[str, str]:
    """The types' names by id, the oldest first."""
    return {row["id"]: row["name"] for row in await reader.all(_NAMES)}


async def find(reader: Database | Transaction, type_id: str) -> VolumeType | None:
    row = await reader.one(_GET, id=type_id)
    return None if row is None else _type(row)


async def find_by_name(reader: Database | Transaction, name: str) -> VolumeType | None:
    row = await reader.one(_BY_NAME, name=name)
    return None if row is None else _type(row)


async def hold(tx: Transaction, type_id: str) -> None:
    """Until the transaction ends, nobody else changes or deletes the type, or comes to rely on it."""
    await tx.lock("volume-type", type_id)


async def put(tx: Transaction, kind: VolumeType) -> None:
    """Raises: Duplicate when another type has the name."""
    await tx.run(
        _PUT, id=kind.id, name=kind.name, description=kind.description, is_public=int(kind.is_public),
        specs=msgspec.json.encode(kind.specs).decode(), created_at=kind.created_at, updated_at=kind.updated_at,
    )  # fmt: skip


async def delete(tx: Transaction, type_id: str) -> None:
    await tx.run(_DELETE, id=type_id)
    await tx.run(_TAKE_ALL, type_id=type_id)


async def projects_with_access(reader: Database | Transaction, type_id: str) -> list[str]:
    return [row["project_id"] for row in await reader.all(_ACCESS, type_id=type_id)]


async def has_access(reader: Database | Transaction, type_id: str, project_id: str) -> bool:
    return await reader.one(_MAY, type_id=type_id, project_id=project_id) is not None


async def open_to(reader: Database | Transaction, project_id: str) -> frozenset[str]:
    """The ids of private types that a project may use."""
    return frozenset(row["type_id"] for row in await reader.all(_OPEN_TO, project_id=project_id))


async def give_access(tx: Transaction, type_id: str, project_id: str) -> None:
    await tx.run(_GIVE, type_id=type_id, project_id=project_id)


async def take_access(tx: Transaction, type_id: str, project_id: str) -> int:
    return await tx.run(_TAKE, type_id=type_id, project_id=project_id)
