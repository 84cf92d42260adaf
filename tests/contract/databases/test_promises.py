"""What both databases promise to every store."""

import asyncio
from typing import Any

import pytest

from pileus.foundation.database import (
    BrokenReference,
    Database,
    Duplicate,
    Migration,
    NewerState,
    Schema,
    Transaction,
    sql,
)
from pileus.foundation.runtime import Crashed
from tests.contract.databases.conftest import Play
from tests.databases import Bench, Gate

THINGS = Schema(
    "things",
    (
        Migration(
            1,
            "first",
            (
                "CREATE TABLE things (id TEXT PRIMARY KEY, n INTEGER, name TEXT, raw BLOB)",
                "CREATE UNIQUE INDEX things_name ON things (name)",
                "CREATE TABLE things_parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id))",
            ),
        ),
    ),
)
PUT = sql("INSERT INTO things (id, n, name, raw) VALUES (:id, :n, :name, :raw)")
ADD = sql("UPDATE things SET n = n + :n WHERE id = :id")
GET = sql("SELECT id, n, name, raw FROM things WHERE id = :id")
NAMES = sql("SELECT name FROM things ORDER BY name")
AMONG = sql("SELECT id FROM things WHERE id IN :ids* ORDER BY id")
NUMBERED = sql("SELECT id FROM things WHERE n IN :ns* AND id NOT IN :not_ids* ORDER BY id")
SUM = sql("SELECT COALESCE(SUM(n), 0) AS total, COUNT(*) AS number FROM things")
PART = sql("INSERT INTO things_parts (id, thing) VALUES (:id, :thing)")
REMOVE = sql("DELETE FROM things WHERE id = :id")


async def put(
    database: Database, id: str, n: int | None = 0, name: str | None = None, raw: bytes | None = None
) -> None:
    async def work(tx: Transaction) -> int:
        return await tx.run(PUT, id=id, n=n, name=name, raw=raw)

    assert await database.transact(work) == 1


