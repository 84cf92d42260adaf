"""Servers in the database: one row each, saved by compare-and-set on the generation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from pileus.compute.domain.errors import ServerNotFound
from pileus.compute.domain.server import FIXED, Server, ServerId
from pileus.compute.domain.server_document import RENDERER, Documents
from pileus.compute.domain.server_states import COUNTS_FOR_QUOTA
from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Server).decode


Render = Callable[[Server], Documents]

_COLUMNS = (
    "id", "number", "generation", "project_id", "user_id", "name", "hostname", "vm_state", "task_state", "power_state",
    "is_locked", "host", "node", "epoch", "availability_zone", "image_id", "flavor_id", "key_name", "server_group_id",
    "reservation_id", "addresses", "vcpus", "ram_mib", "is_counted", "created_at", "updated_at", "launched_at",
    "renderer", "document_first", "document_latest", "document_admin", "data",
)  # fmt: skip
_FIXED = frozenset({"id", "number", "project_id", "user_id", "created_at", "reservation_id"})

_INSERT = sql(
    f"INSERT INTO compute_servers ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + name for name in _COLUMNS)})"
)
_SAVE = sql(
    "UPDATE compute_servers SET "
    + ", ".join(f"{name} = :{name}" for name in _COLUMNS if name not in _FIXED)
    + " WHERE id = :id AND generation = :found"
)
_GET = sql("SELECT generation, data FROM compute_servers WHERE id = :id")
_DELETE = sql("DELETE FROM compute_servers WHERE id = :id AND generation = :found")
_NUMBERS = sql(
    "INSERT INTO compute_numbers (name, value) VALUES ('servers', :count) "
    "ON CONFLICT (name) DO UPDATE SET value = compute_numbers.value + :count RETURNING value"
)
_USED = sql(
    "SELECT COUNT(*) AS instances, COALESCE(SUM(vcpus), 0) AS cores, COALESCE(SUM(ram_mib), 0) AS ram "
    "FROM compute_servers WHERE project_id = :project_id AND is_counted = 1"
)
_ADD_TAG = sql("INSERT INTO compute_server_tags (server_id, tag) VALUES (:id, :tag) ON CONFLICT DO NOTHING")
_DROP_TAGS = sql("DELETE FROM compute_server_tags WHERE server_id = :id")
_BURY = sql(
    "INSERT INTO compute_deleted_servers (id, project_id, deleted_at, updated_at, epoch, host, data) "
    "VALUES (:id, :project_id, :deleted_at, :deleted_at, :epoch, :host, :data) ON CONFLICT (id) DO NOTHING"
)
_GET_DELETED = sql("SELECT data FROM compute_deleted_servers WHERE id = :id")
_DELETED_SINCE = sql(
    "SELECT data FROM compute_deleted_servers WHERE deleted_at >= :since ORDER BY deleted_at DESC, id DESC LIMIT :most"
)
_OLD = sql(
    "SELECT id FROM compute_deleted_servers WHERE deleted_at < :before AND id NOT IN "
    "(SELECT id FROM compute_deleted_servers ORDER BY deleted_at DESC, id DESC LIMIT :keep) "
    "ORDER BY deleted_at LIMIT :most"
)
_FORGET = sql("DELETE FROM compute_deleted_servers WHERE id = :id")
_OF_HOST = sql("SELECT generation, data FROM compute_servers WHERE host = :host")
_HOSTS = sql("SELECT DISTINCT host FROM compute_servers WHERE host IS NOT NULL ORDER BY host")
_EVERY = sql("SELECT generation, data FROM compute_servers")
_AFTER = sql("SELECT id FROM compute_servers WHERE id > :after AND host IS NOT NULL ORDER BY id LIMIT :most")
_OF_GROUP = sql("SELECT id, host FROM compute_servers WHERE server_group_id = :group_id")
_BUSY = sql("SELECT generation, data FROM compute_servers WHERE task_state IS NOT NULL ORDER BY updated_at LIMIT 1000")
_EPOCHS = sql("SELECT id, epoch FROM compute_servers WHERE host = :host")
_ELSEWHERE = sql("SELECT id, epoch FROM compute_servers WHERE id IN :ids* AND (host IS NULL OR host <> :host)")
_TOMBSTONES = sql("SELECT id, epoch FROM compute_deleted_servers WHERE id IN :ids*")


def _values(server: Server, generation: int, render: Render | None) -> dict[str, Any]:
    at_rest = server.action is None and render is not None
    documents = render(server) if at_rest and render is not None else None
    return {
        "id": server.id, "number": server.number, "generation": generation, "project_id": server.project_id,
        "user_id": server.user_id, "name": server.name, "hostname": server.hostname, "vm_state": server.vm_state.value,
        "task_state": server.task_state.value if server.task_state is not None else None,
        "power_state": int(server.power_state), "is_locked": int(server.is_locked), "host": server.host,
        "node": server.node, "epoch": server.epoch, "availability_zone": server.availability_zone,
        "image_id": server.image.id if server.image is not None else None, "flavor_id": server.flavor.id,
        "key_name": server.key_name, "server_group_id": server.server_group_id,
        "reservation_id": server.reservation_id,
        "addresses": " ".join(a.address for one in server.interfaces for a in one.addresses if a.kind == FIXED),
        "vcpus": server.flavor.vcpus, "ram_mib": server.flavor.ram_mib,
        "is_counted": int(server.vm_state in COUNTS_FOR_QUOTA),
        "created_at": server.created_at, "updated_at": server.updated_at, "launched_at": server.launched_at,
        "renderer": RENDERER if documents else 0, "document_first": documents.first if documents else None,
        "document_latest": documents.latest if documents else None,
        "document_admin": documents.admin if documents else None,
        "data": _pack(replace(server, generation=0)),
    }  # fmt: skip


def _server(row: Any) -> Server:
    return replace(_unpack(row["data"]), generation=row["generation"])


async def next_number(tx: Transaction, count: int) -> int:
    """The first of `count` numbers that no server had before."""
    row = await tx.one(_NUMBERS, count=count)
    assert row is not None
    return int(row["value"]) - count + 1


async def hold(tx: Transaction, server_id: str) -> None:
    """Until the transaction ends, no other flow about this server begins by looking at which ones are open."""
    await tx.lock("server", server_id)


async def insert(tx: Transaction, server: Server) -> None:
    await tx.run(_INSERT, **_values(server, 1, None))
    for tag in server.tags:
        await tx.run(_ADD_TAG, id=server.id, tag=tag)


async def save(tx: Transaction, before: Server, after: Server, render: Render) -> Server:
    """Write `after` over `before` and return it with its new generation.

    Raises: ConcurrentChange when the row is no longer as it was when `before` was read.
    """
    generation = before.generation + 1
    touched = await tx.run(_SAVE, found=before.generation, **_values(after, generation, render))
    if touched != 1:
        raise ConcurrentChange()
    if before.tags != after.tags:
        await tx.run(_DROP_TAGS, id=after.id)
        for tag in after.tags:
            await tx.run(_ADD_TAG, id=after.id, tag=tag)
    return replace(after, generation=generation)


async def bury(tx: Transaction, before: Server, after: Server, *, host: str | None) -> None:
    """Remove the row of a deleted server and keep what the API must still answer of it."""
    if await tx.run(_DELETE, id=before.id, found=before.generation) != 1:
        raise ConcurrentChange()
    await tx.run(_DROP_TAGS, id=before.id)
    await tx.run(
        _BURY, id=after.id, project_id=after.project_id, deleted_at=after.deleted_at or after.updated_at,
        epoch=after.epoch, host=host, data=_pack(after),
    )  # fmt: skip


async def long_deleted(reader: Database, *, before: int, keep: int, most: int = 500) -> list[str]:
    """Servers deleted before `before` (microseconds), but never the newest `keep`; the oldest first."""
    return [row["id"] for row in await reader.all(_OLD, before=before, keep=keep, most=most)]


async def forget(tx: Transaction, server_id: str) -> None:
    """Drop what history holds of a deleted server."""
    await tx.run(_FORGET, id=server_id)


async def find(reader: Database | Transaction, server_id: str) -> Server | None:
    row = await reader.one(_GET, id=server_id)
    return None if row is None else _server(row)


async def get(reader: Database | Transaction, server_id: str) -> Server:
    """Raises: ServerNotFound (404)."""
    row = await reader.one(_GET, id=server_id)
    if row is None:
        raise ServerNotFound(server_id=server_id)
    return _server(row)


async def find_deleted(reader: Database | Transaction, server_id: str) -> Server | None:
    row = await reader.one(_GET_DELETED, id=server_id)
    return None if row is None else _unpack(row["data"])


async def deleted_since(reader: Database, since: int, most: int) -> list[Server]:
    """Deleted servers that history still has, the newest first."""
    return [_unpack(row["data"]) for row in await reader.all(_DELETED_SINCE, since=since, most=most)]


async def used(tx: Database | Transaction, project_id: str) -> Mapping[str, int]:
    """What a project's servers use of its quota: instances, cores, ram (MiB)."""
    row = await tx.one(_USED, project_id=project_id)
    assert row is not None
    return {"instances": row["instances"], "cores": row["cores"], "ram": row["ram"]}


