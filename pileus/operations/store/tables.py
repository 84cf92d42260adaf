"""One table: the processes of the cloud."""

from pileus.foundation.database import Migration, Schema

_PROCESSES = (
    "CREATE TABLE operations_processes (id TEXT PRIMARY KEY, name TEXT NOT NULL, parts TEXT NOT NULL, "
    "host TEXT NOT NULL, pid INTEGER NOT NULL, version TEXT NOT NULL, url TEXT NOT NULL, started_at BIGINT NOT NULL, "
    "heartbeat_ms BIGINT NOT NULL, beats BIGINT NOT NULL, last_seen_at BIGINT NOT NULL)",
)

SCHEMA = Schema("operations", (Migration(1, "processes", _PROCESSES),))
