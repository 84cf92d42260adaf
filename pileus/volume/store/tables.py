"""The tables of block storage. Whole volumes travel as one packed value; columns are what queries ask for."""

from pileus.foundation.database import Migration, Schema
from pileus.foundation.flow.journal import flow_tables
from pileus.volume.domain.volume import DEFAULT_TYPE
from pileus.volume.domain.volume_type import DEFAULT_TYPE_ID

_VOLUMES = (
    """CREATE TABLE volume_volumes (
        id TEXT PRIMARY KEY, generation BIGINT NOT NULL, project_id TEXT NOT NULL, user_id TEXT NOT NULL,
        name TEXT NOT NULL, status TEXT NOT NULL, size_gib BIGINT NOT NULL, counted_gib BIGINT NOT NULL,
        zone TEXT NOT NULL, backend TEXT NOT NULL, type_id TEXT NOT NULL, is_bootable INTEGER NOT NULL,
        is_counted INTEGER NOT NULL, action TEXT,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, data BLOB NOT NULL)""",
    "CREATE INDEX volume_volumes_project ON volume_volumes (project_id, created_at, id)",
    "CREATE INDEX volume_volumes_created ON volume_volumes (created_at, id)",
    "CREATE INDEX volume_volumes_used ON volume_volumes (project_id, type_id, counted_gib) WHERE is_counted = 1",
    """CREATE TABLE volume_metadata (
        volume_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (volume_id, name))""",
    "CREATE INDEX volume_metadata_name ON volume_metadata (name, value)",
    """CREATE TABLE volume_attachments (
        id TEXT PRIMARY KEY, volume_id TEXT NOT NULL, project_id TEXT NOT NULL, server_id TEXT, status TEXT NOT NULL,
        changed_at BIGINT NOT NULL, host TEXT)""",
    "CREATE INDEX volume_attachments_volume ON volume_attachments (volume_id)",
    "CREATE INDEX volume_attachments_server ON volume_attachments (server_id) WHERE server_id IS NOT NULL",
    "CREATE INDEX volume_attachments_project ON volume_attachments (project_id, id)",
)

_SNAPSHOTS = (
    """CREATE TABLE volume_snapshots (
        id TEXT PRIMARY KEY, generation BIGINT NOT NULL, project_id TEXT NOT NULL, volume_id TEXT NOT NULL,
        name TEXT NOT NULL, status TEXT NOT NULL, size_gib BIGINT NOT NULL, type_id TEXT NOT NULL,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, data BLOB NOT NULL)""",
    "CREATE INDEX volume_snapshots_project ON volume_snapshots (project_id, created_at, id)",
    "CREATE INDEX volume_snapshots_volume ON volume_snapshots (volume_id)",
)

_CATALOGUE = (
    """CREATE TABLE volume_types (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT, is_public INTEGER NOT NULL,
        specs TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT)""",
    "INSERT INTO volume_types (id, name, description, is_public, specs, created_at, updated_at) "
    f"VALUES ('{DEFAULT_TYPE_ID}', '{DEFAULT_TYPE}', 'Default Volume Type', 1, '{{}}', 0, NULL)",
    """CREATE TABLE volume_type_access (
        type_id TEXT NOT NULL, project_id TEXT NOT NULL, PRIMARY KEY (type_id, project_id))""",
    """CREATE TABLE volume_quotas (
        project_id TEXT NOT NULL, resource TEXT NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (project_id, resource))""",
    """CREATE TABLE volume_messages (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, resource_id TEXT NOT NULL, request_id TEXT NOT NULL,
        event_id TEXT NOT NULL, text TEXT NOT NULL, created_at BIGINT NOT NULL, ends_at BIGINT NOT NULL)""",
    "CREATE INDEX volume_messages_project ON volume_messages (project_id, created_at, id)",
    "CREATE INDEX volume_messages_ends ON volume_messages (ends_at)",
    """CREATE TABLE volume_hosts (
        backend TEXT PRIMARY KEY, host TEXT NOT NULL, id TEXT NOT NULL, is_disabled INTEGER NOT NULL, reason TEXT,
        beats BIGINT NOT NULL, last_seen_at BIGINT NOT NULL, created_at BIGINT NOT NULL, facts TEXT NOT NULL)""",
)

SCHEMA = Schema("volume", (Migration(1, "first", (*_VOLUMES, *_SNAPSHOTS, *_CATALOGUE, *flow_tables("volume"))),))
