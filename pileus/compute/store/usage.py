"""Servers that lived within a period, those that history still has included."""

import msgspec

from pileus.compute.domain.server import Server
from pileus.foundation.database import Database, sql

_unpack = msgspec.msgpack.Decoder(Server).decode

_OF_PROJECT = "project_id = :project_id AND "
_PAGE = "id > :after ORDER BY id LIMIT :limit"
_LIVING = {
    whose: sql(f"SELECT data FROM compute_servers WHERE {whose}launched_at < :stop AND {_PAGE}")
    for whose in ("", _OF_PROJECT)
}
_DELETED = {
    whose: sql(f"SELECT data FROM compute_deleted_servers WHERE {whose}deleted_at > :start AND {_PAGE}")
    for whose in ("", _OF_PROJECT)
}


async def servers(
    reader: Database, project_id: str | None, *, start: int, stop: int, after: str, limit: int
) -> list[Server]:
    """Servers of one project, or of all (None), in the order of their ids, those after the id `after`."""
    whose = "" if project_id is None else _OF_PROJECT
    values = {"project_id": project_id, "after": after, "limit": limit}
    living = await reader.all(_LIVING[whose], stop=stop, **values)
    deleted = await reader.all(_DELETED[whose], start=start, **values)
    found: list[Server] = [_unpack(row["data"]) for row in (*living, *deleted)]
    return sorted(found, key=lambda server: server.id)[:limit]
