"""Rows and transactions: one seam over SQLite (embedded) and PostgreSQL (scaled out).

Statements are plain SQL text in the common subset of both, written once, compiled at import by `sql()`. It refuses to
be an ORM: rows go out by name, the wing's `store/` turns them into domain values.
"""

import asyncio
import os
import re
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from pileus.foundation.errors import Conflict, Unavailable
from pileus.foundation.runtime import Runtime

T = TypeVar("T")
Row = Mapping[str, Any] | sqlite3.Row

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)(\*?)")


class Duplicate(Conflict):
    """A unique key is taken."""

    code, message = "duplicate", "It exists already."


class DatabaseFull(Unavailable):
    """The disk under the database is full: nothing was written."""

    code = "database.full"
    message = "The cloud's database cannot grow: the disk is full. Free space in the state directory and retry."


class DatabaseDamaged(Unavailable):
    """The file under the database is no database any more."""

    code = "database.damaged"
    message = "The cloud's database {path} cannot be read: {reason}. Restore a backup of the state directory."


@dataclass(frozen=True)
class Statement:
    """One SQL statement for both databases."""

    names: tuple[str, ...]  # parameter names in order of appearance
    lists: frozenset[str]  # those written `:name*`
    sqlite: str
    postgres: str

    def sqlite_args(self, values: Mapping[str, Any]) -> list[Any]:
        if not self.lists:
            return [values[name] for name in self.names]
        return [
            msgspec.json.encode(values[name]).decode() if name in self.lists else values[name] for name in self.names
        ]


def sql(text: str) -> Statement:
    """Compile a statement: `:name` is a parameter, `x IN :names*` a list of any length.

    Booleans are INTEGER 0/1, times BIGINT microseconds, documents TEXT (JSON), bytes BLOB.
    """
    names: list[str] = []
    lists: set[str] = set()

    def sqlite_form(match: re.Match[str]) -> str:
        names.append(match[1])
        if match[2]:
            lists.add(match[1])
            return "(SELECT value FROM json_each(?))"
        return "?"

    sqlite_text = _PARAMETER.sub(sqlite_form, text)
    order: dict[str, int] = {}

    def postgres_form(match: re.Match[str]) -> str:
        number = order.setdefault(match[1], len(order) + 1)
        return f"(SELECT unnest(${number}))" if match[2] else f"${number}"

    return Statement(tuple(names), frozenset(lists), sqlite_text, _PARAMETER.sub(postgres_form, text))


@dataclass(frozen=True)
class Migration:
    """One step of a service's schema: DDL in the common subset (TEXT, INTEGER, BIGINT, BLOB)."""

    number: int
    name: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """All migrations of one service, in order. Table names begin with the service's name."""

    service: str
    migrations: tuple[Migration, ...]

    @property
    def version(self) -> int:
        return self.migrations[-1].number


class Transaction(Protocol):
    """Work that becomes visible whole or not at all. A body awaits nothing but this object."""

    async def one(self, statement: Statement, **values: Any) -> Any | None: ...
    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]: ...
    async def run(self, statement: Statement, **values: Any) -> int:
        """Execute and return the number of rows touched."""
        ...

    async def lock(self, *key: str) -> None:
        """Hold the advisory lock `key` until the transaction ends: quota counts, server groups."""
        ...


