"""Lists of volumes and of attachments: filters, order and pages in SQL."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.database import Database, Statement, sql
from pileus.volume.domain.errors import MarkerNotFound
from pileus.volume.domain.snapshot import Snapshot
from pileus.volume.domain.volume import Attachment, Volume, find_attachment
from pileus.volume.domain.volume_query import VolumeQuery
from pileus.volume.store.snapshots import snapshot_of
from pileus.volume.store.volumes import FIELDS, SOURCE, volume_of

SORTED_BY: dict[str, str] = {
    "id": "v.id",
    "created_at": "v.created_at",
    "updated_at": "v.updated_at",
    "name": "v.name",
    "status": "v.status",
    "size": "v.size_gib",
    "availability_zone": "v.zone",
    "bootable": "v.is_bootable",
    "host": "v.backend",
    "volume_type_id": "v.type_id",
    "project_id": "v.project_id",
    "user_id": "v.user_id",
}
COLUMNS: dict[str, str] = {
    "id": "v.id",
    "name": "v.name",
    "status": "v.status",
    "size": "v.size_gib",
    "availability_zone": "v.zone",
    "bootable": "v.is_bootable",
    "volume_type_id": "v.type_id",
    "user_id": "v.user_id",
    "project_id": "v.project_id",
    "created_at": "v.created_at",
    "updated_at": "v.updated_at",
}
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "neq": "<>"}
_texts: dict[str, Statement] = {}
_AFTER = sql(f"SELECT {', '.join(f'{column} AS {key}' for key, column in SORTED_BY.items())} FROM {SOURCE} "
             "WHERE v.id = :marker")  # fmt: skip


def _statement(text: str) -> Statement:
    """The compiled text, kept by its shape."""
    found = _texts.get(text)
    if found is None:
        found = sql(text)
        if len(_texts) < 1000:
            _texts[text] = found
    return found


async def page(reader: Database, query: VolumeQuery) -> list[Volume]:
    """The volumes of one page. Raises: MarkerNotFound (404)."""
    values: dict[str, Any] = {"limit": query.limit, "offset": query.offset}
    where = _conditions(query, values)
    if query.marker is not None:
        where.append(await _after(reader, query, values, _AFTER, SORTED_BY))
    order = _order(query, SORTED_BY)
    text = f"SELECT {FIELDS} FROM {SOURCE}{_where(where)} ORDER BY {order} LIMIT :limit OFFSET :offset"
    return [volume_of(row) for row in await reader.all(_statement(text), **values)]


async def count(reader: Database, query: VolumeQuery) -> tuple[int, int]:
    """How many volumes fit the query, pages aside, and how many GiB they have."""
    values: dict[str, Any] = {}
    where = _conditions(query, values)
    text = f"SELECT COUNT(*) AS found, COALESCE(SUM(v.size_gib), 0) AS gib FROM volume_volumes v{_where(where)}"
    row = await reader.one(_statement(text), **values)
    return (0, 0) if row is None else (int(row["found"]), int(row["gib"]))


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _order(query: VolumeQuery, columns: Mapping[str, str]) -> str:
    return ", ".join(f"{columns[key]} {'ASC' if way == 'asc' else 'DESC'}" for key, way in query.sort)


def _conditions(query: VolumeQuery, values: dict[str, Any], columns: Mapping[str, str] = COLUMNS) -> list[str]:
    where: list[str] = []

    def add(text: str, name: str, value: Any) -> None:
        where.append(text)
        values[name] = value

    if query.project_id is not None:
        add(f"{columns['project_id']} = :project_id", "project_id", query.project_id)
    for key, value in query.equal.items():
        add(f"{columns[key]} = :e_{key}", f"e_{key}", value)
    for key, part in query.like.items():
        add(f"LOWER({columns[key]}) LIKE :l_{key} ESCAPE '!'", f"l_{key}", f"%{_literal(part.lower())}%")
    for number, (key, comparison, moment) in enumerate(query.times):
        add(f"{columns[key]} {_COMPARISONS[comparison]} :t_{number}", f"t_{number}", moment)
    for number, (name, value) in enumerate(query.metadata.items()):
        values[f"m_{number}"] = name
        add(
            f"v.id IN (SELECT volume_id FROM volume_metadata WHERE name = :m_{number} AND value = :n_{number})",
            f"n_{number}", value,
        )  # fmt: skip
    return where


def _literal(part: str) -> str:
    return part.replace("!", "!!").replace("%", "!%").replace("_", "!_")


async def _after(
    reader: Database, query: VolumeQuery, values: dict[str, Any], found: Statement, columns: Mapping[str, str]
) -> str:
    """The condition for what comes after the marker in the query's order. Raises: MarkerNotFound (404)."""
    row = await reader.one(found, marker=query.marker)
    if row is None:
        raise MarkerNotFound(marker=query.marker)
    alternatives: list[str] = []
    same: list[str] = []
    for key, way in query.sort:
        values[f"k_{key}"] = row[key]
        alternatives.append(" AND ".join([*same, f"{columns[key]} {'>' if way == 'asc' else '<'} :k_{key}"]))
        same.append(f"{columns[key]} = :k_{key}")
    return "(" + " OR ".join(f"({one})" for one in alternatives) + ")"


