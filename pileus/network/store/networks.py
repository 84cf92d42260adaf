"""Rows of networks."""

from collections.abc import Sequence

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.network.domain.document import read, render
from pileus.network.domain.network import Network, Segment, segment_key

_READ = sql("SELECT document FROM network_networks WHERE id = :id")
_READ_MANY = sql("SELECT document FROM network_networks WHERE id IN :ids*")
_SEGMENT_TAKEN = sql("SELECT 1 FROM network_networks WHERE segment = :segment")
_INSERT = sql(
    "INSERT INTO network_networks (id, project_id, name, status, admin_state_up, shared, is_external, segment, "
    "created_at, updated_at, revision, document) VALUES (:id, :project_id, :name, :status, :admin_state_up, :shared, "
    ":is_external, :segment, :now, :now, :revision, :document)"
)
_UPDATE = sql(
    "UPDATE network_networks SET name = :name, status = :status, admin_state_up = :admin_state_up, shared = :shared, "
    "is_external = :is_external, segment = :segment, updated_at = :now, revision = :revision, document = :document "
    "WHERE id = :id AND revision = :read_revision"
)
_DELETE = sql("DELETE FROM network_networks WHERE id = :id AND revision = :revision")
_FOREIGN_PORTS = sql(
    "SELECT 1 FROM network_ports WHERE network_id = :id AND project_id <> :project_id AND project_id <> '' LIMIT 1"
)
_PORTS_OF_OWNERS = sql("SELECT 1 FROM network_ports WHERE network_id = :id AND device_owner IN :owners* LIMIT 1")


async def find(db: Database | Transaction, network_id: str) -> Network | None:
    row = await db.one(_READ, id=network_id)
    return read(row["document"], Network) if row else None


async def find_many(db: Database | Transaction, ids: Sequence[str]) -> list[Network]:
    return [read(row["document"], Network) for row in await db.all(_READ_MANY, ids=list(ids))]


async def is_segment_taken(tx: Transaction, segment: Segment) -> bool:
    key = segment_key(segment)
    return key is not None and await tx.one(_SEGMENT_TAKEN, segment=key) is not None


async def insert(tx: Transaction, network: Network, now: int) -> None:
    await tx.run(_INSERT, project_id=network.project_id, **_columns(network, now))


async def update(tx: Transaction, old: Network, new: Network, now: int) -> None:
    """Write `new` over `old`. Raises: ConcurrentChange."""
    if not await tx.run(_UPDATE, read_revision=old.revision_number, **_columns(new, now)):
        raise ConcurrentChange()


def _columns(network: Network, now: int) -> dict[str, object]:
    return {
        "id": network.id,
        "name": network.name,
        "status": network.status,
        "admin_state_up": int(network.admin_state_up),
        "shared": int(network.shared),
        "is_external": int(network.is_external),
        "segment": segment_key(Segment(network.network_type, network.physical_network, network.segmentation_id)),
        "now": now,
        "revision": network.revision_number,
        "document": render(network),
    }


async def delete(tx: Transaction, network: Network) -> None:
    """Remove the row that was read. Raises: ConcurrentChange."""
    if not await tx.run(_DELETE, id=network.id, revision=network.revision_number):
        raise ConcurrentChange()


async def has_foreign_ports(tx: Transaction, network: Network) -> bool:
    """Whether other projects have ports in the network."""
    return await tx.one(_FOREIGN_PORTS, id=network.id, project_id=network.project_id) is not None


async def has_ports_of(tx: Transaction, network_id: str, owners: Sequence[str]) -> bool:
    """Whether the network has ports with one of these device owners."""
    return await tx.one(_PORTS_OF_OWNERS, id=network_id, owners=list(owners)) is not None
