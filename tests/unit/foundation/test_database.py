"""Transactions: whole or not at all, one after another, and on disk when it was said so."""

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.database import Duplicate, Migration, NewerState, Schema, SqliteDatabase, Transaction, sql
from pileus.foundation.runtime import Crashed, Runtime
from tests.conftest import Run

THINGS = Schema("things", (Migration(1, "first", ("CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT NOT NULL)",)),))
INSERT = sql("INSERT INTO things (id, n) VALUES (:id, :n)")
ADD = sql("UPDATE things SET n = n + :n WHERE id = :id")
GET = sql("SELECT id, n FROM things WHERE id = :id")
AMONG = sql("SELECT id FROM things WHERE id IN :ids* AND n >= :least ORDER BY id")


async def put(database: SqliteDatabase, id: str, n: int = 0) -> None:
    async def work(tx: Transaction) -> None:
        await tx.run(INSERT, id=id, n=n)

    await database.transact(work)


def test_a_statement_is_written_once_for_both_databases() -> None:
    assert AMONG.sqlite == "SELECT id FROM things WHERE id IN (SELECT value FROM json_each(?)) AND n >= ? ORDER BY id"
    assert AMONG.postgres == "SELECT id FROM things WHERE id = ANY ($1) AND n >= $2 ORDER BY id"
    assert sql("SELECT 1 FROM t WHERE n NOT IN :n*").postgres == "SELECT 1 FROM t WHERE n <> ALL ($1)"
    twice = sql("SELECT :a, :b, :a, '12:30', x::text FROM t")
    assert twice.postgres == "SELECT $1, $2, $1, '12:30', x::text FROM t"
    assert twice.names == ("a", "b", "a")


def test_a_list_of_any_length_is_one_parameter(run: Run, database: SqliteDatabase) -> None:
    async def scenario() -> list[str]:
        await database.migrate(THINGS)
        for name in ("a", "b", "c"):
            await put(database, name, 5)
        assert await database.all(AMONG, ids=[], least=0) == []
        return [row["id"] for row in await database.all(AMONG, ids=["c", "a", "zz"], least=5)]

    assert run(scenario) == ["a", "c"]


def test_a_failing_transaction_leaves_nothing(run: Run, database: SqliteDatabase) -> None:
    async def scenario() -> None:
        await database.migrate(THINGS)

        async def work(tx: Transaction) -> None:
            await tx.run(INSERT, id="a", n=1)
            raise LookupError("no")

        with pytest.raises(LookupError):
            await database.transact(work)
        assert await database.one(GET, id="a") is None
        await put(database, "a")
        with pytest.raises(Duplicate):
            await put(database, "a")

    run(scenario)


def test_concurrent_transactions_never_interleave(run: Run, database: SqliteDatabase) -> None:
    async def scenario() -> int:
        await database.migrate(THINGS)
        await put(database, "a", 0)

        async def read_then_write() -> None:
            async def work(tx: Transaction) -> None:
                row = await tx.one(GET, id="a")
                assert row is not None
                await tx.run(ADD, id="a", n=1 if row["n"] < 50 else 0)

            await database.transact(work)

        await asyncio.gather(*(read_then_write() for _ in range(80)))
        row: Any = await database.one(GET, id="a")
        return int(row["n"])

    assert run(scenario) == 50


def test_many_who_wait_share_one_sync(run: Run, tmp_path: Path) -> None:
    synced: list[int] = []

    class Counting(Runtime):
        async def in_thread(self, work: Any, *args: Any, pool: str = "work") -> Any:
            if pool == "sync":
                synced.append(1)
            return await super().in_thread(work, *args, pool=pool)

    async def scenario() -> None:
        runtime = Counting("sync")
        database = SqliteDatabase(tmp_path / "a.db", runtime)
        await database.migrate(THINGS)

        async def promise(number: int) -> None:
            await put(database, str(number))
            await database.durable()

        await asyncio.gather(*(promise(number) for number in range(100)))
        await database.durable()
        assert len(synced) <= 3
        await database.close()
        await runtime.stop()

    run(scenario)


def test_what_was_promised_survives_a_cut_of_everything_after_the_last_sync(run: Run, tmp_path: Path) -> None:
    """A power cut: the WAL ends anywhere after its last sync, and what was promised before is there."""
    source, lengths = tmp_path / "live", []

    async def scenario() -> None:
        source.mkdir()
        runtime = Runtime("cut")
        database = SqliteDatabase(source / "p.db", runtime)
        await database.migrate(THINGS)
        for number in range(20):
            await put(database, f"promised-{number}")
        await database.durable()
        lengths.append((source / "p.db-wal").stat().st_size)
        for number in range(20):
            await put(database, f"unpromised-{number}")
        lengths.append((source / "p.db-wal").stat().st_size)
        for cut in range(lengths[0], lengths[1], max(1, (lengths[1] - lengths[0]) // 25)):
            copy = tmp_path / f"cut-{cut}"
            shutil.copytree(source, copy)
            (copy / "p.db-shm").unlink()
            os.truncate(copy / "p.db-wal", cut)
            found = {row[0] for row in sqlite3.connect(copy / "p.db").execute("SELECT id FROM things")}
            assert {f"promised-{number}" for number in range(20)} <= found
        await database.close()
        await runtime.stop()

    run(scenario)


def test_a_checkpoint_makes_the_file_whole_while_writes_go_on(run: Run, database: SqliteDatabase) -> None:
    async def scenario() -> None:
        await database.migrate(THINGS)
        for number in range(200):
            await put(database, str(number))
        await asyncio.gather(database.checkpoint(), put(database, "meanwhile"))
        assert await database.one(GET, id="meanwhile") is not None

    run(scenario)


def test_tables_of_a_later_version_are_refused_with_a_mend(run: Run, database: SqliteDatabase) -> None:
    later = Schema("things", (*THINGS.migrations, Migration(2, "second", ("CREATE TABLE things_more (id TEXT)",))))

    async def scenario() -> None:
        await database.migrate(THINGS)
        await database.migrate(THINGS)
        await database.migrate(later)
        with pytest.raises(NewerState, match="start the newer pileus"):
            await database.migrate(THINGS)

    run(scenario)


def test_a_dead_process_commits_nothing(run: Run, database: SqliteDatabase, runtime: Runtime) -> None:
    async def scenario() -> None:
        await database.migrate(THINGS)

        async def work(tx: Transaction) -> None:
            await tx.run(INSERT, id="a", n=1)
            runtime.crash()

        with pytest.raises(Crashed):
            await database.transact(work)
        with pytest.raises(Crashed):
            await database.one(GET, id="a")

    run(scenario)
    assert sqlite3.connect(database.path).execute("SELECT * FROM things").fetchall() == []
