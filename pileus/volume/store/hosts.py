"""Which back ends there are, where they run, and when they were last heard of."""

from typing import Any

import msgspec

from pileus.foundation.database import Database, Transaction, sql


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One back end's host. Times are UTC microseconds."""

    id: str
    backend: str
    host: str
    is_disabled: bool
    reason: str | None
    beats: int
    last_seen_at: int
    facts: dict[str, Any]  # version, total_gib, free_gib


_FIELDS = "id, backend, host, is_disabled, reason, beats, last_seen_at, facts"
_BEAT = sql(
    "INSERT INTO volume_hosts (backend, host, id, is_disabled, reason, beats, last_seen_at, created_at, facts) "
    "VALUES (:backend, :host, :id, 0, NULL, 1, :now, :now, :facts) ON CONFLICT (backend) DO UPDATE SET "
    "host = excluded.host, beats = volume_hosts.beats + 1, last_seen_at = excluded.last_seen_at, facts = excluded.facts"
)
_DISABLED = sql("SELECT backend FROM volume_hosts WHERE is_disabled = 1")
_SET = sql("UPDATE volume_hosts SET is_disabled = :is_disabled, reason = :reason WHERE backend = :backend")
_ALL = sql(f"SELECT {_FIELDS} FROM volume_hosts ORDER BY backend")


async def beat(tx: Transaction, backend: str, *, host: str, facts: dict[str, Any], new_id: str, now: int) -> None:
    """Remember that a back end lives; a new one gets `new_id`."""
    text = msgspec.json.encode(facts).decode()
    await tx.run(_BEAT, backend=backend, host=host, id=new_id, now=now, facts=text)


async def set_disabled(tx: Transaction, backend: str, *, is_disabled: bool, reason: str | None) -> int:
    """Let a back end take new volumes, or no more; returns whether there is such a back end."""
    return await tx.run(_SET, backend=backend, is_disabled=int(is_disabled), reason=reason)


async def disabled(reader: Database) -> frozenset[str]:
    """The back ends that take no new volumes."""
    return frozenset(row["backend"] for row in await reader.all(_DISABLED))


async def all_hosts(reader: Database) -> list[Host]:
    return [
        Host(
            id=row["id"], backend=row["backend"], host=row["host"], is_disabled=bool(row["is_disabled"]),
            reason=row["reason"], beats=row["beats"], last_seen_at=row["last_seen_at"],
            facts=msgspec.json.decode(row["facts"]),
        )
        for row in await reader.all(_ALL)
    ]  # fmt: skip
