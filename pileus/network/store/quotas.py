"""Limits of projects, and what they use: counted in the rows each time."""

from collections.abc import Mapping

from pileus.foundation.database import Database, Transaction, sql

_LIMIT = sql("SELECT quota FROM network_quotas WHERE project_id = :project_id AND resource = :resource")
_LIMITS = sql("SELECT resource, quota FROM network_quotas WHERE project_id = :project_id")
_ALL = sql("SELECT project_id, resource, quota FROM network_quotas ORDER BY project_id")
_SET = sql(
    "INSERT INTO network_quotas (project_id, resource, quota) VALUES (:project_id, :resource, :quota) "
    "ON CONFLICT (project_id, resource) DO UPDATE SET quota = excluded.quota"
)
_CLEAR = sql("DELETE FROM network_quotas WHERE project_id = :project_id")

_COUNT = {
    resource: sql(f"SELECT COUNT(*) AS used FROM {table} WHERE project_id = :project_id")
    for resource, table in {
        "network": "network_networks",
        "subnet": "network_subnets",
        "port": "network_ports",
        "router": "network_routers",
        "floatingip": "network_floating_ips",
        "security_group": "network_security_groups",
        "security_group_rule": "network_security_group_rules",
    }.items()
}


async def used(db: Database | Transaction, project_id: str, resource: str) -> int:
    """How many of a resource the project has; 0 for a resource this cloud does not have."""
    statement = _COUNT.get(resource)
    if statement is None:
        return 0
    row = await db.one(statement, project_id=project_id)
    return int(row["used"]) if row else 0


async def limit(tx: Transaction, project_id: str, resource: str) -> int | None:
    """The project's own limit of one resource, if it has one."""
    row = await tx.one(_LIMIT, project_id=project_id, resource=resource)
    return row["quota"] if row else None


async def limits(db: Database | Transaction, project_id: str) -> dict[str, int]:
    """The project's own limits."""
    return {row["resource"]: row["quota"] for row in await db.all(_LIMITS, project_id=project_id)}


async def all_limits(db: Database) -> dict[str, dict[str, int]]:
    """The limits of every project that has its own."""
    found: dict[str, dict[str, int]] = {}
    for row in await db.all(_ALL):
        found.setdefault(row["project_id"], {})[row["resource"]] = row["quota"]
    return found


async def put(tx: Transaction, project_id: str, limits: Mapping[str, int]) -> None:
    for resource, quota in limits.items():
        await tx.run(_SET, project_id=project_id, resource=resource, quota=quota)


async def clear(tx: Transaction, project_id: str) -> int:
    return await tx.run(_CLEAR, project_id=project_id)
