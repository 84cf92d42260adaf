"""Pages of images as SQL: who may see what, filters, order, where the page begins.

The texts are composed of this module's own words only, and each shape of a question is composed once.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pileus.foundation.database import Database, Statement, sql
from pileus.image.domain.image import Image
from pileus.image.domain.listing import Listing
from pileus.image.store.images import COLUMNS, from_row

NUMBERS = frozenset(
    {"size", "virtual_size", "min_disk", "min_ram", "created_at", "updated_at", "protected", "os_hidden"}
)
TEXTS = frozenset(
    {"id", "owner", "name", "status", "visibility", "container_format", "disk_format", "checksum", "os_hash_algo",
     "os_hash_value"}
)  # fmt: skip
_OPERATORS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "min": ">=", "max": "<="}
# What a page is ordered by: absent values count as the least.
_ORDER = {
    "name": "COALESCE(name, '')",
    "container_format": "COALESCE(container_format, '')",
    "disk_format": "COALESCE(disk_format, '')",
    "size": "COALESCE(size, 0)",
    **{name: name for name in ("id", "status", "created_at", "updated_at")},
}
_SHARED = "visibility = 'shared' AND id IN (SELECT image_id FROM image_members WHERE member_id = :project"


async def page(db: Database, listing: Listing, marker: Image | None) -> list[Image]:
    """One page of what the listing asks for, from behind the marker on."""
    values: dict[str, Any] = {"project": listing.project_id, "limit": listing.limit}
    if listing.visibility and listing.visibility != "all":
        values["visibility"] = listing.visibility
    if listing.member_status != "all":
        values["member_status"] = listing.member_status
    values.update({f"tag{number}": tag for number, tag in enumerate(listing.tags)})
    for number, asked in enumerate(listing.filters):
        values[f"f{number}"] = list(asked.values) if asked.comparison == "in" else asked.values[0]
        values[f"n{number}"] = asked.name
    order = _complete(listing.order)
    if marker is not None:
        values.update(_marker_values(marker, order))
    statement = _statement(
        listing.everything, listing.visibility, listing.member_status == "all", len(listing.tags),
        tuple((asked.name if asked.name in NUMBERS | TEXTS else "", asked.comparison) for asked in listing.filters),
        order, marker is not None,
    )  # fmt: skip
    rows = await db.all(statement, **values)
    return [from_row(row) for row in rows]


def _complete(order: Sequence[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    """The order made total: by creation and id at the end, in the last direction asked for."""
    names = [name for name, _ in order]
    falls = order[-1][1]
    return (*order, *((name, falls) for name in ("created_at", "id") if name not in names))


def _marker_values(marker: Image, order: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    values = {}
    for number, (name, _) in enumerate(order):
        value = getattr(marker, name)
        values[f"m{number}"] = value if value is not None else (0 if name in NUMBERS else "")
    return values


@lru_cache(maxsize=256)
def _statement(
    everything: bool,
    visibility: str,
    any_member_status: bool,
    tags: int,
    filters: tuple[tuple[str, str], ...],
    order: tuple[tuple[str, bool], ...],
    has_marker: bool,
) -> Statement:
    parts = [] if everything else [_visible(any_member_status)]
    if visibility and visibility != "all":
        parts.append("visibility = :visibility")
    elif not visibility:
        parts.append("(visibility <> 'community' OR owner = :project)")
    parts += [f"id IN (SELECT image_id FROM image_tags WHERE tag = :tag{number})" for number in range(tags)]
    parts += [_filter(number, name, comparison) for number, (name, comparison) in enumerate(filters)]
    if has_marker:
        parts.append(_after(order))
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    by = ", ".join(f"{_ORDER[name]} {'DESC' if falls else 'ASC'}" for name, falls in order)
    return sql(f"SELECT {COLUMNS} FROM image_images{where} ORDER BY {by} LIMIT :limit")


def _visible(any_member_status: bool) -> str:
    shared = _SHARED + (")" if any_member_status else " AND status = :member_status)")
    return f"(visibility IN ('public', 'community') OR owner = :project OR ({shared}))"


def _filter(number: int, column: str, comparison: str) -> str:
    if not column:
        return (
            f"id IN (SELECT image_id FROM image_properties WHERE name = :n{number} "
            f"AND substr(value, 1, 100) = substr(:f{number}, 1, 100) AND value = :f{number})"
        )
    if comparison == "in":
        return f"{column} IN :f{number}*"
    return f"{column} {_OPERATORS[comparison]} :f{number}"


def _after(order: tuple[tuple[str, bool], ...]) -> str:
    """Whether a row comes after the marker: beyond it in the first value in which the two differ."""
    choices = []
    for number, (name, falls) in enumerate(order):
        equal = [f"{_ORDER[before]} = :m{at}" for at, (before, _) in enumerate(order[:number])]
        choices.append(" AND ".join([*equal, f"{_ORDER[name]} {'<' if falls else '>'} :m{number}"]))
    return f"({' OR '.join(f'({choice})' for choice in choices)})"