class Database(Protocol):
    async def one(self, statement: Statement, **values: Any) -> Any | None: ...
    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]: ...
    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction; it may be run again after a deadlock, so it has no effect but its SQL."""
        ...

    async def durable(self) -> None:
        """Return when everything committed so far survives a power cut."""
        ...

    async def migrate(self, schema: Schema) -> None: ...
    async def close(self) -> None: ...


_STAMPS = "CREATE TABLE IF NOT EXISTS pileus_schema (service TEXT PRIMARY KEY, version INTEGER NOT NULL)"
_READ_STAMP = sql("SELECT version FROM pileus_schema WHERE service = :service")
_WRITE_STAMP = sql(
    "INSERT INTO pileus_schema (service, version) VALUES (:service, :version) "
    "ON CONFLICT (service) DO UPDATE SET version = excluded.version"
)


class NewerState(Unavailable):
    """The state directory was written by a later version."""

    code = "database.newer"
    message = (
        "The {service} tables are at version {found}, this program knows {known}: "
        "start the newer pileus, or restore a backup made by this one."
    )


class _SqliteTransaction:
    __slots__ = ("_connection", "_runtime")

    def __init__(self, connection: sqlite3.Connection, runtime: Runtime):
        self._connection = connection
        self._runtime = runtime

    async def one(self, statement: Statement, **values: Any) -> Any | None:
        return self._connection.execute(statement.sqlite, statement.sqlite_args(values)).fetchone()

    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]:
        return self._connection.execute(statement.sqlite, statement.sqlite_args(values)).fetchall()

    async def run(self, statement: Statement, **values: Any) -> int:
        return self._connection.execute(statement.sqlite, statement.sqlite_args(values)).rowcount

    async def lock(self, *key: str) -> None:
        """Nothing to do: a SQLite writer holds the whole database."""


class SqliteDatabase:
    """All services' tables in one file (WAL). Writes on the loop, one at a time; one shared sync for who must wait."""

    CHECKPOINT_FRAMES = 2048  # pages in the WAL that call for a checkpoint
    WAL_BYTES = 12 << 20  # written ahead: a WAL that need not grow is synced without the file system's own journal

    def __init__(self, path: Path, runtime: Runtime):
        self.path = path
        self._runtime = runtime
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # the WAL gets the same mode; there are secrets in it
        self._writer = _connect(path)
        self._reader = _connect(path)
        self._reader.execute("PRAGMA query_only = 1")
        self._lock = asyncio.Lock()
        self._commits = 0
        self._synced = 0
        self._syncing: asyncio.Task[None] | None = None
        self._wal = -1
        self._index = -1
        self._checkpointing = False

    async def one(self, statement: Statement, **values: Any) -> Any | None:
        self._runtime.check()
        return self._reader.execute(statement.sqlite, statement.sqlite_args(values)).fetchone()

    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]:
        self._runtime.check()
        return self._reader.execute(statement.sqlite, statement.sqlite_args(values)).fetchall()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._lock:
            self._runtime.check()
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = await work(_SqliteTransaction(connection, self._runtime))
                self._runtime.check()
                self._runtime.reached("commit.before")
                connection.execute("COMMIT")
            except sqlite3.IntegrityError as error:
                connection.rollback()
                if "UNIQUE" in str(error) or "PRIMARY KEY" in str(error):
                    raise Duplicate(log=str(error)) from error
                raise
            except sqlite3.OperationalError as error:
                connection.rollback()
                if "full" in str(error) or "disk I/O" in str(error):
                    raise DatabaseFull(log=str(error)) from error
                raise
            except BaseException:
                connection.rollback()
                raise
        self._commits += 1
        self._runtime.check()
        self._runtime.reached("commit.after")
        return result

    async def durable(self) -> None:
        target = self._commits
        while self._synced < target:
            if self._syncing is None or self._syncing.done():  # done: cancelled before it began
                self._syncing = self._runtime.spawn(self._sync(), "database-sync")
            await asyncio.shield(self._syncing)

    async def _sync(self) -> None:
        covers = self._commits
        try:
            try:
                if self._wal < 0:
                    self._open_wal()
                await self._runtime.in_thread(os.fdatasync, self._wal, pool="sync")
            except OSError as error:
                raise DatabaseFull(log=str(error)) from error
            self._synced = covers
            if not self._checkpointing and self._frames() > self.CHECKPOINT_FRAMES:
                self._checkpointing = True
                self._runtime.spawn(self.checkpoint(), "database-checkpoint")
        finally:
            self._syncing = None

    def _open_wal(self) -> None:
        """Open the WAL for syncing, and write it ahead: zeros are no frames, so SQLite takes them for its end."""
        self._wal = os.open(f"{self.path}-wal", os.O_RDWR)
        self._index = os.open(f"{self.path}-shm", os.O_RDONLY)
        size = os.fstat(self._wal).st_size
        if size < self.WAL_BYTES:
            os.pwrite(self._wal, bytes(self.WAL_BYTES - size), size)

    def _frames(self) -> int:
        """Pages in the WAL now: mxFrame of the WAL-index header. Source: SQLite, "WAL-mode File Format"."""
        return int.from_bytes(os.pread(self._index, 4, 16), sys.byteorder)

    async def checkpoint(self) -> None:
        """Move the WAL's pages into the database file, in a thread and on a connection of its own."""

        def work() -> None:
            connection = _connect(self.path)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                connection.close()

        self._checkpointing = True
        try:
            await self._runtime.in_thread(work, pool="checkpoint")
        finally:
            self._checkpointing = False

    async def migrate(self, schema: Schema) -> None:
        async def work(tx: Transaction) -> None:
            self._writer.execute(_STAMPS)
            row = await tx.one(_READ_STAMP, service=schema.service)
            found = row["version"] if row else 0
            if found > schema.version:
                raise NewerState(service=schema.service, found=found, known=schema.version)
            for migration in schema.migrations:
                if migration.number > found:
                    for text in migration.statements:
                        self._writer.execute(text)
            if found != schema.version:
                await tx.run(_WRITE_STAMP, service=schema.service, version=schema.version)

        await self.transact(work)

    async def backup(self, target: Path) -> None:
        """Copy the whole database, as of one moment, into `target` while it is in use."""

        def work() -> None:
            source = _connect(self.path)
            copy = sqlite3.connect(target)
            try:
                source.backup(copy)
            finally:
                copy.close()
                source.close()

        await self._runtime.in_thread(work, pool="checkpoint")

    async def close(self) -> None:
        await self.durable()
        self._reader.close()
        self._writer.close()
        if self._wal >= 0:
            os.close(self._wal)
            os.close(self._index)
            self._wal = -1


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseDamaged(path=path, reason=str(error)) from error
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA busy_timeout = 10000")
    return connection


def copy_database(path: Path, target: Path) -> None:
    """Copy a SQLite database, also one in use, as of one moment. Raises: Unavailable."""
    source, copy = sqlite3.connect(path), sqlite3.connect(target)
    try:
        source.backup(copy)
    except sqlite3.Error as error:
        raise Unavailable(f"The database could not be copied to {target}: {error}. Free space there.") from error
    finally:
        copy.close()
        source.close()


def upgrade_database(path: Path, schemas: Sequence[Schema]) -> None:
    """Bring a database that nobody uses to these schemas' versions. Raises: NewerState."""

    async def upgrade() -> None:
        runtime = Runtime("upgrade")
        database = SqliteDatabase(path, runtime)
        try:
            for schema in schemas:
                await database.migrate(schema)
        finally:
            await database.close()
            await runtime.stop()

    asyncio.run(upgrade())
