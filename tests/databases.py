"""Databases of either kind for tests.

`database_at` is what the stages of the tests stand on: a file of SQLite, or, when the test or the environment says so
(`PILEUS_TEST_DATABASE=postgres`), a database of PostgreSQL that stands for that file. `Bench` is for those tests that
are about databases: one of either kind, used by as many processes as the test wants.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pileus.foundation.database import Database, Schema, SqliteDatabase, Statement, Transaction, open_database
from pileus.foundation.database.postgres import PostgresDatabase
from pileus.foundation.runtime import Crashed, Runtime
from tests import postgres
from tests.postgres import Server

T = TypeVar("T")
KINDS = ("sqlite", "postgres")
MOST_KEPT = 12
"""Databases that stand for files; the oldest ones go."""

_kind = os.environ.get("PILEUS_TEST_DATABASE", "sqlite")
_stand_ins: dict[Path, str] = {}  # file -> name


@contextlib.contextmanager
def on(kind: str) -> Iterator[None]:
    """Inside, `database_at` gives databases of this kind."""
    global _kind
    before, _kind = _kind, kind
    try:
        yield
    finally:
        _kind = before


def kind() -> str:
    return _kind


def database_at(path: Path, runtime: Runtime) -> Any:
    """The database that is or stands for the file `path`; a second one on the same path is the same database."""
    return SqliteDatabase(path, runtime) if _kind == "sqlite" else AnyLoop(_stand_in(path), runtime)


Look = Callable[..., Sequence[Any]]


@contextlib.contextmanager
def looking_at(path: Path) -> Iterator[Look]:
    """Queries, with `?` for each argument, of what the database at `path` holds, committed and seen from outside."""
    if path in _stand_ins:
        name = _stand_ins[path]

        def look(query: str, *args: Any) -> Sequence[Any]:
            first, *rest = query.split("?")
            text = first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
            return postgres.shared().query(name, (text, args))

        yield look
        return
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        yield lambda query, *args: connection.execute(query, args).fetchall()


def rows(path: Path, query: str, *args: Any) -> Sequence[Any]:
    """The answer to one query."""
    with looking_at(path) as look:
        return look(query, *args)


def tables(path: Path) -> list[str]:
    """The names of the tables at `path`."""
    if path in _stand_ins:
        return [row[0] for row in rows(path, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return [row[0] for row in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]


def everything_at(path: Path) -> bytes:
    """All that is kept at `path`: the bytes of the files, or of every value in every table."""
    if path not in _stand_ins:
        return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))
    values = (value for table in tables(path) for row in rows(path, f"SELECT * FROM {table}") for value in row)
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def copy_stand_in(source: Path, target: Path) -> None:
    """What stands for a file is copied when the file's directory is."""
    if source in _stand_ins:
        _stand_ins[target] = postgres.shared().create(_stand_ins[source])


def _stand_in(path: Path) -> str:
    server = postgres.shared()
    if path not in _stand_ins:
        while len(_stand_ins) >= MOST_KEPT:
            server.drop(_stand_ins.pop(next(iter(_stand_ins))))
        _stand_ins[path] = server.create_with_tables()
    return server.url(_stand_ins[path])


class AnyLoop(PostgresDatabase):
    """Opens itself on the event loop that uses it: many tests begin a new one for each of their steps."""

    _loop: asyncio.AbstractEventLoop | None = None
    _opening: "asyncio.Task[None]"

    async def _here(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._pool = loop, None  # what the last loop left goes with it
            self._opening = loop.create_task(self.open())
        if not self._opening.done():
            await self._opening

    async def one(self, statement: Statement, **values: Any) -> Any | None:
        await self._here()
        return await super().one(statement, **values)

    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]:
        await self._here()
        return await super().all(statement, **values)

    async def snapshot(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        await self._here()
        return await super().snapshot(work)

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        await self._here()
        return await super().transact(work)

    async def close(self) -> None:
        if self._loop is asyncio.get_running_loop():
            self._loop = None
            await super().close()


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