async def everything(reader: Database | Transaction) -> list[Server]:
    """Every server there is: for the audit."""
    return [_server(row) for row in await reader.all(_EVERY)]


async def hosts(reader: Database) -> list[str]:
    """Every host that a server is on."""
    return [row["host"] for row in await reader.all(_HOSTS)]


async def ids_after(reader: Database, after: str, most: int) -> list[str]:
    """The servers that are somewhere, in order of their ids, from behind `after` on."""
    return [row["id"] for row in await reader.all(_AFTER, after=after, most=most)]


async def on_host(reader: Database | Transaction, host: str) -> list[Server]:
    return [_server(row) for row in await reader.all(_OF_HOST, host=host)]


async def epochs_on_host(reader: Database, host: str) -> dict[ServerId, int]:
    return {row["id"]: row["epoch"] for row in await reader.all(_EPOCHS, host=host)}


async def tombstones(reader: Database, ids: Iterable[str]) -> dict[str, int]:
    """Which of these servers were deleted, with their last epoch."""
    return {row["id"]: row["epoch"] for row in await reader.all(_TOMBSTONES, ids=list(ids))}


async def elsewhere(reader: Database, ids: Iterable[str], host: str) -> dict[str, int]:
    """Which of these servers exist but not on this host, with their epoch."""
    return {row["id"]: row["epoch"] for row in await reader.all(_ELSEWHERE, ids=list(ids), host=host)}


async def hosts_of_group(reader: Database | Transaction, group_id: str) -> dict[str, str | None]:
    """Where the members of a server group are: server id -> host."""
    return {row["id"]: row["host"] for row in await reader.all(_OF_GROUP, group_id=group_id)}


async def busy(reader: Database | Transaction) -> list[Server]:
    """Servers with something in flight, the stillest first."""
    return [_server(row) for row in await reader.all(_BUSY)]
