"""Rows of floating IPs."""

from collections.abc import Sequence

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.network.domain.document import read, render
from pileus.network.domain.floating_ip import FloatingIp

_READ = sql("SELECT document, floating_port_id FROM network_floating_ips WHERE id = :id")
_OF_PORT = sql("SELECT document FROM network_floating_ips WHERE port_id = :port_id ORDER BY id")
_LOOSE = sql(
    "SELECT document, floating_port_id FROM network_floating_ips "
    "WHERE floating_network_id = :network_id AND port_id IS NULL"
)
_SAME_TARGET = sql(
    "SELECT document FROM network_floating_ips WHERE port_id = :port_id AND fixed_address = :fixed_address "
    "AND floating_network_id = :network_id AND id <> :id"
)
_INSERT = sql(
    "INSERT INTO network_floating_ips (id, project_id, floating_network_id, floating_port_id, port_id, fixed_address, "
    "router_id, created_at, updated_at, revision, document) VALUES (:id, :project_id, :floating_network_id, "
    ":floating_port_id, :port_id, :fixed_address, :router_id, :now, :now, :revision, :document)"
)
_UPDATE = sql(
    "UPDATE network_floating_ips SET port_id = :port_id, fixed_address = :fixed_address, router_id = :router_id, "
    "updated_at = :now, revision = :revision, document = :document WHERE id = :id AND revision = :read_revision"
)
_DELETE = sql("DELETE FROM network_floating_ips WHERE id = :id AND revision = :revision")
_OF_ROUTER = sql("SELECT 1 FROM network_floating_ips WHERE router_id = :router_id LIMIT 1")
_THROUGH_SUBNET = sql(
    "SELECT 1 FROM network_floating_ips f JOIN network_addresses a ON a.port_id = f.port_id "
    "WHERE f.router_id = :router_id AND a.subnet_id IN :subnet_ids* LIMIT 1"
)


async def find(db: Database | Transaction, floating_id: str) -> tuple[FloatingIp, str] | None:
    """The floating IP and the id of the port that holds its address."""
    row = await db.one(_READ, id=floating_id)
    return (read(row["document"], FloatingIp), row["floating_port_id"]) if row else None


async def of_port(tx: Transaction, port_id: str) -> list[FloatingIp]:
    """The floating IPs that point to a port."""
    return [read(row["document"], FloatingIp) for row in await tx.all(_OF_PORT, port_id=port_id)]


async def loose_in(tx: Transaction, network_id: str) -> list[tuple[FloatingIp, str]]:
    """The floating IPs of an external network that point to nothing, each with the port that holds its address."""
    rows = await tx.all(_LOOSE, network_id=network_id)
    return [(read(row["document"], FloatingIp), row["floating_port_id"]) for row in rows]


async def same_target(tx: Transaction, floating: FloatingIp) -> FloatingIp | None:
    """Another floating IP of the same network that points to the same address of the same port."""
    row = await tx.one(
        _SAME_TARGET,
        id=floating.id,
        port_id=floating.port_id,
        fixed_address=floating.fixed_ip_address,
        network_id=floating.floating_network_id,
    )
    return read(row["document"], FloatingIp) if row else None


async def insert(tx: Transaction, floating: FloatingIp, floating_port_id: str, now: int) -> None:
    await tx.run(
        _INSERT,
        project_id=floating.project_id,
        floating_network_id=floating.floating_network_id,
        floating_port_id=floating_port_id,
        **_columns(floating, now),
    )


async def update(tx: Transaction, old: FloatingIp, new: FloatingIp, now: int) -> None:
    """Write `new` over `old`. Raises: ConcurrentChange."""
    if not await tx.run(_UPDATE, read_revision=old.revision_number, **_columns(new, now)):
        raise ConcurrentChange()


def _columns(floating: FloatingIp, now: int) -> dict[str, object]:
    return {
        "id": floating.id,
        "port_id": floating.port_id,
        "fixed_address": floating.fixed_ip_address,
        "router_id": floating.router_id,
        "now": now,
        "revision": floating.revision_number,
        "document": render(floating),
    }


async def delete(tx: Transaction, floating: FloatingIp) -> None:
    """Remove the row that was read. Raises: ConcurrentChange."""
    if not await tx.run(_DELETE, id=floating.id, revision=floating.revision_number):
        raise ConcurrentChange()


async def any_of_router(tx: Transaction, router_id: str) -> bool:
    """Whether a floating IP is translated by the router."""
    return await tx.one(_OF_ROUTER, router_id=router_id) is not None


async def any_through(tx: Transaction, router_id: str, subnet_ids: Sequence[str]) -> bool:
    """Whether a floating IP reaches its port by the router's interface in one of these subnets."""
    row = await tx.one(_THROUGH_SUBNET, router_id=router_id, subnet_ids=list(subnet_ids))
    return row is not None
