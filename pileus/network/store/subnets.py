"""Rows of subnets."""

from collections.abc import Sequence

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.network.domain.document import read, render
from pileus.network.domain.subnet import Subnet

_READ = sql("SELECT document FROM network_subnets WHERE id = :id")
_OF_NETWORK = sql("SELECT document FROM network_subnets WHERE network_id = :network_id ORDER BY created_at, id")
_OF_NETWORKS = sql("SELECT document FROM network_subnets WHERE network_id IN :ids* ORDER BY created_at, id")
_READ_MANY = sql("SELECT document FROM network_subnets WHERE id IN :ids*")
_INSERT = sql(
    "INSERT INTO network_subnets (id, project_id, network_id, network_project_id, name, family, next_address, "
    "created_at, updated_at, revision, document) VALUES (:id, :project_id, :network_id, :network_project_id, :name, "
    ":family, :next_address, :now, :now, :revision, :document)"
)
_UPDATE = sql(
    "UPDATE network_subnets SET name = :name, updated_at = :now, revision = :revision, document = :document "
    "WHERE id = :id AND revision = :read_revision"
)
_DELETE = sql("DELETE FROM network_subnets WHERE id = :id AND revision = :revision")
_ROUTER_PORT_AT = sql(
    "SELECT p.id FROM network_addresses a JOIN network_ports p ON p.id = a.port_id "
    "WHERE a.subnet_id = :subnet_id AND a.address = :address AND p.router_id IS NOT NULL"
)


async def find(db: Database | Transaction, subnet_id: str) -> Subnet | None:
    row = await db.one(_READ, id=subnet_id)
    return read(row["document"], Subnet) if row else None


async def of_network(db: Database | Transaction, network_id: str) -> list[Subnet]:
    """The subnets of a network, the oldest first."""
    return [read(row["document"], Subnet) for row in await db.all(_OF_NETWORK, network_id=network_id)]


async def of_networks(db: Database | Transaction, ids: Sequence[str]) -> list[Subnet]:
    return [read(row["document"], Subnet) for row in await db.all(_OF_NETWORKS, ids=list(ids))]


async def find_many(db: Database | Transaction, ids: Sequence[str]) -> dict[str, Subnet]:
    found = [read(row["document"], Subnet) for row in await db.all(_READ_MANY, ids=list(ids))]
    return {subnet.id: subnet for subnet in found}


async def insert(tx: Transaction, subnet: Subnet, network_project_id: str, now: int) -> None:
    await tx.run(
        _INSERT,
        id=subnet.id,
        project_id=subnet.project_id,
        network_id=subnet.network_id,
        network_project_id=network_project_id,
        name=subnet.name,
        family=subnet.ip_version,
        next_address=bytes(16),
        now=now,
        revision=subnet.revision_number,
        document=render(subnet),
    )


async def update(tx: Transaction, old: Subnet, new: Subnet, now: int) -> None:
    """Write `new` over `old`. Raises: ConcurrentChange."""
    done = await tx.run(
        _UPDATE,
        id=new.id,
        name=new.name,
        now=now,
        revision=new.revision_number,
        document=render(new),
        read_revision=old.revision_number,
    )
    if not done:
        raise ConcurrentChange()


async def delete(tx: Transaction, subnet: Subnet) -> None:
    """Remove the row that was read. Raises: ConcurrentChange."""
    if not await tx.run(_DELETE, id=subnet.id, revision=subnet.revision_number):
        raise ConcurrentChange()


async def router_port_at(tx: Transaction, subnet_id: str, address: bytes) -> str | None:
    """The router's port that has this address."""
    row = await tx.one(_ROUTER_PORT_AT, subnet_id=subnet_id, address=address)
    return row["id"] if row else None
