"""Flavors in the database, with the projects that may use those that are not public."""

from collections.abc import Sequence

import msgspec

from pileus.compute.domain.errors import (
    FlavorAccessExists,
    FlavorAccessNotFound,
    FlavorIdExists,
    FlavorNameExists,
    FlavorNotFound,
)
from pileus.compute.domain.flavor import Flavor
from pileus.foundation.database import Database, Transaction, sql

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Flavor).decode

_GET = sql("SELECT data FROM compute_flavors WHERE id = :id")
_NAMED = sql("SELECT id FROM compute_flavors WHERE name = :name")
_ALL = sql("SELECT data FROM compute_flavors ORDER BY id")
_VISIBLE = sql(
    "SELECT data FROM compute_flavors WHERE is_public = 1 OR id IN "
    "(SELECT flavor_id FROM compute_flavor_access WHERE project_id = :project_id) ORDER BY id"
)
_INSERT = sql(
    "INSERT INTO compute_flavors (id, name, ram_mib, disk_gib, is_public, is_disabled, created_at, data) "
    "VALUES (:id, :name, :ram_mib, :disk_gib, :is_public, :is_disabled, :created_at, :data)"
)
_UPDATE = sql("UPDATE compute_flavors SET is_disabled = :is_disabled, data = :data WHERE id = :id")
_DELETE = sql("DELETE FROM compute_flavors WHERE id = :id")
_ACCESS = sql("SELECT project_id FROM compute_flavor_access WHERE flavor_id = :id ORDER BY project_id")
_HAS_ACCESS = sql("SELECT 1 AS yes FROM compute_flavor_access WHERE flavor_id = :id AND project_id = :project_id")
_GRANT = sql("INSERT INTO compute_flavor_access (flavor_id, project_id) VALUES (:id, :project_id)")
_REVOKE = sql("DELETE FROM compute_flavor_access WHERE flavor_id = :id AND project_id = :project_id")
_REVOKE_ALL = sql("DELETE FROM compute_flavor_access WHERE flavor_id = :id")


async def find(reader: Database | Transaction, flavor_id: str) -> Flavor | None:
    row = await reader.one(_GET, id=flavor_id)
    return None if row is None else _unpack(row["data"])


async def get(reader: Database | Transaction, flavor_id: str) -> Flavor:
    """Raises: FlavorNotFound (404)."""
    found = await find(reader, flavor_id)
    if found is None:
        raise FlavorNotFound(flavor_id=flavor_id)
    return found


async def everything(reader: Database) -> list[Flavor]:
    return [_unpack(row["data"]) for row in await reader.all(_ALL)]


async def visible_to(reader: Database, project_id: str) -> list[Flavor]:
    """Public flavors, and those that the project was given."""
    return [_unpack(row["data"]) for row in await reader.all(_VISIBLE, project_id=project_id)]


async def insert(tx: Transaction, flavor: Flavor) -> None:
    """Raises: FlavorIdExists, FlavorNameExists (409)."""
    if await tx.one(_GET, id=flavor.id) is not None:
        raise FlavorIdExists(flavor_id=flavor.id)
    if await tx.one(_NAMED, name=flavor.name) is not None:
        raise FlavorNameExists(name=flavor.name)
    await tx.run(
        _INSERT, id=flavor.id, name=flavor.name, ram_mib=flavor.ram_mib, disk_gib=flavor.disk_gib,
        is_public=int(flavor.is_public), is_disabled=int(flavor.is_disabled), created_at=flavor.created_at,
        data=_pack(flavor),
    )  # fmt: skip


async def update(tx: Transaction, flavor: Flavor) -> None:
    """Write the flavor's description, extra specs and times; its sizes and name never change."""
    await tx.run(_UPDATE, id=flavor.id, is_disabled=int(flavor.is_disabled), data=_pack(flavor))


async def delete(tx: Transaction, flavor_id: str) -> None:
    """Raises: FlavorNotFound (404)."""
    if await tx.run(_DELETE, id=flavor_id) != 1:
        raise FlavorNotFound(flavor_id=flavor_id)
    await tx.run(_REVOKE_ALL, id=flavor_id)


async def access(reader: Database | Transaction, flavor_id: str) -> Sequence[str]:
    """The projects that may use the flavor besides the public."""
    return [row["project_id"] for row in await reader.all(_ACCESS, id=flavor_id)]


async def may_use(reader: Database | Transaction, flavor: Flavor, project_id: str) -> bool:
    return flavor.is_public or await reader.one(_HAS_ACCESS, id=flavor.id, project_id=project_id) is not None


async def grant(tx: Transaction, flavor_id: str, project_id: str) -> None:
    """Raises: FlavorAccessExists (409)."""
    if await tx.one(_HAS_ACCESS, id=flavor_id, project_id=project_id) is not None:
        raise FlavorAccessExists(flavor_id=flavor_id, project_id=project_id)
    await tx.run(_GRANT, id=flavor_id, project_id=project_id)


async def revoke(tx: Transaction, flavor_id: str, project_id: str) -> None:
    """Raises: FlavorAccessNotFound (404)."""
    if await tx.run(_REVOKE, id=flavor_id, project_id=project_id) != 1:
        raise FlavorAccessNotFound(flavor_id=flavor_id, project_id=project_id)
