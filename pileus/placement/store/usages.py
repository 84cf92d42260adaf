"""Sums of what consumers hold."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Database, sql

_OF_PROVIDER = sql("SELECT class, used FROM placement_inventories WHERE provider = :provider ORDER BY class")
_OF_OWNER = (
    "SELECT c.type, a.class, SUM(a.amount) AS used FROM placement_consumers c "
    "JOIN placement_allocations a ON a.consumer = c.uuid WHERE {where} GROUP BY c.type, a.class ORDER BY 1, 2"
)
_CONSUMERS = "SELECT c.type, COUNT(*) AS consumers FROM placement_consumers c WHERE {where} GROUP BY c.type ORDER BY 1"
_PROJECT = "c.project_id = :project_id"
_USER = "c.project_id = :project_id AND c.user_id = :user_id"
_SUMS = {where: sql(_OF_OWNER.format(where=where)) for where in (_PROJECT, _USER)}
_COUNTS = {where: sql(_CONSUMERS.format(where=where)) for where in (_PROJECT, _USER)}


async def of_provider(database: Database, provider: str) -> dict[str, int]:
    """How much of each class of a provider is held."""
    return {row["class"]: row["used"] for row in await database.all(_OF_PROVIDER, provider=provider)}


async def of_owner(
    database: Database, project_id: str, user_id: str | None
) -> tuple[list[tuple[str | None, str, int]], dict[str | None, int]]:
    """What a project's (or one of its users') consumers hold: (type, class, amount), and consumers by type."""
    where, values = _where(project_id, user_id)
    sums: Sequence[Any] = await database.all(_SUMS[where], **values)
    counts: Sequence[Any] = await database.all(_COUNTS[where], **values)
    return (
        [(row["type"], row["class"], int(row["used"])) for row in sums],
        {row["type"]: row["consumers"] for row in counts},
    )


def _where(project_id: str, user_id: str | None) -> tuple[str, dict[str, str]]:
    if user_id is None:
        return _PROJECT, {"project_id": project_id}
    return _USER, {"project_id": project_id, "user_id": user_id}
