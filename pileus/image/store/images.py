"""Rows of images."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.image.domain.image import Image

Reads = Database | Transaction

COLUMNS = (
    "id, owner, name, status, visibility, protected, os_hidden, container_format, disk_format, min_disk, min_ram, size,"
    " virtual_size, checksum, os_hash_algo, os_hash_value, properties, tags, location, created_at, updated_at,"
    " generation"
)
_FIND = sql(f"SELECT {COLUMNS} FROM image_images WHERE id = :id")
_EVERYTHING = sql(f"SELECT {COLUMNS} FROM image_images ORDER BY id")
_INSERT = sql(
    f"INSERT INTO image_images ({COLUMNS}) VALUES (:id, :owner, :name, :status, :visibility, :protected, :os_hidden,"
    " :container_format, :disk_format, :min_disk, :min_ram, :size, :virtual_size, :checksum, :os_hash_algo,"
    " :os_hash_value, :properties, :tags, :location, :created_at, :updated_at, :generation)"
)
_UPDATE = sql(
    "UPDATE image_images SET owner = :owner, name = :name, status = :status, visibility = :visibility,"
    " protected = :protected, os_hidden = :os_hidden, container_format = :container_format,"
    " disk_format = :disk_format, min_disk = :min_disk, min_ram = :min_ram, size = :size,"
    " virtual_size = :virtual_size, checksum = :checksum, os_hash_algo = :os_hash_algo,"
    " os_hash_value = :os_hash_value, properties = :properties, tags = :tags, location = :location,"
    " updated_at = :updated_at, generation = :generation + 1 WHERE id = :id AND generation = :generation"
)
_DELETE = sql("DELETE FROM image_images WHERE id = :id AND generation = :generation")
_DELETE_PROPERTIES = sql("DELETE FROM image_properties WHERE image_id = :id")
_DELETE_TAGS = sql("DELETE FROM image_tags WHERE image_id = :id")
_DELETE_MEMBERS = sql("DELETE FROM image_members WHERE image_id = :id")
_ADD_PROPERTY = sql("INSERT INTO image_properties (image_id, name, value) VALUES (:id, :name, :value)")
_ADD_TAG = sql("INSERT INTO image_tags (image_id, tag) VALUES (:id, :tag)")
_REMEMBER = sql("INSERT INTO image_deleted_ids (id, deleted_at) VALUES (:id, :at) ON CONFLICT (id) DO NOTHING")
_WAS_DELETED = sql("SELECT id FROM image_deleted_ids WHERE id = :id")
_COUNT = sql("SELECT COUNT(*) AS number FROM image_images WHERE owner = :owner")
_BYTES = sql("SELECT COALESCE(SUM(size), 0) AS number FROM image_images WHERE owner = :owner")
_LOCATIONS = sql(
    "SELECT location FROM image_images WHERE location <> ''"
    " UNION SELECT location FROM image_uploads UNION SELECT location FROM image_stages"
)

_encode = msgspec.json.Encoder().encode
_properties = msgspec.json.Decoder(dict[str, str]).decode
_tags = msgspec.json.Decoder(tuple[str, ...]).decode


def from_row(row: Any) -> Image:
    """The image that a row holds."""
    return Image(
        id=row["id"],
        owner=row["owner"],
        name=row["name"],
        status=row["status"],
        visibility=row["visibility"],
        protected=bool(row["protected"]),
        os_hidden=bool(row["os_hidden"]),
        container_format=row["container_format"],
        disk_format=row["disk_format"],
        min_disk=row["min_disk"],
        min_ram=row["min_ram"],
        size=row["size"],
        virtual_size=row["virtual_size"],
        checksum=row["checksum"],
        os_hash_algo=row["os_hash_algo"],
        os_hash_value=row["os_hash_value"],
        properties=_properties(row["properties"]),
        tags=_tags(row["tags"]),
        location=row["location"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        generation=row["generation"],
    )


async def find(db: Reads, id: str) -> Image | None:
    row = await db.one(_FIND, id=id)
    return None if row is None else from_row(row)


async def everything(db: Reads) -> list[Image]:
    """Every image there is: for audits."""
    return [from_row(row) for row in await db.all(_EVERYTHING)]


async def insert(tx: Transaction, image: Image) -> None:
    """Raises: Duplicate when the id is taken."""
    await tx.run(_INSERT, **_values(image))
    await _index(tx, image)


async def update(tx: Transaction, image: Image, *, indexed: bool = True) -> Image:
    """Write the image over the generation that it was read at, and return it at the next one.

    With `indexed` False its properties and tags must be as they were.

    Raises: ConcurrentChange (409).
    """
    if not await tx.run(_UPDATE, **_values(image)):
        raise ConcurrentChange(log=f"image {image.id} is no longer at generation {image.generation}")
    if indexed:
        await tx.run(_DELETE_PROPERTIES, id=image.id)
        await tx.run(_DELETE_TAGS, id=image.id)
        await _index(tx, image)
    return msgspec.structs.replace(image, generation=image.generation + 1)


async def delete(tx: Transaction, image: Image, at: int) -> None:
    """Remove the image and all that hangs on it; its id stays taken. Raises: ConcurrentChange (409)."""
    if not await tx.run(_DELETE, id=image.id, generation=image.generation):
        raise ConcurrentChange(log=f"image {image.id} is no longer at generation {image.generation}")
    for statement in (_DELETE_PROPERTIES, _DELETE_TAGS, _DELETE_MEMBERS):
        await tx.run(statement, id=image.id)
    await tx.run(_REMEMBER, id=image.id, at=at)


async def was_deleted(db: Reads, id: str) -> bool:
    """Whether an image once had this id."""
    return await db.one(_WAS_DELETED, id=id) is not None


async def count_of(db: Reads, owner: str) -> int:
    """How many images a project has."""
    row = await db.one(_COUNT, owner=owner)
    return int(row["number"]) if row else 0


async def bytes_of(db: Reads, owner: str) -> int:
    """How many bytes a project's images have."""
    row = await db.one(_BYTES, owner=owner)
    return int(row["number"]) if row else 0


async def locations(db: Reads) -> set[str]:
    """Everything in the store that belongs to somebody: images, uploads, staged bytes."""
    rows: Sequence[Any] = await db.all(_LOCATIONS)
    return {row["location"] for row in rows}


def _values(image: Image) -> dict[str, Any]:
    values = msgspec.structs.asdict(image)
    values["properties"] = _encode(image.properties).decode()
    values["tags"] = _encode(image.tags).decode()
    values["protected"], values["os_hidden"] = int(image.protected), int(image.os_hidden)
    return values


async def _index(tx: Transaction, image: Image) -> None:
    for name, value in image.properties.items():
        await tx.run(_ADD_PROPERTY, id=image.id, name=name, value=value)
    for tag in image.tags:
        await tx.run(_ADD_TAG, id=image.id, tag=tag)
