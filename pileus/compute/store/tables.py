"""The tables of compute. Whole servers travel as one packed value; columns are what queries ask for."""

from pileus.foundation.database import Migration, Schema
from pileus.foundation.flow.journal import flow_tables

_SERVERS = (
    """CREATE TABLE compute_servers (
        id TEXT PRIMARY KEY, number BIGINT NOT NULL, generation BIGINT NOT NULL,
        project_id TEXT NOT NULL, user_id TEXT NOT NULL, name TEXT NOT NULL, hostname TEXT NOT NULL,
        vm_state TEXT NOT NULL, task_state TEXT, power_state INTEGER NOT NULL, is_locked INTEGER NOT NULL,
        host TEXT, node TEXT, epoch BIGINT NOT NULL, availability_zone TEXT, image_id TEXT, flavor_id TEXT NOT NULL,
        key_name TEXT, server_group_id TEXT, reservation_id TEXT NOT NULL, addresses TEXT NOT NULL,
        vcpus BIGINT NOT NULL, ram_mib BIGINT NOT NULL, is_counted INTEGER NOT NULL,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, launched_at BIGINT,
        renderer INTEGER NOT NULL, document_first BLOB, document_latest BLOB, document_admin BLOB,
        data BLOB NOT NULL)""",
    "CREATE INDEX compute_servers_project ON compute_servers (project_id, created_at, id)",
    "CREATE INDEX compute_servers_quota ON compute_servers (project_id, is_counted, vcpus, ram_mib)",
    "CREATE INDEX compute_servers_created ON compute_servers (created_at, id)",
    "CREATE INDEX compute_servers_host ON compute_servers (host) WHERE host IS NOT NULL",
    "CREATE INDEX compute_servers_group ON compute_servers (server_group_id) WHERE server_group_id IS NOT NULL",
    "CREATE INDEX compute_servers_busy ON compute_servers (task_state) WHERE task_state IS NOT NULL",
    """CREATE TABLE compute_server_tags (
        server_id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (server_id, tag))""",
    "CREATE INDEX compute_server_tags_tag ON compute_server_tags (tag, server_id)",
    """CREATE TABLE compute_deleted_servers (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, deleted_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
        epoch BIGINT NOT NULL, host TEXT, data BLOB NOT NULL)""",
    "CREATE INDEX compute_deleted_servers_at ON compute_deleted_servers (deleted_at, id)",
    "CREATE INDEX compute_deleted_servers_host ON compute_deleted_servers (host) WHERE host IS NOT NULL",
    "CREATE TABLE compute_numbers (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
    """CREATE TABLE compute_server_actions (
        server_id TEXT NOT NULL, request_id TEXT NOT NULL, action TEXT NOT NULL, project_id TEXT NOT NULL,
        user_id TEXT NOT NULL, flow_id TEXT NOT NULL, message TEXT, started_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL, PRIMARY KEY (server_id, request_id))""",
    """CREATE TABLE compute_server_events (
        server_id TEXT NOT NULL, request_id TEXT NOT NULL, name TEXT NOT NULL, host TEXT, result TEXT, details TEXT,
        started_at BIGINT NOT NULL, ended_at BIGINT, PRIMARY KEY (server_id, request_id, name))""",
)

_HOSTS = (
    """CREATE TABLE compute_services (
        id TEXT PRIMARY KEY, number BIGINT NOT NULL, name TEXT NOT NULL, host TEXT NOT NULL, zone TEXT NOT NULL,
        is_disabled INTEGER NOT NULL, disabled_reason TEXT, is_forced_down INTEGER NOT NULL, version TEXT NOT NULL,
        beats BIGINT NOT NULL, last_seen_at BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
        inventory BLOB, UNIQUE (host, name))""",
)

_AGGREGATES = (
    """CREATE TABLE compute_aggregates (
        number BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, metadata TEXT NOT NULL,
        created_at BIGINT NOT NULL, updated_at BIGINT)""",
    """CREATE TABLE compute_aggregate_hosts (
        number BIGINT NOT NULL, host TEXT NOT NULL, PRIMARY KEY (number, host))""",
)

_CATALOGUE = (
    """CREATE TABLE compute_flavors (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, ram_mib BIGINT NOT NULL, disk_gib BIGINT NOT NULL,
        is_public INTEGER NOT NULL, is_disabled INTEGER NOT NULL, created_at BIGINT NOT NULL, data BLOB NOT NULL)""",
    "CREATE TABLE compute_flavor_access (flavor_id TEXT NOT NULL, project_id TEXT NOT NULL, "
    "PRIMARY KEY (flavor_id, project_id))",
    """CREATE TABLE compute_keypairs (
        user_id TEXT NOT NULL, name TEXT NOT NULL, number BIGINT NOT NULL, type TEXT NOT NULL,
        fingerprint TEXT NOT NULL, public_key TEXT NOT NULL, created_at BIGINT NOT NULL,
        PRIMARY KEY (user_id, name))""",
    """CREATE TABLE compute_server_groups (
        id TEXT PRIMARY KEY, project_id TEXT NOT NULL, user_id TEXT NOT NULL, name TEXT NOT NULL, policy TEXT NOT NULL,
        max_server_per_host INTEGER, created_at BIGINT NOT NULL)""",
    "CREATE INDEX compute_server_groups_project ON compute_server_groups (project_id, created_at)",
    """CREATE TABLE compute_quotas (
        project_id TEXT NOT NULL, resource TEXT NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (project_id, resource))""",
)

_FIRST = (*_SERVERS, *_HOSTS, *_AGGREGATES, *_CATALOGUE, *flow_tables("compute"))

SCHEMA = Schema("compute", (Migration(1, "first", _FIRST),))
