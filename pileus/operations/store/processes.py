"""Processes' rows."""

from typing import Any

from pileus.foundation.database import Database, Transaction, sql
from pileus.operations.domain.process import Process

_PUT = sql(
    "INSERT INTO operations_processes (id, name, parts, host, pid, version, url, started_at, heartbeat_ms, beats, "
    "last_seen_at) VALUES (:id, :name, :parts, :host, :pid, :version, :url, :started_at, :heartbeat_ms, :beats, "
    ":last_seen_at) ON CONFLICT (id) DO UPDATE SET beats = excluded.beats, last_seen_at = excluded.last_seen_at "
    "WHERE operations_processes.beats < excluded.beats"
)
_ALL = sql("SELECT * FROM operations_processes ORDER BY host, name, started_at")
_REMOVE = sql("DELETE FROM operations_processes WHERE id IN :ids*")
_FORGET = sql("DELETE FROM operations_processes WHERE last_seen_at < :before")


async def put(tx: Transaction, process: Process) -> None:
    """Write what a process said of itself; what it said earlier and comes late changes nothing."""
    await tx.run(
        _PUT, id=process.id, name=process.name, parts=",".join(process.parts), host=process.host, pid=process.pid,
        version=process.version, url=process.url, started_at=process.started_at,
        heartbeat_ms=int(process.heartbeat_s * 1000), beats=process.beats, last_seen_at=process.last_seen_at,
    )  # fmt: skip


async def all_of_them(database: Database) -> list[Process]:
    return [_process(row) for row in await database.all(_ALL)]


async def remove(tx: Transaction, ids: list[str]) -> None:
    await tx.run(_REMOVE, ids=ids)


async def forget(tx: Transaction, before: int) -> None:
    """Remove those that nobody has heard of since `before` (microseconds)."""
    await tx.run(_FORGET, before=before)


def _process(row: Any) -> Process:
    return Process(
        id=row["id"], name=row["name"], parts=tuple(row["parts"].split(",")), host=row["host"], pid=row["pid"],
        version=row["version"], url=row["url"], started_at=row["started_at"], heartbeat_s=row["heartbeat_ms"] / 1000,
        beats=row["beats"], last_seen_at=row["last_seen_at"],
    )  # fmt: skip
