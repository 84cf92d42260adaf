"""Finds resource providers by what they are, have and belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pileus.foundation.database import Database, Statement, sql
from pileus.placement.domain.filters import NOTHING, Filter
from pileus.placement.domain.provider import Provider
from pileus.placement.store.providers import provider_from

_HAS_ROOM = (
    "uuid IN (SELECT provider FROM placement_inventories WHERE class = :class{n} AND used + :amount{n} <= capacity "
    "AND :amount{n} >= min_unit AND :amount{n} <= max_unit AND :amount{n} % step_size = 0)"
)


@dataclass(frozen=True)
class ProviderQuery:
    """Which providers are wanted; what is not said does not matter."""

    uuid: str | None = None
    name: str | None = None
    in_tree: str | None = None
    member_of: Filter = NOTHING
    required: Filter = NOTHING
    resources: Mapping[str, int] = field(default_factory=dict)


async def find(database: Database, query: ProviderQuery) -> list[Provider]:
    """The providers that fit, ordered by name."""
    conditions, values = _conditions(query)
    return [provider_from(row) for row in await database.all(_statement(" AND ".join(conditions)), **values)]


@lru_cache(maxsize=256)
def _statement(where: str) -> Statement:
    return sql(
        "SELECT uuid, name, generation, parent, root, updated_at FROM placement_providers"
        + (f" WHERE {where}" if where else "")
        + " ORDER BY name"
    )


def _conditions(query: ProviderQuery) -> tuple[list[str], dict[str, Any]]:
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for name in ("uuid", "name"):
        if getattr(query, name) is not None:
            conditions.append(f"{name} = :{name}")
            values[name] = getattr(query, name)
    if query.in_tree is not None:
        conditions.append("root IN (SELECT root FROM placement_providers WHERE uuid = :in_tree)")
        values["in_tree"] = query.in_tree
    _add_filter(conditions, values, "aggregate", "placement_provider_aggregates", query.member_of)
    _add_filter(conditions, values, "trait", "placement_provider_traits", query.required)
    for n, (name, amount) in enumerate(sorted(query.resources.items())):
        conditions.append(_HAS_ROOM.format(n=n))
        values[f"class{n}"], values[f"amount{n}"] = name, amount
    return conditions, values


def _add_filter(conditions: list[str], values: dict[str, Any], column: str, table: str, wanted: Filter) -> None:
    for n, names in enumerate(wanted.any_of):
        conditions.append(f"uuid IN (SELECT provider FROM {table} WHERE {column} IN :{column}{n}*)")
        values[f"{column}{n}"] = sorted(names)
    if wanted.forbidden:
        conditions.append(f"uuid NOT IN (SELECT provider FROM {table} WHERE {column} IN :no_{column}*)")
        values[f"no_{column}"] = sorted(wanted.forbidden)
