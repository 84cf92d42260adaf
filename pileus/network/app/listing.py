"""Lists of rows, for the views."""

from typing import Any

from pileus.network.app.service import NetworkService
from pileus.network.store import listing
from pileus.network.store.listing import (
    AGENTS,
    FLOATING_IPS,
    NETWORKS,
    PORTS,
    ROUTERS,
    RULES,
    SECURITY_GROUPS,
    SUBNETS,
    Table,
    Wanted,
)

__all__ = [
    "AGENTS", "FLOATING_IPS", "NETWORKS", "PORTS", "ROUTERS", "RULES", "SECURITY_GROUPS", "SUBNETS", "Table", "Wanted",
    "rows",
]  # fmt: skip


async def rows(service: NetworkService, table: Table, wanted: Wanted) -> list[Any]:
    """The rows in order of their ids."""
    return await listing.rows(service.database, table, wanted)
