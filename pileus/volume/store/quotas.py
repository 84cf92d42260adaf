"""Quotas in the database: what was set for a project or for the default class. Usage is counted, never stored."""

from collections.abc import Mapping

from pileus.foundation.database import Database, Transaction, sql
from pileus.volume.domain.quota import DEFAULT_LIMITS

DEFAULT_CLASS = "class:default"
"""Stands where a project's id stands: the limits of projects that have none of their own."""

_SET = sql("SELECT resource, value FROM volume_quotas WHERE project_id = :project_id")
_BOTH = sql(
    "SELECT project_id, resource, value FROM volume_quotas WHERE project_id = :project_id OR project_id = :quota_class"
)
_PUT = sql(
    "INSERT INTO volume_quotas (project_id, resource, value) VALUES (:project_id, :resource, :value) "
    "ON CONFLICT (project_id, resource) DO UPDATE SET value = excluded.value"
)
_DROP = sql("DELETE FROM volume_quotas WHERE project_id = :project_id")


async def defaults(reader: Database | Transaction) -> dict[str, int]:
    """The limits of a project that has none of its own."""
    return {**DEFAULT_LIMITS, **await _those_set(reader, DEFAULT_CLASS)}


async def limits(reader: Database | Transaction, project_id: str) -> dict[str, int]:
    """Every limit of a project by resource; -1 is no limit."""
    found = dict(DEFAULT_LIMITS)
    own: dict[str, int] = {}
    for row in await reader.all(_BOTH, project_id=project_id, quota_class=DEFAULT_CLASS):
        (own if row["project_id"] == project_id else found)[row["resource"]] = row["value"]
    return found | own


async def _those_set(reader: Database | Transaction, key: str) -> dict[str, int]:
    return {row["resource"]: row["value"] for row in await reader.all(_SET, project_id=key)}


async def put(tx: Transaction, project_id: str, values: Mapping[str, int]) -> None:
    """Set some limits of a project, or of DEFAULT_CLASS."""
    for resource, value in values.items():
        await tx.run(_PUT, project_id=project_id, resource=resource, value=value)


async def drop(tx: Transaction, project_id: str) -> None:
    """Forget a project's own limits: the defaults are in force again."""
    await tx.run(_DROP, project_id=project_id)
