"""Which database a URL means."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from pileus.foundation.database.seam import Database, Schema
from pileus.foundation.database.sqlite import SqliteDatabase
from pileus.foundation.errors import BadRequest
from pileus.foundation.runtime import Runtime


class UnknownDatabase(BadRequest):
    """A URL of no database that this program knows."""

    code = "database.url"
    message = (
        "'{scheme}' is no database that pileus knows: write postgresql://USER@HOST/NAME (the password belongs in a "
        "passfile) or sqlite:///PATH."
    )


def open_database(url: str, runtime: Runtime) -> Database:
    """The database behind `url`, not reached yet: `await database.open()` does that. Raises: UnknownDatabase.

    `sqlite:///relative`, `sqlite:////absolute`, or `postgresql://user@host:port/name?sslmode=...` (see `postgres.py`).
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        return SqliteDatabase(Path(rest[1:]), runtime, is_shared=True)
    if scheme in ("postgresql", "postgres"):
        from pileus.foundation.database.postgres import PostgresDatabase  # its driver is no part of an embedded cloud

        return PostgresDatabase(url, runtime)
    raise UnknownDatabase(scheme=scheme)


def upgrade_database(url: str, schemas: Sequence[Schema]) -> None:
    """Bring a database to these schemas' versions. Raises: NewerState, Unavailable."""

    async def upgrade() -> None:
        runtime = Runtime("upgrade")
        try:
            database = open_database(url, runtime)
            await database.open()
            try:
                for schema in schemas:
                    await database.migrate(schema)
            finally:
                await database.close()
        finally:
            await runtime.stop()

    asyncio.run(upgrade())
