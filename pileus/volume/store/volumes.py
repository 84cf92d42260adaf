"""Volumes in the database: one row each with its attachments, saved by compare-and-set on the generation."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.volume.domain.errors import AttachmentNotFound, VolumeNotFound
from pileus.volume.domain.volume import Volume
from pileus.volume.store import snapshots

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Volume).decode

_COLUMNS = (
    "id", "generation", "project_id", "user_id", "name", "status", "size_gib", "counted_gib", "zone", "backend",
    "type_id", "is_bootable", "is_counted", "action", "created_at", "updated_at", "data",
)  # fmt: skip
_FIXED = frozenset({"id", "created_at"})

FIELDS = "v.generation, v.data, t.name AS type_name"
SOURCE = "volume_volumes v LEFT JOIN volume_types t ON t.id = v.type_id"

_INSERT = sql(
    f"INSERT INTO volume_volumes ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"
)
_SAVE = sql(
    "UPDATE volume_volumes SET "
    + ", ".join(f"{name} = :{name}" for name in _COLUMNS if name not in _FIXED)
    + " WHERE id = :id AND generation = :found"
)
_GET = sql(f"SELECT {FIELDS} FROM {SOURCE} WHERE v.id = :id")
_DELETE = sql("DELETE FROM volume_volumes WHERE id = :id AND generation = :found")
_USED = sql(
    "SELECT type_id, COUNT(*) AS volumes, SUM(counted_gib) AS gigabytes FROM volume_volumes "
    "WHERE project_id = :project_id AND is_counted = 1 GROUP BY type_id"
)
_ADD_METADATA = sql("INSERT INTO volume_metadata (volume_id, name, value) VALUES (:id, :name, :value)")
_DROP_METADATA = sql("DELETE FROM volume_metadata WHERE volume_id = :id")
_ADD_ATTACHMENT = sql(
    "INSERT INTO volume_attachments (id, volume_id, project_id, server_id, status, changed_at, host) "
    "VALUES (:id, :volume_id, :project_id, :server_id, :status, :changed_at, :host)"
)
_DROP_ATTACHMENTS = sql("DELETE FROM volume_attachments WHERE volume_id = :id")
_BY_ATTACHMENT = sql(
    f"SELECT {FIELDS} FROM volume_attachments a JOIN {SOURCE.replace('LEFT', 'ON v.id = a.volume_id LEFT')} "
    "WHERE a.id = :id"
)
_EVERY = sql(f"SELECT {FIELDS} FROM {SOURCE}")
_OF_BACKEND = sql("SELECT id, status FROM volume_volumes WHERE backend = :backend")
_ALLOCATED = sql("SELECT backend, SUM(counted_gib) AS gib FROM volume_volumes GROUP BY backend")
_USAGE = sql(
    "SELECT project_id, COUNT(*) AS volumes, SUM(size_gib) AS gib FROM volume_volumes WHERE backend = :backend "
    "GROUP BY project_id ORDER BY project_id"
)
_BUSY = sql(f"SELECT {FIELDS} FROM {SOURCE} WHERE v.action IS NOT NULL ORDER BY v.updated_at LIMIT 1000")
_OF_TYPE = sql("SELECT id FROM volume_volumes WHERE type_id = :type_id LIMIT 1")
_LET_GO = sql(
    "SELECT id, volume_id FROM volume_attachments WHERE status = 'detached' AND changed_at < :before LIMIT 1000"
)


def _values(volume: Volume, generation: int) -> dict[str, Any]:
    return {
        "id": volume.id, "generation": generation, "project_id": volume.project_id, "user_id": volume.user_id,
        "name": volume.name or "", "status": volume.status.value, "size_gib": volume.size_gib,
        "counted_gib": volume.grows_to or volume.size_gib, "zone": volume.zone,
        "backend": volume.backend, "type_id": volume.type_id, "is_bootable": int(volume.is_bootable), "is_counted": 1,
        "action": volume.action.value if volume.action is not None else None, "created_at": volume.created_at,
        "updated_at": volume.updated_at or volume.created_at,
        "data": _pack(replace(volume, generation=0, type_name="")),
    }  # fmt: skip


def volume_of(row: Any) -> Volume:
    """The volume of a row with the columns FIELDS."""
    return replace(_unpack(row["data"]), generation=row["generation"], type_name=row["type_name"] or "")


async def insert(tx: Transaction, volume: Volume) -> None:
    await tx.run(_INSERT, **_values(volume, 1))
    for name, value in volume.metadata.items():
        await tx.run(_ADD_METADATA, id=volume.id, name=name, value=value)


async def save(tx: Transaction, before: Volume, after: Volume) -> Volume:
    """Write `after` over `before` and return it with its new generation.

    Raises: ConcurrentChange when the row is no longer as it was when `before` was read.
    """
    generation = before.generation + 1
    if await tx.run(_SAVE, found=before.generation, **_values(after, generation)) != 1:
        raise ConcurrentChange()
    if before.metadata != after.metadata:
        await tx.run(_DROP_METADATA, id=after.id)
        for name, value in after.metadata.items():
            await tx.run(_ADD_METADATA, id=after.id, name=name, value=value)
    if before.attachments != after.attachments:
        await _write_attachments(tx, after)
    return replace(after, generation=generation)


async def _write_attachments(tx: Transaction, volume: Volume) -> None:
    await tx.run(_DROP_ATTACHMENTS, id=volume.id)
    for held in volume.attachments:
        await tx.run(
            _ADD_ATTACHMENT, id=held.id, volume_id=volume.id, project_id=held.project_id, server_id=held.server_id,
            status=held.status.value, changed_at=held.changed_at, host=held.host,
        )  # fmt: skip


async def delete(tx: Transaction, volume: Volume) -> None:
    """Remove the row. Raises: ConcurrentChange."""
    if await tx.run(_DELETE, id=volume.id, found=volume.generation) != 1:
        raise ConcurrentChange()
    if volume.metadata:
        await tx.run(_DROP_METADATA, id=volume.id)
    if volume.attachments:
        await tx.run(_DROP_ATTACHMENTS, id=volume.id)


async def find(reader: Database | Transaction, volume_id: str) -> Volume | None:
    row = await reader.one(_GET, id=volume_id)
    return None if row is None else volume_of(row)


async def get(reader: Database | Transaction, volume_id: str) -> Volume:
    """Raises: VolumeNotFound (404)."""
    row = await reader.one(_GET, id=volume_id)
    if row is None:
        raise VolumeNotFound(volume_id=volume_id)
    return volume_of(row)


async def get_by_attachment(reader: Database | Transaction, attachment_id: str) -> Volume:
    """The volume that an attachment holds. Raises: AttachmentNotFound (404)."""
    row = await reader.one(_BY_ATTACHMENT, id=attachment_id)
    if row is None:
        raise AttachmentNotFound(attachment_id=attachment_id)
    return volume_of(row)


async def used(reader: Database | Transaction, project_id: str, names: Mapping[str, str]) -> dict[str, int]:
    """What a project's volumes use of its quota, in all and by type; `names` are the types' names by id."""
    found = {"volumes": 0, "gigabytes": 0, "snapshots": 0}
    for row in await reader.all(_USED, project_id=project_id):
        found["volumes"] += row["volumes"]
        found["gigabytes"] += int(row["gigabytes"])
        name = names.get(row["type_id"], "")
        found[f"volumes_{name}"] = row["volumes"]
        found[f"gigabytes_{name}"] = int(row["gigabytes"])
    for type_id, (count, gigabytes) in (await snapshots.used(reader, project_id)).items():
        found["snapshots"] += count
        found["gigabytes"] += gigabytes
        name = names.get(type_id, "")
        found[f"snapshots_{name}"] = count
        found[f"gigabytes_{name}"] = found.get(f"gigabytes_{name}", 0) + gigabytes
    return found


async def everything(reader: Database | Transaction) -> list[Volume]:
    """Every volume there is: for the audit."""
    return [volume_of(row) for row in await reader.all(_EVERY)]


async def busy(reader: Database | Transaction) -> list[Volume]:
    """Volumes with something in flight, the stillest first."""
    return [volume_of(row) for row in await reader.all(_BUSY)]


async def is_type_used(reader: Database | Transaction, type_id: str) -> bool:
    return await reader.one(_OF_TYPE, type_id=type_id) is not None


async def allocated(reader: Database) -> dict[str, int]:
    """How many GiB were promised of each back end."""
    return {row["backend"]: int(row["gib"]) for row in await reader.all(_ALLOCATED)}


async def usage(reader: Database, backend: str) -> list[tuple[str, int, int]]:
    """Project, number of volumes, their GiB."""
    rows = await reader.all(_USAGE, backend=backend)
    return [(row["project_id"], row["volumes"], int(row["gib"])) for row in rows]


async def let_go(reader: Database, before: int) -> list[tuple[str, str]]:
    """Attachments (id, volume) that were let go before that moment and are still remembered."""
    return [(row["id"], row["volume_id"]) for row in await reader.all(_LET_GO, before=before)]
