"""Rows of the agents on hosts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pileus.foundation.database import Database, Transaction, sql
from pileus.network.domain.agent import Agent
from pileus.network.domain.document import read, render

_READ = sql("SELECT document, heartbeat_at FROM network_agents WHERE id = :id")
_OF_HOST = sql("SELECT document, heartbeat_at FROM network_agents WHERE host = :host")
_OF_HOSTS = sql("SELECT document, heartbeat_at FROM network_agents WHERE host IN :hosts*")
_ALL = sql("SELECT document, heartbeat_at FROM network_agents ORDER BY host")
_PUT = sql(
    "INSERT INTO network_agents (id, host, heartbeat_at, document) VALUES (:id, :host, :heartbeat_at, :document) "
    "ON CONFLICT (host) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, document = excluded.document"
)
_DELETE = sql("DELETE FROM network_agents WHERE id = :id")


class StoredAgent(NamedTuple):
    """An agent, and when it was last heard of (UTC microseconds)."""

    agent: Agent
    heartbeat_at: int


async def find(db: Database | Transaction, agent_id: str) -> StoredAgent | None:
    row = await db.one(_READ, id=agent_id)
    return _stored(row) if row else None


async def of_host(db: Database | Transaction, host: str) -> StoredAgent | None:
    row = await db.one(_OF_HOST, host=host)
    return _stored(row) if row else None


async def of_hosts(db: Database | Transaction, hosts: Sequence[str]) -> list[StoredAgent]:
    return [_stored(row) for row in await db.all(_OF_HOSTS, hosts=list(hosts))]


async def all_known(db: Database | Transaction) -> list[StoredAgent]:
    return [_stored(row) for row in await db.all(_ALL)]


def _stored(row: Any) -> StoredAgent:
    return StoredAgent(read(row["document"], Agent), row["heartbeat_at"])


async def put(tx: Transaction, stored: StoredAgent) -> None:
    agent = stored.agent
    await tx.run(_PUT, id=agent.id, host=agent.host, heartbeat_at=stored.heartbeat_at, document=render(agent))


async def delete(tx: Transaction, agent_id: str) -> int:
    return await tx.run(_DELETE, id=agent_id)
