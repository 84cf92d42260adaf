"""One database of either kind for a test, reached by as many processes as the test wants."""

import asyncio
from pathlib import Path

from pileus.foundation.database import Database, Schema, SqliteDatabase, open_database
from pileus.foundation.runtime import Crashed, Runtime
from tests.postgres import Server

KINDS = ("sqlite", "postgres")


class Bench:
    """An empty database. `process` is another process that uses it; `end` ends them all.

    SQLite belongs to one process: all get the same. Every test runs on one event loop.
    """

    def __init__(self, directory: Path, server: Server | None):
        self.server = server
        self.name = server.create() if server is not None else ""
        self.url = server.url(self.name) if server is not None else f"sqlite:///{directory / 'pileus.db'}"
        self.runtimes: list[Runtime] = []
        self.databases: list[Database] = []

    @property
    def is_sqlite(self) -> bool:
        return self.server is None

    async def process(self, *schemas: Schema, runtime: Runtime | None = None, options: str = "") -> Database:
        if self.is_sqlite and self.databases:
            database = self.databases[0]
        else:
            self.runtimes.append(runtime or Runtime(f"process-{len(self.runtimes)}"))
            database = open_database(self.url + options, self.runtimes[-1])
            await database.open()
            self.databases.append(database)
        for schema in schemas:
            await database.migrate(schema)
        return database

    async def end(self) -> None:
        for database in self.databases:
            try:
                await database.close()
            except Crashed:
                if not isinstance(database, SqliteDatabase):
                    database.abandon()  # type: ignore[attr-defined]
        for runtime in self.runtimes:
            await runtime.stop()

    def remove(self) -> None:
        if self.server is not None:
            self.server.drop(self.name)


class Gate:
    """Two who meet: each waits at `pass_` until both are there, or until the other one can never come."""

    def __init__(self, parties: int = 2):
        self._missing = parties
        self._open = asyncio.Event()

    async def pass_(self, patience_s: float = 0.3) -> bool:
        """Whether both were there. Where writers come one by one the other never arrives: then go on alone."""
        self._missing -= 1
        if self._missing <= 0:
            self._open.set()
        try:
            async with asyncio.timeout(patience_s):
                await self._open.wait()
        except TimeoutError:
            self._open.set()
            return False
        return True
