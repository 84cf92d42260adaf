"""Rows of routers."""

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.network.domain.document import read, render
from pileus.network.domain.router import Router

_READ = sql("SELECT document, gateway_port_id FROM network_routers WHERE id = :id")
_INSERT = sql(
    "INSERT INTO network_routers (id, project_id, name, external_network_id, gateway_port_id, created_at, updated_at, "
    "revision, document) VALUES (:id, :project_id, :name, :external_network_id, :gateway_port_id, :now, :now, "
    ":revision, :document)"
)
_UPDATE = sql(
    "UPDATE network_routers SET name = :name, external_network_id = :external_network_id, "
    "gateway_port_id = :gateway_port_id, updated_at = :now, revision = :revision, document = :document "
    "WHERE id = :id AND revision = :read_revision"
)
_DELETE = sql("DELETE FROM network_routers WHERE id = :id AND revision = :revision")
_BETWEEN = sql(
    "SELECT r.id FROM network_addresses a JOIN network_ports p ON p.id = a.port_id "
    "JOIN network_routers r ON r.id = p.router_id "
    "WHERE a.subnet_id = :subnet_id AND r.external_network_id = :network_id AND r.gateway_port_id <> p.id "
    "ORDER BY r.created_at, r.id LIMIT 1"
)


async def find(db: Database | Transaction, router_id: str) -> tuple[Router, str | None] | None:
    """The router and the id of its gateway's port."""
    row = await db.one(_READ, id=router_id)
    return (read(row["document"], Router), row["gateway_port_id"]) if row else None


async def insert(tx: Transaction, router: Router, gateway_port_id: str | None, now: int) -> None:
    await tx.run(_INSERT, project_id=router.project_id, **_columns(router, gateway_port_id, now))


async def update(tx: Transaction, old: Router, new: Router, gateway_port_id: str | None, now: int) -> None:
    """Write `new` over `old`. Raises: ConcurrentChange."""
    if not await tx.run(_UPDATE, read_revision=old.revision_number, **_columns(new, gateway_port_id, now)):
        raise ConcurrentChange()


def _columns(router: Router, gateway_port_id: str | None, now: int) -> dict[str, object]:
    gateway = router.external_gateway_info
    return {
        "id": router.id,
        "name": router.name,
        "external_network_id": gateway.network_id if gateway else None,
        "gateway_port_id": gateway_port_id,
        "now": now,
        "revision": router.revision_number,
        "document": render(router),
    }


async def delete(tx: Transaction, router: Router) -> None:
    """Remove the row that was read. Raises: ConcurrentChange."""
    if not await tx.run(_DELETE, id=router.id, revision=router.revision_number):
        raise ConcurrentChange()


async def between(tx: Transaction, subnet_id: str, external_network_id: str) -> str | None:
    """The router that joins a subnet with an external network."""
    row = await tx.one(_BETWEEN, subnet_id=subnet_id, network_id=external_network_id)
    return row["id"] if row else None
