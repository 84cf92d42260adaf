"""SQLite: all services' tables in one file, on the event loop, with one shared sync for all who must wait."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pileus.foundation.database.seam import (
    BrokenReference,
    DatabaseDamaged,
    DatabaseFull,
    Duplicate,
    Schema,
    Statement,
    Transaction,
    migrate_in,
)
from pileus.foundation.errors import Unavailable
from pileus.foundation.runtime import Runtime

T = TypeVar("T")


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

    def __init__(self, path: Path, runtime: Runtime, *, is_shared: bool = False):
        """`is_shared`: other processes use the file too, and what they append must not be written over."""
        self.path = path
        self._is_shared = is_shared
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

    async def open(self) -> None:
        """Nothing to do: the file is open."""

    async def one(self, statement: Statement, **values: Any) -> Any | None:
        self._runtime.check()
        return self._reader.execute(statement.sqlite, statement.sqlite_args(values)).fetchone()

    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]:
        self._runtime.check()
        return self._reader.execute(statement.sqlite, statement.sqlite_args(values)).fetchall()

    async def snapshot(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        self._runtime.check()
        self._reader.execute("BEGIN")
        try:
            return await work(_SqliteTransaction(self._reader, self._runtime))
        finally:
            self._reader.execute("COMMIT")

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
                if "FOREIGN KEY" in str(error):
                    raise BrokenReference(log=str(error)) from error
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

    def watch(self, listen: Callable[[bool], None]) -> None:
        """A file in this process is never away."""

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
        if size < self.WAL_BYTES and not self._is_shared:
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

    async def migrate(self, schema: Schema, *, only_check: bool = False) -> None:
        async def define(text: str) -> None:
            self._writer.execute(text)

        await self.transact(lambda tx: migrate_in(tx, schema, define, only_check=only_check))

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
        self.abandon()

    def abandon(self) -> None:
        """Close the files as the kernel does when a process dies."""
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
