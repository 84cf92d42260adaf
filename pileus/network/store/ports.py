"""Rows of ports: what they are, who may see them, to which host they are bound."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.network.domain.document import read, render
from pileus.network.domain.port import DHCP, Fence, Port

_COLUMNS = "document, network_project_id, fence_device, fence_epoch, binding_number, router_id"
_READ = sql(f"SELECT {_COLUMNS} FROM network_ports WHERE id = :id")
_READ_MANY = sql(f"SELECT {_COLUMNS} FROM network_ports WHERE id IN :ids*")
_OF_NETWORK = sql(f"SELECT {_COLUMNS} FROM network_ports WHERE network_id = :network_id ORDER BY id")
_OF_NETWORK_ON_HOST = sql(
    f"SELECT {_COLUMNS} FROM network_ports WHERE network_id = :network_id AND host = :host AND host <> '' ORDER BY id"
)
_OF_ROUTER = sql(f"SELECT {_COLUMNS} FROM network_ports WHERE router_id = :router_id ORDER BY created_at, id")
_OF_HOST = sql(f"SELECT {_COLUMNS} FROM network_ports WHERE host = :host AND host <> '' ORDER BY id")
_DHCP_OF = sql(
    f"SELECT {_COLUMNS} FROM network_ports WHERE network_id IN :ids* AND device_owner = '{DHCP}' ORDER BY id"
)
_DHCP_ON_HOST = sql(
    f"SELECT {_COLUMNS} FROM network_ports "
    f"WHERE network_id IN :ids* AND host = :host AND host <> '' AND device_owner = '{DHCP}'"
)
_ELSEWHERE = sql(
    "SELECT network_id, host, mac, device_owner FROM network_ports "
    "WHERE network_id IN :ids* AND host <> '' AND host <> :host"
)
_HOSTS_OF = sql(
    "SELECT DISTINCT host FROM network_ports "
    f"WHERE network_id = :network_id AND host <> '' AND device_owner <> '{DHCP}'"
)
_IN_USE = sql(
    f"SELECT id FROM network_ports WHERE network_id = :network_id AND device_owner <> '{DHCP}' ORDER BY id LIMIT 100"
)
_INSERT = sql(
    "INSERT INTO network_ports (id, project_id, network_id, network_project_id, name, mac, status, device_id, "
    "device_owner, host, fence_device, fence_epoch, binding_number, router_id, created_at, updated_at, revision, "
    "document) VALUES (:id, :project_id, :network_id, :network_project_id, :name, :mac, :status, :device_id, "
    ":device_owner, :host, :fence_device, :fence_epoch, :binding_number, :router_id, :now, :now, :revision, :document)"
)
_UPDATE = sql(
    "UPDATE network_ports SET name = :name, mac = :mac, status = :status, device_id = :device_id, "
    "device_owner = :device_owner, host = :host, fence_device = :fence_device, fence_epoch = :fence_epoch, "
    "binding_number = :binding_number, router_id = :router_id, updated_at = :now, revision = :revision, "
    "document = :document WHERE id = :id AND revision = :read_revision"
)
_DELETE = sql("DELETE FROM network_ports WHERE id = :id AND revision = :revision")
_MAC_TAKEN = sql("SELECT id FROM network_ports WHERE network_id = :network_id AND mac = :mac")
_ADD_GROUP = sql("INSERT INTO network_port_groups (port_id, group_id) VALUES (:port_id, :group_id)")
_DROP_GROUPS = sql("DELETE FROM network_port_groups WHERE group_id IN :group_ids* AND port_id = :port_id")


class StoredPort(NamedTuple):
    """A port with what only its row knows."""

    port: Port
    network_project_id: str
    fence: Fence = Fence()
    router_id: str | None = None


def _stored(row: Any) -> StoredPort:
    fence = Fence(row["fence_device"], row["fence_epoch"], row["binding_number"])
    return StoredPort(read(row["document"], Port), row["network_project_id"], fence, row["router_id"])


async def find(db: Database | Transaction, port_id: str) -> StoredPort | None:
    row = await db.one(_READ, id=port_id)
    return _stored(row) if row else None


async def find_many(db: Database | Transaction, ids: Sequence[str]) -> list[StoredPort]:
    return [_stored(row) for row in await db.all(_READ_MANY, ids=list(ids))]


async def of_network(db: Database | Transaction, network_id: str) -> list[StoredPort]:
    return [_stored(row) for row in await db.all(_OF_NETWORK, network_id=network_id)]


async def of_network_on_host(db: Database | Transaction, network_id: str, host: str) -> list[StoredPort]:
    return [_stored(row) for row in await db.all(_OF_NETWORK_ON_HOST, network_id=network_id, host=host)]


async def of_router(db: Database | Transaction, router_id: str) -> list[StoredPort]:
    """The ports by which a router is plugged in, its gateway among them; the oldest first."""
    return [_stored(row) for row in await db.all(_OF_ROUTER, router_id=router_id)]


async def of_host(db: Database | Transaction, host: str) -> list[StoredPort]:
    return [_stored(row) for row in await db.all(_OF_HOST, host=host)]


async def dhcp_of_networks(db: Database | Transaction, ids: Sequence[str]) -> list[StoredPort]:
    """The DHCP ports of these networks, on whichever host."""
    return [_stored(row) for row in await db.all(_DHCP_OF, ids=list(ids))]


async def dhcp_on_host(db: Database | Transaction, ids: Sequence[str], host: str) -> list[StoredPort]:
    """The DHCP ports of these networks on one host."""
    return [_stored(row) for row in await db.all(_DHCP_ON_HOST, ids=list(ids), host=host)]


class HeldPort(NamedTuple):
    """What other hosts must know of a port."""

    network_id: str
    host: str
    mac: str
    device_owner: str


async def elsewhere(db: Database | Transaction, ids: Sequence[str], host: str) -> list[HeldPort]:
    """The ports of these networks that are bound to other hosts than this."""
    return [HeldPort(*row) for row in await db.all(_ELSEWHERE, ids=list(ids), host=host)]


async def hosts_of_network(db: Database | Transaction, network_id: str) -> list[str]:
    """The hosts that guests' ports of the network are bound to."""
    return [row["host"] for row in await db.all(_HOSTS_OF, network_id=network_id)]