def test_a_row_is_read_by_name_and_by_place(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        await put(database, "a", (1 << 62) + 1, "näme", bytes(range(256)))
        row: Any = await database.one(GET, id="a")
        assert (row["id"], row["n"], row["name"], row["raw"]) == ("a", (1 << 62) + 1, "näme", bytes(range(256)))
        assert row[0] == "a" and list(row) == [row[0], row[1], row[2], row[3]] and len(row) == 4
        assert dict(row)["n"] == row[1] and list(row.keys()) == ["id", "n", "name", "raw"]
        await put(database, "b", None)
        nothing: Any = await database.one(GET, id="b")
        assert (nothing["n"], nothing["name"], nothing["raw"]) == (None, None, None)
        assert await database.one(GET, id="c") is None

    play(scenario, bench)


def test_truth_is_one_and_sums_are_whole_numbers(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        assert tuple(await database.one(SUM)) == (0, 0)  # type: ignore[arg-type]
        await put(database, "a", True)
        await put(database, "b", 1 << 40)
        row: Any = await database.one(SUM)
        assert row["total"] == 1 + (1 << 40) and type(row["total"]) is int

    play(scenario, bench)


def test_text_is_ordered_by_its_bytes(play: Play, bench: Bench) -> None:
    names = ["Z", "a", "_", "B", "ä", "aa", "a b", "a-b", "É", "", "日本", "𝄞", "ab"]

    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        for number, name in enumerate(names):
            await put(database, str(number), 0, name)
        found = [row["name"] for row in await database.all(NAMES)]
        assert found == sorted(names, key=str.encode)

    play(scenario, bench)


def test_a_list_of_any_length_is_one_parameter(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        for number, name in enumerate(("a", "b", "c")):
            await put(database, name, number)
        assert await database.all(AMONG, ids=[]) == []
        assert [row["id"] for row in await database.all(AMONG, ids=["c", "a", "zz"] * 500)] == ["a", "c"]
        assert [row[0] for row in await database.all(NUMBERED, ns=(0, 2), not_ids=["c"])] == ["a"]
        assert [row[0] for row in await database.all(NUMBERED, ns=(0, 2), not_ids=[])] == ["a", "c"]

    play(scenario, bench)


def test_a_failing_transaction_leaves_nothing(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)

        async def work(tx: Transaction) -> None:
            await tx.run(PUT, id="a", n=1, name=None, raw=None)
            assert await tx.one(GET, id="a") is not None
            raise LookupError("no")

        with pytest.raises(LookupError):
            await database.transact(work)
        assert await database.one(GET, id="a") is None

    play(scenario, bench)


def test_a_taken_key_is_a_duplicate_and_a_missing_parent_a_broken_reference(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        await put(database, "a", name="one")
        with pytest.raises(Duplicate):
            await put(database, "a")
        with pytest.raises(Duplicate):
            await put(database, "b", name="one")

        async def orphan(tx: Transaction) -> None:
            await tx.run(PART, id="p", thing="nobody")

        with pytest.raises(BrokenReference):
            await database.transact(orphan)

        async def child(tx: Transaction) -> None:
            await tx.run(PART, id="p", thing="a")

        async def remove(tx: Transaction) -> None:
            await tx.run(REMOVE, id="a")

        await database.transact(child)
        with pytest.raises(BrokenReference):
            await database.transact(remove)

    play(scenario, bench)


def test_concurrent_additions_are_all_there(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> int:
        processes = [await bench.process(THINGS), await bench.process(THINGS)]
        await put(processes[0], "a", 0)

        async def work(tx: Transaction) -> None:
            await tx.run(ADD, id="a", n=1)

        await asyncio.gather(*(processes[number % 2].transact(work) for number in range(60)))
        return int((await processes[1].one(GET, id="a"))["n"])  # type: ignore[index]

    assert play(scenario, bench) == 60


def test_who_holds_a_lock_is_alone_until_the_transaction_ends(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        processes = [await bench.process(THINGS), await bench.process(THINGS)]
        await put(processes[0], "a", 0)

        async def read_then_write(tx: Transaction) -> None:
            await tx.lock("things", "a")
            row: Any = await tx.one(GET, id="a")
            await asyncio.sleep(0)
            await tx.run(ADD, id="a", n=1 if row["n"] < 20 else 0)

        await asyncio.gather(*(processes[number % 2].transact(read_then_write) for number in range(40)))
        row: Any = await processes[0].one(GET, id="a")
        assert row["n"] == 20

    play(scenario, bench)


def test_locks_of_different_keys_do_not_meet(play: Play, postgres_bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        gate = Gate()

        async def hold(key: str) -> bool:
            async def work(tx: Transaction) -> bool:
                await tx.lock("things", key)
                return await gate.pass_(10)

            return await database.transact(work)

        assert await asyncio.gather(hold("a"), hold("b")) == [True, True]

    play(scenario, postgres_bench)


def test_a_reader_never_waits_for_a_writer_and_sees_only_what_is_committed(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        await put(database, "a", 1)

        async def work(tx: Transaction) -> None:
            await tx.run(ADD, id="a", n=1)
            row: Any = await database.one(GET, id="a")
            assert row["n"] == 1

        await database.transact(work)

    play(scenario, bench)


def test_what_is_read_together_is_of_one_moment(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        await put(database, "a", 1)
        await put(database, "b", 1)

        async def swap(tx: Transaction) -> None:
            await tx.run(ADD, id="a", n=1)
            await tx.run(ADD, id="b", n=-1)

        async def both(tx: Transaction) -> int:
            first: Any = await tx.one(GET, id="a")
            if bench.server is not None:  # on SQLite nothing comes between two reads of one process
                await database.transact(swap)
            second: Any = await tx.one(GET, id="b")
            return int(first["n"] + second["n"])

        assert await database.snapshot(both) == 2
        with pytest.raises(Exception, match="read-only|readonly"):
            await database.snapshot(swap)

    play(scenario, bench)


def test_tables_are_made_once_whoever_starts_when(play: Play, bench: Bench) -> None:
    later = Schema("things", (*THINGS.migrations, Migration(2, "second", ("CREATE TABLE things_more (id TEXT)",))))

    async def scenario(bench: Bench) -> None:
        processes = [await bench.process() for _ in range(4)]
        await asyncio.gather(*(process.migrate(THINGS) for process in processes))
        await asyncio.gather(*(process.migrate(later) for process in processes))
        await put(processes[-1], "a")
        with pytest.raises(NewerState, match="start the newer pileus"):
            await processes[0].migrate(THINGS)

    play(scenario, bench)


def test_a_migration_that_fails_leaves_nothing(play: Play, bench: Bench) -> None:
    broken = Schema("things", (Migration(1, "first", (*THINGS.migrations[0].statements, "CREATE TABLE")),))

    async def scenario(bench: Bench) -> None:
        database = await bench.process()
        with pytest.raises(Exception, match="syntax|incomplete"):
            await database.migrate(broken)
        await database.migrate(THINGS)

    play(scenario, bench)


def test_a_dead_process_commits_nothing(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        runtime = bench.runtimes[0]

        async def work(tx: Transaction) -> None:
            await tx.run(PUT, id="a", n=1, name=None, raw=None)
            runtime.crash()

        with pytest.raises(Crashed):
            await database.transact(work)
        with pytest.raises(Crashed):
            await database.one(GET, id="a")
        if bench.server is not None:
            other = await bench.process()
            assert await other.one(GET, id="a") is None

    play(scenario, bench)


def test_a_statement_that_fails_ends_the_transaction_though_its_error_is_caught(
    play: Play, postgres_bench: Bench
) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        await put(database, "a")

        async def work(tx: Transaction) -> None:
            await tx.run(PUT, id="b", n=1, name=None, raw=None)
            try:
                await tx.run(PUT, id="a", n=1, name=None, raw=None)
            except Exception as error:
                assert "duplicate" in str(error)

        with pytest.raises(Exception, match="nothing was committed"):
            await database.transact(work)
        assert await database.one(GET, id="b") is None

    play(scenario, postgres_bench)
