"""Rows of bytes on their way in, and of bytes that wait for an import."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.image.store.images import Reads

_INSERT = sql("INSERT INTO image_uploads (image_id, location, beat, started_at) VALUES (:image_id, :location, 0, :at)")
_FIND = sql("SELECT image_id, location, beat FROM image_uploads WHERE image_id = :image_id")
_ALL = sql("SELECT image_id, location, beat FROM image_uploads ORDER BY image_id")
_BEAT = sql("UPDATE image_uploads SET beat = beat + 1 WHERE image_id = :image_id AND location = :location")
_DELETE = sql("DELETE FROM image_uploads WHERE image_id = :image_id AND location = :location")
_FORGET = sql("DELETE FROM image_uploads WHERE image_id = :image_id")

_INSERT_STAGE = sql(
    "INSERT INTO image_stages (image_id, location, size, created_at) VALUES (:image_id, :location, :size, :at)"
)
_FIND_STAGE = sql("SELECT image_id, location, size FROM image_stages WHERE image_id = :image_id")
_DELETE_STAGE = sql("DELETE FROM image_stages WHERE image_id = :image_id")

_FORGET_FLOWS = sql(
    "DELETE FROM image_flows WHERE state IN ('done', 'failed') AND subject NOT IN (SELECT id FROM image_images)"
)


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes on their way to a location. `beat` grows while whoever brings them lives."""

    image_id: str
    location: str
    beat: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Bytes of a queued image, not yet looked at."""

    image_id: str
    location: str
    size: int


async def insert(tx: Transaction, image_id: str, location: str, at: int) -> None:
    """Raises: Duplicate when bytes of this image are on their way already."""
    await tx.run(_INSERT, image_id=image_id, location=location, at=at)


async def find(db: Reads, image_id: str) -> Upload | None:
    row = await db.one(_FIND, image_id=image_id)
    return None if row is None else _upload(row)


async def all_(db: Reads) -> Sequence[Upload]:
    return [_upload(row) for row in await db.all(_ALL)]


async def beat(tx: Transaction, image_id: str, location: str) -> bool:
    """Say that the upload lives; False when it was given up."""
    return await tx.run(_BEAT, image_id=image_id, location=location) > 0


async def delete(tx: Transaction, image_id: str, location: str) -> bool:
    """End this upload; False when it was given up."""
    return await tx.run(_DELETE, image_id=image_id, location=location) > 0


async def forget(tx: Transaction, image_id: str) -> None:
    """End whatever upload and stage the image has."""
    await tx.run(_FORGET, image_id=image_id)
    await tx.run(_DELETE_STAGE, image_id=image_id)


async def insert_stage(tx: Transaction, stage: Stage, at: int) -> None:
    await tx.run(_INSERT_STAGE, image_id=stage.image_id, location=stage.location, size=stage.size, at=at)


async def find_stage(db: Reads, image_id: str) -> Stage | None:
    row = await db.one(_FIND_STAGE, image_id=image_id)
    return None if row is None else Stage(row["image_id"], row["location"], row["size"])


async def delete_stage(tx: Transaction, image_id: str) -> None:
    await tx.run(_DELETE_STAGE, image_id=image_id)


async def forget_flows(tx: Transaction) -> None:
    """Remove what is known of ended imports of images that are gone."""
    await tx.run(_FORGET_FLOWS)


def _upload(row: Any) -> Upload:
    return Upload(row["image_id"], row["location"], row["beat"])
