"""Snapshots in the database, saved by compare-and-set on the generation."""

from typing import Any

import msgspec
from msgspec.structs import replace

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.volume.domain.errors import SnapshotNotFound
from pileus.volume.domain.snapshot import Snapshot

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Snapshot).decode

_INSERT = sql(
    "INSERT INTO volume_snapshots (id, generation, project_id, volume_id, name, status, size_gib, type_id, created_at, "
    "updated_at, data) VALUES (:id, :generation, :project_id, :volume_id, :name, :status, :size_gib, :type_id, "
    ":created_at, :updated_at, :data)"
)
_SAVE = sql(
    "UPDATE volume_snapshots SET generation = :generation, name = :name, status = :status, updated_at = :updated_at, "
    "data = :data WHERE id = :id AND generation = :found"
)
_GET = sql("SELECT generation, data FROM volume_snapshots WHERE id = :id")
_DELETE = sql("DELETE FROM volume_snapshots WHERE id = :id")
_OF_VOLUME = sql("SELECT generation, data FROM volume_snapshots WHERE volume_id = :volume_id ORDER BY created_at, id")
_ANY_OF_VOLUME = sql("SELECT id FROM volume_snapshots WHERE volume_id = :volume_id LIMIT 1")
_EVERY = sql("SELECT generation, data FROM volume_snapshots")
_USED = sql(
    "SELECT type_id, COUNT(*) AS snapshots, SUM(size_gib) AS gigabytes FROM volume_snapshots "
    "WHERE project_id = :project_id GROUP BY type_id"
)


def snapshot_of(row: Any) -> Snapshot:
    """The snapshot of a row with the columns generation and data."""
    return replace(_unpack(row["data"]), generation=row["generation"])


def _values(snapshot: Snapshot, generation: int) -> dict[str, Any]:
    return {
        "id": snapshot.id, "generation": generation, "name": snapshot.name or "", "status": snapshot.status.value,
        "updated_at": snapshot.updated_at or snapshot.created_at, "data": _pack(replace(snapshot, generation=0)),
    }  # fmt: skip


async def insert(tx: Transaction, snapshot: Snapshot) -> None:
    await tx.run(
        _INSERT, project_id=snapshot.project_id, volume_id=snapshot.volume_id, size_gib=snapshot.size_gib,
        type_id=snapshot.type_id, created_at=snapshot.created_at, **_values(snapshot, 1),
    )  # fmt: skip


async def save(tx: Transaction, before: Snapshot, after: Snapshot) -> Snapshot:
    """Write `after` over `before`. Raises: ConcurrentChange."""
    generation = before.generation + 1
    if await tx.run(_SAVE, found=before.generation, **_values(after, generation)) != 1:
        raise ConcurrentChange()
    return replace(after, generation=generation)


async def delete(tx: Transaction, snapshot_id: str) -> None:
    await tx.run(_DELETE, id=snapshot_id)


async def find(reader: Database | Transaction, snapshot_id: str) -> Snapshot | None:
    row = await reader.one(_GET, id=snapshot_id)
    return None if row is None else snapshot_of(row)


async def get(reader: Database | Transaction, snapshot_id: str) -> Snapshot:
    """Raises: SnapshotNotFound (404)."""
    found = await find(reader, snapshot_id)
    if found is None:
        raise SnapshotNotFound(snapshot_id=snapshot_id)
    return found


async def of_volume(reader: Database | Transaction, volume_id: str) -> list[Snapshot]:
    return [snapshot_of(row) for row in await reader.all(_OF_VOLUME, volume_id=volume_id)]


async def has_any(reader: Database | Transaction, volume_id: str) -> bool:
    return await reader.one(_ANY_OF_VOLUME, volume_id=volume_id) is not None


async def everything(reader: Database | Transaction) -> list[Snapshot]:
    """Every snapshot there is: for the audit."""
    return [snapshot_of(row) for row in await reader.all(_EVERY)]


async def used(reader: Database | Transaction, project_id: str) -> dict[str, tuple[int, int]]:
    """How many snapshots a project has and how many GiB they were, by the id of the volumes' type."""
    rows = await reader.all(_USED, project_id=project_id)
    return {row["type_id"]: (row["snapshots"], int(row["gigabytes"])) for row in rows}
