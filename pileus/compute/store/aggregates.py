"""Host aggregates in the database, their hosts in rows of their own."""

from typing import Any

import msgspec

from pileus.compute.domain.aggregate import Aggregate, AggregateNotFound
from pileus.compute.store.services import HOST_SERVICE
from pileus.foundation.database import Database, Transaction, sql

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode

_ALL = sql("SELECT * FROM compute_aggregates ORDER BY number")
_HOSTS = sql("SELECT number, host FROM compute_aggregate_hosts ORDER BY host")
_NUMBER = sql(
    "INSERT INTO compute_numbers (name, value) VALUES ('aggregates', 1) "
    "ON CONFLICT (name) DO UPDATE SET value = compute_numbers.value + 1 RETURNING value"
)
_INSERT = sql(
    "INSERT INTO compute_aggregates (number, id, name, metadata, created_at, updated_at) "
    "VALUES (:number, :id, :name, :metadata, :created_at, NULL)"
)
_UPDATE = sql(
    "UPDATE compute_aggregates SET name = :name, metadata = :metadata, updated_at = :now WHERE number = :number"
)
_DELETE = sql("DELETE FROM compute_aggregates WHERE number = :number")
_ADD = sql("INSERT INTO compute_aggregate_hosts (number, host) VALUES (:number, :host)")
_REMOVE = sql("DELETE FROM compute_aggregate_hosts WHERE number = :number AND host = :host")
_MOVE = sql("UPDATE compute_services SET zone = :zone WHERE host = :host AND name = :name")


def _aggregate(row: Any, hosts: tuple[str, ...]) -> Aggregate:
    return Aggregate(
        number=row["number"], id=row["id"], name=row["name"], metadata=_decode(row["metadata"]), hosts=hosts,
        created_at=row["created_at"], updated_at=row["updated_at"],
    )  # fmt: skip


async def everything(reader: Database | Transaction) -> list[Aggregate]:
    hosts: dict[int, list[str]] = {}
    for row in await reader.all(_HOSTS):
        hosts.setdefault(row["number"], []).append(row["host"])
    return [_aggregate(row, tuple(hosts.get(row["number"], ()))) for row in await reader.all(_ALL)]


async def get(reader: Database | Transaction, aggregate_id: str) -> Aggregate:
    """The aggregate of a number, as text or not. Raises: AggregateNotFound (404)."""
    for found in await everything(reader):
        if str(found.number) == aggregate_id:
            return found
    raise AggregateNotFound(aggregate_id=aggregate_id)


async def next_number(tx: Transaction) -> int:
    row = await tx.one(_NUMBER)
    assert row is not None
    return int(row["value"])


async def insert(tx: Transaction, aggregate: Aggregate) -> None:
    await tx.run(
        _INSERT, number=aggregate.number, id=aggregate.id, name=aggregate.name,
        metadata=_encode(aggregate.metadata).decode(), created_at=aggregate.created_at,
    )  # fmt: skip


async def update(tx: Transaction, aggregate: Aggregate, *, now: int) -> None:
    """Write name and metadata; hosts come and go by themselves."""
    metadata = _encode(aggregate.metadata).decode()
    await tx.run(_UPDATE, number=aggregate.number, name=aggregate.name, metadata=metadata, now=now)


async def delete(tx: Transaction, number: int) -> None:
    await tx.run(_DELETE, number=number)


async def add_host(tx: Transaction, number: int, host: str) -> None:
    await tx.run(_ADD, number=number, host=host)


async def remove_host(tx: Transaction, number: int, host: str) -> bool:
    """Whether the host was there."""
    return await tx.run(_REMOVE, number=number, host=host) == 1


async def move_host(tx: Transaction, host: str, zone: str) -> None:
    """Have the host in a zone."""
    await tx.run(_MOVE, host=host, zone=zone, name=HOST_SERVICE)
