"""The image service's tables. Times are UTC microseconds, sizes bytes, documents JSON.

An image's properties and tags are read from its row; the two tables beside it exist to be searched.
"""

from pileus.foundation.database import Migration, Schema
from pileus.foundation.flow.journal import flow_tables

_IMAGES = (
    """CREATE TABLE image_images (
        id TEXT PRIMARY KEY, owner TEXT, name TEXT, status TEXT NOT NULL, visibility TEXT NOT NULL,
        protected INTEGER NOT NULL, os_hidden INTEGER NOT NULL, container_format TEXT, disk_format TEXT,
        min_disk BIGINT NOT NULL, min_ram BIGINT NOT NULL, size BIGINT, virtual_size BIGINT,
        checksum TEXT, os_hash_algo TEXT, os_hash_value TEXT, properties TEXT NOT NULL, tags TEXT NOT NULL,
        location TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, generation BIGINT NOT NULL)""",
    "CREATE INDEX image_images_owner ON image_images (owner, created_at, id)",
    "CREATE INDEX image_images_visibility ON image_images (visibility, created_at, id)",
    "CREATE INDEX image_images_created ON image_images (created_at, id)",
    "CREATE INDEX image_images_location ON image_images (location)",
    """CREATE TABLE image_properties (
        image_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (image_id, name))""",
    # Of a long value its beginning: PostgreSQL's indexes hold no more than 2,700 bytes of a row.
    "CREATE INDEX image_properties_name ON image_properties (name, substr(value, 1, 100), image_id)",
    "CREATE TABLE image_tags (image_id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (image_id, tag))",
    "CREATE INDEX image_tags_tag ON image_tags (tag, image_id)",
    """CREATE TABLE image_members (
        image_id TEXT NOT NULL, member_id TEXT NOT NULL, status TEXT NOT NULL, created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL, PRIMARY KEY (image_id, member_id))""",
    "CREATE INDEX image_members_member ON image_members (member_id, status, image_id)",
    # Bytes on their way in: who brings them counts `beat` up, and is given up when it stands still.
    """CREATE TABLE image_uploads (
        image_id TEXT PRIMARY KEY, location TEXT NOT NULL, beat BIGINT NOT NULL, started_at BIGINT NOT NULL)""",
    # Bytes that wait for an import.
    """CREATE TABLE image_stages (
        image_id TEXT PRIMARY KEY, location TEXT NOT NULL, size BIGINT NOT NULL, created_at BIGINT NOT NULL)""",
    # An id is never given to other bytes, or whoever remembers it would start from a stranger's (OSSN-0075).
    "CREATE TABLE image_deleted_ids (id TEXT PRIMARY KEY, deleted_at BIGINT NOT NULL)",
)

SCHEMA = Schema("image", (Migration(1, "first", (*_IMAGES, *flow_tables("image"))),))