async def metadata_values(reader: Database, query: VolumeQuery) -> dict[str, list[str]]:
    """Which values each metadata key has among the volumes that fit the query."""
    values: dict[str, Any] = {}
    where = _conditions(query, values)
    text = (
        "SELECT DISTINCT m.name, m.value FROM volume_metadata m JOIN volume_volumes v ON v.id = m.volume_id"
        f"{_where(where)} ORDER BY m.name, m.value"
    )
    found: dict[str, list[str]] = {}
    for row in await reader.all(_statement(text), **values):
        found.setdefault(row["name"], []).append(row["value"])
    return found


_SNAPSHOT_COLUMNS = {
    "id": "s.id",
    "name": "s.name",
    "status": "s.status",
    "volume_id": "s.volume_id",
    "size": "s.size_gib",
    "created_at": "s.created_at",
    "updated_at": "s.updated_at",
    "project_id": "s.project_id",
}
_AFTER_SNAPSHOT = sql(
    f"SELECT {', '.join(f'{column} AS {key}' for key, column in _SNAPSHOT_COLUMNS.items())} FROM volume_snapshots s "
    "WHERE s.id = :marker"
)


async def snapshots(reader: Database, query: VolumeQuery) -> list[Snapshot]:
    """The snapshots of one page. Raises: MarkerNotFound (404)."""
    values: dict[str, Any] = {"limit": query.limit, "offset": query.offset}
    where = _conditions(query, values, _SNAPSHOT_COLUMNS)
    if query.marker is not None:
        where.append(await _after(reader, query, values, _AFTER_SNAPSHOT, _SNAPSHOT_COLUMNS))
    order = _order(query, _SNAPSHOT_COLUMNS)
    text = f"SELECT s.generation, s.data FROM volume_snapshots s{_where(where)} ORDER BY {order} "
    return [
        snapshot_of(row) for row in await reader.all(_statement(text + "LIMIT :limit OFFSET :offset"), **values)
    ]  # fmt: skip


async def count_snapshots(reader: Database, query: VolumeQuery) -> int:
    """How many snapshots fit the query, pages aside."""
    values: dict[str, Any] = {}
    where = _conditions(query, values, _SNAPSHOT_COLUMNS)
    row = await reader.one(_statement(f"SELECT COUNT(*) AS found FROM volume_snapshots s{_where(where)}"), **values)
    return 0 if row is None else int(row["found"])


async def attachments(
    reader: Database, *, project_id: str | None, equal: dict[str, str], limit: int, offset: int, marker: str | None
) -> list[tuple[Volume, Attachment]]:
    """Attachments with their volumes, by id; `project_id` None looks at every project's."""
    values: dict[str, Any] = {"limit": limit, "offset": offset}
    where = []
    if project_id is not None:
        equal = {**equal, "project_id": project_id}
    for key, value in equal.items():
        where.append(f"a.{key} = :{key}")
        values[key] = value
    if marker is not None:
        where.append("a.id > :marker")
        values["marker"] = marker
    text = (
        f"SELECT {FIELDS}, a.id AS attachment_id FROM volume_attachments a JOIN volume_volumes v ON v.id = a.volume_id "
        f"LEFT JOIN volume_types t ON t.id = v.type_id{_where(where)} ORDER BY a.id LIMIT :limit OFFSET :offset"
    )
    found = []
    for row in await reader.all(_statement(text), **values):
        volume = volume_of(row)
        held = find_attachment(volume, row["attachment_id"])
        if held is not None:
            found.append((volume, held))
    return found