async def in_use(tx: Transaction, network_id: str) -> list[str]:
    """The ids of up to 100 ports that hold a network."""
    return [row["id"] for row in await tx.all(_IN_USE, network_id=network_id)]


async def is_mac_taken(tx: Transaction, network_id: str, mac: str) -> bool:
    return await tx.one(_MAC_TAKEN, network_id=network_id, mac=mac) is not None


async def insert(tx: Transaction, stored: StoredPort, now: int) -> None:
    port = stored.port
    await tx.run(
        _INSERT,
        project_id=port.project_id,
        network_id=port.network_id,
        network_project_id=stored.network_project_id,
        **_columns(stored, now),
    )
    for group in port.security_groups:
        await tx.run(_ADD_GROUP, port_id=port.id, group_id=group)


async def update(tx: Transaction, old: StoredPort, new: StoredPort, now: int) -> None:
    """Write `new` over `old`. Raises: ConcurrentChange."""
    if not await tx.run(_UPDATE, read_revision=old.port.revision_number, **_columns(new, now)):
        raise ConcurrentChange()
    if old.port.security_groups != new.port.security_groups:
        await _drop_groups(tx, old.port)
        for group in new.port.security_groups:
            await tx.run(_ADD_GROUP, port_id=new.port.id, group_id=group)


def _columns(stored: StoredPort, now: int) -> dict[str, object]:
    port, fence = stored.port, stored.fence
    return {
        "id": port.id,
        "name": port.name,
        "mac": port.mac_address,
        "status": port.status,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "host": port.host,
        "fence_device": fence.device_id,
        "fence_epoch": fence.epoch,
        "binding_number": fence.number,
        "router_id": stored.router_id,
        "now": now,
        "revision": port.revision_number,
        "document": render(port),
    }


async def delete(tx: Transaction, port: Port) -> None:
    """Remove the row that was read; its addresses are given back before. Raises: ConcurrentChange."""
    await _drop_groups(tx, port)
    if not await tx.run(_DELETE, id=port.id, revision=port.revision_number):
        raise ConcurrentChange()


async def _drop_groups(tx: Transaction, port: Port) -> None:
    if port.security_groups:
        await tx.run(_DROP_GROUPS, group_ids=list(port.security_groups), port_id=port.id)
