"""Reading servers as the API shows them: one or many, as rendered documents wherever the row has them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_document import RENDERER
from pileus.compute.domain.server_query import EQUAL, Form, Listed, ServerQuery
from pileus.compute.domain.server_status import StatusFilter
from pileus.foundation.database import Database, Statement, sql
from pileus.foundation.errors import BadRequest

_unpack = msgspec.msgpack.Decoder(Server).decode


class MarkerNotFound(BadRequest):
    code = "compute.list.marker-not-found"
    message = "marker [{marker}] not found"


_READY = f"CASE WHEN renderer = {RENDERER} THEN"
_REST = "name, hostname, addresses, project_id, user_id, server_group_id"


def _columns(form: Form, *, with_admin: bool = True, whole_row: bool = True) -> str:
    """In the order of `Listed`; each column of a page costs, so what nobody will look at is left out."""
    admin = "NULL, NULL"
    if with_admin:
        admin = f"{_READY} document_admin END, host" if form in ("first", "latest") else "NULL, host"
    rest = _REST if whole_row else "name" if form == "brief" else ""
    wanted = {
        "brief": "id, NULL, NULL",
        "whole": "id, NULL, data",
        "first": f"id, {_READY} document_first END, {_READY} NULL ELSE data END",
        "latest": f"id, {_READY} document_latest END, {_READY} NULL ELSE data END",
    }[form]
    return ", ".join(part for part in (wanted, admin, rest) if part)


_FORMS: tuple[Form, ...] = ("brief", "first", "latest", "whole")
_ONE: dict[Form, Statement] = {
    form: sql(f"SELECT {_columns(form)} FROM compute_servers WHERE id = :id") for form in _FORMS
}
_DELETED = sql(
    "SELECT data FROM compute_deleted_servers WHERE deleted_at >= :since "
    "AND (deleted_at < :at OR (deleted_at = :at AND id < :marker)) ORDER BY deleted_at DESC, id DESC LIMIT :limit"
)
_DELETED_OF_PROJECT = sql(
    "SELECT data FROM compute_deleted_servers WHERE project_id = :project_id AND deleted_at >= :since "
    "AND (deleted_at < :at OR (deleted_at = :at AND id < :marker)) ORDER BY deleted_at DESC, id DESC LIMIT :limit"
)
_DELETED_AT = sql("SELECT deleted_at, project_id FROM compute_deleted_servers WHERE id = :id")

_SORTED_BY: dict[str, str] = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "uuid": "id",
    "display_name": "name",
    "hostname": "hostname",
    "vm_state": "vm_state",
    "task_state": "COALESCE(task_state, '')",
    "power_state": "power_state",
    "locked": "is_locked",
    "host": "COALESCE(host, '')",
    "node": "COALESCE(node, '')",
    "availability_zone": "COALESCE(availability_zone, '')",
    "launched_at": "COALESCE(launched_at, 0)",
    "key_name": "COALESCE(key_name, '')",
    "image_ref": "COALESCE(image_id, '')",
    "instance_type_id": "flavor_id",
    "project_id": "project_id",
    "user_id": "user_id",
}
_texts: dict[tuple[Any, ...], Statement] = {}


async def find(reader: Database, server_id: str, form: Form) -> Listed | None:
    row = await reader.one(_ONE[form], id=server_id)
    return None if row is None else Listed._make(row)


async def page(reader: Database, query: ServerQuery, *, limit: int, marker: str | None) -> list[Listed]:
    """The living servers after `marker` that fit all but the query's patterns.

    The text of the statement is kept by the shape of the query. Raises: MarkerNotFound (400).
    """
    values: dict[str, Any] = {"limit": limit}
    where = _conditions(query, values)
    if marker is not None:
        where.append(await _after_marker(reader, query, marker, values))
    whole_row = bool(query.patterns) or query.form == "whole"
    shape = (query.form, query.with_admin, whole_row, tuple(where), query.sort)
    statement = _texts.get(shape)
    if statement is None:
        condition = f"WHERE {' AND '.join(where)} " if where else ""
        order = ", ".join(f"{_SORTED_BY[key]} {'ASC' if way == 'asc' else 'DESC'}" for key, way in query.sort)
        columns = _columns(query.form, with_admin=query.with_admin, whole_row=whole_row)
        statement = sql(f"SELECT {columns} FROM compute_servers {condition}ORDER BY {order} LIMIT :limit")
        if len(_texts) < 1000:
            _texts[shape] = statement
    return _listed(await reader.all(statement, **values))


_PADDING = tuple(Listed._field_defaults[name] for name in Listed._fields[5:])


def _listed(rows: Sequence[Any]) -> list[Listed]:
    """Rows as values; columns that were left out get their defaults. (Half the price of calling the class.)"""
    if not rows:
        return []
    padding = _PADDING[len(_PADDING) - len(Listed._fields) + len(tuple(rows[0])) :]
    make = tuple.__new__
    return [make(Listed, (*row, *padding)) for row in rows]


def _conditions(query: ServerQuery, values: dict[str, Any]) -> list[str]:
    where: list[str] = []

    def add(text: str, **more: Any) -> None:
        where.append(text)
        values.update(more)

    if query.project_id is not None:
        add("project_id = :project_id", project_id=query.project_id)
    for column, value in query.equal:
        if column not in EQUAL:
            raise ValueError(f"servers cannot be listed by {column}")
        if value is None:
            add(f"{column} IS NULL")
        else:
            add(f"{column} = :e_{column}", **{f"e_{column}": value})
    if query.statuses is not None:
        add("(" + " OR ".join(_status(one) for one in query.statuses) + ")" if query.statuses else "1 = 0")
    if query.changed_since is not None:
        add("updated_at >= :changed_since", changed_since=query.changed_since)
    if query.changed_before is not None:
        add("updated_at <= :changed_before", changed_before=query.changed_before)
    _add_tags(query, add)
    return where


def _add_tags(query: ServerQuery, add: Any) -> None:
    def has(name: str) -> str:
        return f"id IN (SELECT server_id FROM compute_server_tags WHERE tag = :{name})"

    for number, tag in enumerate(query.tags):
        add(has(f"tag{number}"), **{f"tag{number}": tag})
    if query.tags_any:
        add("id IN (SELECT server_id FROM compute_server_tags WHERE tag IN :tags_any*)", tags_any=list(query.tags_any))
    if query.not_tags:
        names = {f"not_tag{number}": tag for number, tag in enumerate(query.not_tags)}
        add("NOT (" + " AND ".join(has(name) for name in names) + ")", **names)
    if query.not_tags_any:
        add(
            "id NOT IN (SELECT server_id FROM compute_server_tags WHERE tag IN :not_tags_any*)",
            not_tags_any=list(query.not_tags_any),
        )


def _status(wanted: StatusFilter) -> str:
    """The condition of one status; its words are constants of ours."""
    text = f"vm_state IN ({_quoted(wanted.vm_states)})"
    if wanted.only is not None:
        return f"({text} AND task_state IN ({_quoted(wanted.only)}))"
    if wanted.excluded:
        return f"({text} AND COALESCE(task_state, '') NOT IN ({_quoted(wanted.excluded)}))"
    return text


def _quoted(words: Any) -> str:
    return ", ".join(f"'{word.value}'" for word in sorted(words))


async def _after_marker(reader: Database, query: ServerQuery, marker: str, values: dict[str, Any]) -> str:
    """The condition that a row comes after the marker's, in the query's order."""
    columns = ", ".join(f"{_SORTED_BY[key]} AS k{number}" for number, (key, _) in enumerate(query.sort))
    statement = _texts.get(("marker", query.sort))
    if statement is None:
        statement = sql(f"SELECT project_id, {columns} FROM compute_servers WHERE id = :id")
        _texts[("marker", query.sort)] = statement
    row = await reader.one(statement, id=marker)
    if row is None or query.project_id not in (None, row["project_id"]):
        raise MarkerNotFound(marker=marker)
    alternatives = []
    for number, (key, way) in enumerate(query.sort):
        values[f"m{number}"] = row[f"k{number}"]
        same = [f"{_SORTED_BY[other]} = :m{before}" for before, (other, _) in enumerate(query.sort[:number])]
        alternatives.append(" AND ".join([*same, f"{_SORTED_BY[key]} {'>' if way == 'asc' else '<'} :m{number}"]))
    return "(" + " OR ".join(f"({text})" for text in alternatives) + ")"


class Place(NamedTuple):
    """A place among the deleted servers, which are ordered from the last deleted to the first."""

    deleted_at: int
    id: str


NEWEST = Place(1 << 62, "")


async def find_place(reader: Database, query: ServerQuery, server_id: str) -> Place | None:
    """Where a deleted server stands; None when it is none, or none that the query may see."""
    row = await reader.one(_DELETED_AT, id=server_id)
    if row is None or query.project_id not in (None, row["project_id"]):
        return None
    return Place(row["deleted_at"], server_id)


async def deleted_page(reader: Database, query: ServerQuery, *, after: Place, limit: int) -> list[Listed]:
    """Deleted servers that history still has, from a place on; whole, whatever form was asked for."""
    values: dict[str, Any] = {
        "since": query.changed_since or 0, "at": after.deleted_at, "marker": after.id, "limit": limit,
    }  # fmt: skip
    statement = _DELETED
    if query.project_id is not None:
        statement = _DELETED_OF_PROJECT
        values["project_id"] = query.project_id
    return [_buried(row["data"]) for row in await reader.all(statement, **values)]


def _buried(data: bytes) -> Listed:
    server = _unpack(data)
    return Listed(
        id=server.id, document=None, data=data, host=server.host, name=server.name, hostname=server.hostname,
        project_id=server.project_id, user_id=server.user_id, server_group_id=server.server_group_id,
    )  # fmt: skip
