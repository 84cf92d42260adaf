"""What only a database of many processes goes through: connections that break, servers that restart, bad addresses."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.database import Database, DatabaseFull, Duplicate, Transaction, open_database, postgres
from pileus.foundation.database.opening import UnknownDatabase
from pileus.foundation.database.postgres import PostgresDatabase
from pileus.foundation.database.postgres_failures import (
    DatabaseBusy,
    DatabaseUnreachable,
    LoginRefused,
    NoSuchDatabase,
    OutcomeUnknown,
    TextRefused,
    UnsafeDatabase,
    Untrusted,
    WeakTls,
)
from pileus.foundation.errors import ConcurrentChange, Error, Unavailable
from pileus.foundation.runtime import Runtime
from tests.contract.databases.conftest import Play
from tests.contract.databases.test_promises import ADD, GET, PUT, THINGS, put
from tests.databases import Bench
from tests.postgres import Server


@pytest.fixture
def bench(postgres_bench: Bench) -> Bench:
    return postgres_bench


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may stop, and start otherwise."""
    pytest.importorskip("asyncpg")
    from tests.postgres import binaries

    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: run tools/setup --tests")
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def kill_sessions(bench: Bench) -> int:
    """End every session of the bench's database, as an administrator does."""
    assert bench.server is not None
    found = bench.server.query(
        "postgres",
        ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", (bench.name,)),
    )
    return len(found)


async def number_of(database: Database, id: str) -> int | None:
    row = await database.one(GET, id=id)
    return None if row is None else row["n"]


# -- connections that break ---------------------------------------------------------------------------------------
def test_reads_and_transactions_outlive_killed_sessions(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        await put(database, "a", 1)
        assert kill_sessions(bench) >= 1
        assert await number_of(database, "a") == 1
        kill_sessions(bench)
        await put(database, "b", 2)
        assert await number_of(database, "b") == 2

    play(scenario, bench)


def test_a_transaction_that_loses_its_connection_is_done_again_from_the_start(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        await put(database, "a", 1)
        runs = 0

        async def work(tx: Transaction) -> None:
            nonlocal runs
            runs += 1
            await tx.run(ADD, id="a", n=10)
            if runs == 1:
                kill_sessions(bench)
            await tx.run(ADD, id="a", n=100)

        await database.transact(work)
        assert (runs, await number_of(database, "a")) == (2, 111)

    play(scenario, bench)


class Striking(Runtime):
    """Something happens when a transaction is about to commit."""

    strike: Callable[[], Any] = staticmethod(lambda: None)

    def reached(self, point: str, *facts: str) -> None:
        if point == "commit.before":
            self.strike()


def test_a_session_killed_before_the_commit_was_sent_commits_once(play: Play, bench: Bench) -> None:
    """The commit is sent into a dead connection: nobody can tell that from one that died after it committed."""

    async def scenario(bench: Bench) -> None:
        runtime = Striking("struck")
        database = await bench.process(THINGS, runtime=runtime)
        await put(database, "a", 1)
        strikes = [lambda: kill_sessions(bench)]
        runtime.strike = lambda: strikes.pop()() if strikes else None
        runs = 0

        async def work(tx: Transaction) -> None:
            nonlocal runs
            runs += 1
            await tx.run(ADD, id="a", n=1)

        with pytest.raises(OutcomeUnknown, match="look whether it was done"):
            await database.transact(work)
        assert (runs, await number_of(database, "a")) == (1, 1)

    play(scenario, bench)


def test_a_lost_answer_to_a_commit_is_told_and_never_repeated(play: Play, bench: Bench) -> None:
    """The server commits; its answer never arrives."""

    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        assert isinstance(database, PostgresDatabase)
        await put(database, "a", 1)
        deaf = await Deaf.before(bench)
        other = PostgresDatabase(deaf.url, bench.runtimes[0])
        await other.open()

        async def work(tx: Transaction) -> None:
            await tx.run(ADD, id="a", n=1)
            deaf.hears_no_more_answers()

        try:
            with pytest.raises(OutcomeUnknown):
                await other.transact(work)
            assert await number_of(database, "a") == 2
        finally:
            other.abandon()
            deaf.close()

    play(scenario, bench)


class Deaf:
    """A relay in front of the server that can lose the answer to the next message, and the connection with it."""

    url: str

    @classmethod
    async def before(cls, bench: Bench) -> "Deaf":
        relay = cls()
        relay._is_deaf = False
        relay._port = bench.server.port  # type: ignore[union-attr]
        relay._tasks = set()
        relay._server = await asyncio.start_server(relay._relay, "127.0.0.1", 0)
        port = relay._server.sockets[0].getsockname()[1]
        relay.url = f"postgresql://pileus@127.0.0.1:{port}/{bench.name}?sslmode=disable"
        return relay

    def hears_no_more_answers(self) -> None:
        self._is_deaf = True

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)

        async def onwards() -> None:
            while data := await reader.read(65536):
                back.write(data)
            back.close()

        task = asyncio.ensure_future(onwards())
        self._tasks.add(task)
        while data := await there.read(65536):
            if self._is_deaf:
                break
            writer.write(data)
        writer.close()
        task.cancel()
        back.close()

    def close(self) -> None:
        self._server.close()


# -- servers that restart -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["in order", "by a crash"])
def test_a_restart_in_the_midst_of_work_loses_nothing_and_doubles_nothing(
    own_server: Server, play: Play, tmp_path: Path, how: signal.Signals
) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        promised: set[str] = set()
        unknown: set[str] = set()

        async def keep_writing(writer: int) -> None:
            for number in range(40):
                name = f"{writer}-{number}"
                try:
                    await put(database, name)
                    promised.add(name)
                except OutcomeUnknown:
                    unknown.add(name)
                except Unavailable as refused:
                    assert refused.code in ("database.unreachable", "database.lost"), refused

        async def restart() -> None:
            while len(promised) < 10:
                await asyncio.sleep(0)
            await asyncio.to_thread(own_server.stop, how)
            await asyncio.to_thread(own_server.start)

        await asyncio.gather(restart(), *(keep_writing(writer) for writer in range(4)))
        await put(database, "afterwards")
        rows = own_server.query(bench.name, ("SELECT id FROM things", ()))
        found = {row["id"] for row in rows}
        assert promised <= found <= promised | unknown | {"afterwards"}

    play(scenario, Bench(tmp_path, own_server))


def test_a_server_that_is_down_is_told_with_a_mend_and_found_again(
    own_server: Server, play: Play, tmp_path: Path
) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        states: list[bool] = []
        database.watch(states.append)
        await put(database, "b")
        own_server.stop()
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"does not answer .*See that PostgreSQL runs|connection .* broke"):
                await put(database, "a")
            assert states == [False]
        with pytest.raises(DatabaseUnreachable, match="See that PostgreSQL runs"):
            await open_database(bench.url, bench.runtimes[0]).open()
        own_server.start()
        await put(database, "a", 7)
        assert await number_of(database, "a") == 7
        assert states == [False, True]

    play(scenario, Bench(tmp_path, own_server))


def test_an_outage_in_which_nobody_asked_anything_is_noticed_while_it_lasts(
    own_server: Server, play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOOK_S", 0.1)

    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        states: asyncio.Queue[bool] = asyncio.Queue()
        database.watch(states.put_nowait)
        for action, is_there in ((own_server.stop, False), (own_server.start, True)):
            await asyncio.to_thread(action)
            assert await asyncio.wait_for(states.get(), 60) is is_there
        assert states.empty()

    play(scenario, Bench(tmp_path, own_server))


# -- races that the database or we end ------------------------------------------------------------------------------
def test_a_deadlock_is_undone_and_done_again(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        processes = [await bench.process(THINGS), await bench.process()]
        for name in ("a", "b"):
            await put(processes[0], name, 0)
        both = asyncio.Barrier(2)
        runs = 0

        async def cross(database: Database, first: str, second: str) -> None:
            waits = True

            async def work(tx: Transaction) -> None:
                nonlocal runs, waits
                runs += 1
                await tx.run(ADD, id=first, n=1)
                if waits:
                    waits = False
                    await both.wait()
                await tx.run(ADD, id=second, n=1)

            await database.transact(work)

        await asyncio.gather(cross(processes[0], "a", "b"), cross(processes[1], "b", "a"))
        assert runs == 3
        assert [await number_of(processes[0], name) for name in ("a", "b")] == [2, 2]

    play(scenario, bench)


def test_everybody_who_lost_a_compare_and_set_wins_one_day(play: Play, bench: Bench) -> None:
    from pileus.foundation.database import sql

    guarded = sql("UPDATE things SET n = :new WHERE id = :id AND n = :old")

    async def scenario(bench: Bench) -> None:
        processes = [await bench.process(THINGS), await bench.process()]
        await put(processes[0], "a", 0)

        async def work(tx: Transaction) -> None:
            row: Any = await tx.one(GET, id="a")
            await asyncio.sleep(0)
            if not await tx.run(guarded, id="a", new=row["n"] + 1, old=row["n"]):
                raise ConcurrentChange()

        await asyncio.gather(*(processes[number % 2].transact(work) for number in range(40)))
        assert await number_of(processes[0], "a") == 40

    play(scenario, bench)


def test_a_race_that_never_ends_is_given_up(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> int:
        database = await bench.process(THINGS)
        runs = 0

        async def work(tx: Transaction) -> None:
            nonlocal runs
            runs += 1
            raise ConcurrentChange()

        with pytest.raises(ConcurrentChange):
            await database.transact(work)
        return runs

    assert 1 < play(scenario, bench) < 20


def test_nothing_of_a_session_outlives_a_transaction(play: Play, bench: Bench) -> None:
    """So connections go back to the pool as they are."""

    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS, options="&pool=1")

        async def work(tx: Transaction) -> None:
            await tx.lock("things", "a")
            await tx.run(PUT, id="a", n=1, name=None, raw=None)

        await database.transact(work)

        async def failing(tx: Transaction) -> None:
            await tx.lock("things", "b")
            await tx.run(PUT, id="a", n=1, name=None, raw=None)

        with pytest.raises(Duplicate):
            await database.transact(failing)
        assert bench.server is not None
        query = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'"
        assert bench.server.query(bench.name, (query, ()))[0]["n"] == 0
        idle = "SELECT state FROM pg_stat_activity WHERE usename = 'pileus' AND datname = $1"
        assert {row["state"] for row in bench.server.query(bench.name, (idle, (bench.name,)))} == {"idle"}

    play(scenario, bench)


def test_a_cancelled_transaction_leaves_nothing_and_its_connection_goes_on(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS, options="&pool=1")
        begun = asyncio.Event()

        async def work(tx: Transaction) -> None:
            await tx.run(PUT, id="a", n=1, name=None, raw=None)
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(database.transact(work))
        await begun.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await number_of(database, "a") is None
        await put(database, "a", 2)

    play(scenario, bench)


# -- what is refused at the start -------------------------------------------------------------------------------------
async def refusal(url: str) -> Error:
    runtime = Runtime("refused")
    try:
        database = open_database(url, runtime)
        await database.open()
        await database.close()
    except Error as error:
        return error
    finally:
        await runtime.stop()
    raise AssertionError(f"{url} was accepted")


def test_a_wrong_address_is_told_with_its_mend(bench: Bench, own_server: Server) -> None:
    server = bench.server
    assert server is not None
    missing = asyncio.run(refusal(server.url("nowhere")))
    assert isinstance(missing, NoSuchDatabase) and "createdb" in missing.text and "nowhere" in missing.text
    stranger = asyncio.run(refusal(server.url(bench.name, "stranger")))
    assert isinstance(stranger, LoginRefused) and "pg_hba.conf" in stranger.text
    own_server.execute(
        "CREATE ROLE pileus LOGIN PASSWORD 'right'", "CREATE DATABASE locked OWNER pileus ENCODING 'UTF8'"
    )
    hba = own_server.data / "pg_hba.conf"
    hba.write_text("local all postgres trust\nlocal all all scram-sha-256\nhost all all all scram-sha-256\n")
    own_server.execute("SELECT pg_reload_conf()")
    wrong = asyncio.run(refusal(own_server.url("locked", "pileus:wrong")))
    assert isinstance(wrong, LoginRefused) and "password" in wrong.text
    assert isinstance(asyncio.run(refusal("mysql://a/b")), UnknownDatabase)


def test_a_database_that_would_not_keep_what_was_promised_is_refused(own_server: Server) -> None:
    own_server.execute("CREATE ROLE pileus LOGIN", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' "
                       "LC_CTYPE 'C' TEMPLATE template0")  # fmt: skip
    encoded = asyncio.run(refusal(own_server.url("ascii")))
    assert isinstance(encoded, UnsafeDatabase) and "UTF8" in encoded.text
    own_server.stop()
    own_server.settings["fsync"] = "off"
    own_server.start()
    unsynced = asyncio.run(refusal(own_server.url("postgres")))
    assert isinstance(unsynced, UnsafeDatabase) and "fsync" in unsynced.text


def test_a_commit_is_on_disk_though_the_server_says_otherwise(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        assert bench.server is not None
        bench.server.execute(f"ALTER DATABASE {bench.name} SET synchronous_commit = off")
        database = await bench.process(THINGS)
        from pileus.foundation.database import sql

        row: Any = await database.one(sql("SELECT current_setting('synchronous_commit') AS value"))
        assert row["value"] == "on"

    play(scenario, bench)


def test_a_full_disk_is_told_with_its_mend(play: Play, bench: Bench) -> None:
    """The server's own words for a full disk, said by a function in its place."""

    async def scenario(bench: Bench) -> None:
        assert bench.server is not None
        database = await bench.process(THINGS)
        bench.server.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$",
            "CREATE TRIGGER full_disk BEFORE INSERT ON things EXECUTE FUNCTION full_disk()",
            database=bench.name,
        )
        with pytest.raises(DatabaseFull, match="Free space there"):
            await put(database, "a")

    play(scenario, bench)


def test_text_with_a_nul_is_a_bad_request(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        database = await bench.process(THINGS)
        with pytest.raises(TextRefused):
            await put(database, "a\0b")
        with pytest.raises(TextRefused):
            await database.one(GET, id="a\0b")

    play(scenario, bench)


def test_who_waits_too_long_for_a_lock_hears_that_the_database_is_busy(play: Play, bench: Bench) -> None:
    async def scenario(bench: Bench) -> None:
        assert bench.server is not None
        database = await bench.process(THINGS)
        bench.server.execute(
            "CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE 'canceling statement due to lock timeout' USING ERRCODE = '55P03'; END$$",
            "CREATE TRIGGER busy BEFORE INSERT ON things EXECUTE FUNCTION busy()",
            database=bench.name,
        )
        with pytest.raises(DatabaseBusy, match="Try again"):
            await put(database, "a")

    play(scenario, bench)


# -- encryption -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-ca"])
def test_an_sslmode_that_checks_nobody_is_refused(mode: str) -> None:
    with pytest.raises(WeakTls, match="verify-full"):
        PostgresDatabase(f"postgresql://pileus@db.example.org/pileus?sslmode={mode}", Runtime("refused"))


def test_a_server_elsewhere_is_reached_by_tls_unless_it_is_said_otherwise() -> None:
    runtime = Runtime("addresses")
    far = PostgresDatabase("postgresql://pileus@db.example.org/pileus", runtime)
    plain = PostgresDatabase("postgresql://pileus@db.example.org/pileus?sslmode=disable", runtime)
    near = PostgresDatabase("postgresql://pileus@localhost/pileus", runtime)
    assert [each._address.tls is not None for each in (far, plain, near)] == [True, False, False]


def test_only_a_server_that_proves_its_name_is_believed(own_server: Server, tmp_path: Path) -> None:
    from tests.certificates import Authority

    authority, stranger = Authority(tmp_path, "ours"), Authority(tmp_path, "strangers")
    own_server.execute("CREATE ROLE pileus LOGIN", "CREATE DATABASE pileus OWNER pileus ENCODING 'UTF8'")
    address = f"postgresql://pileus@localhost:{own_server.port}/pileus?sslmode=verify-full"
    plain = asyncio.run(refusal(f"{address}&sslrootcert={authority.path}"))
    assert isinstance(plain, Untrusted) and "certificate" in plain.text

    def serve(name: str) -> None:
        issued = authority.issue(name)
        own_server.stop()
        own_server.give("server.crt", issued.certificate)
        own_server.give("server.key", issued.key)
        own_server.settings |= {"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
        own_server.start()

    serve("localhost")

    async def reach() -> None:
        runtime = Runtime("tls")
        database = open_database(f"{address}&sslrootcert={authority.path}", runtime)
        await database.open()
        await database.migrate(THINGS)
        await put(database, "a")
        await database.close()
        await runtime.stop()

    asyncio.run(reach())
    assert isinstance(asyncio.run(refusal(f"{address}&sslrootcert={stranger.path}")), Untrusted)
    serve("somebody.else")
    wrong = asyncio.run(refusal(f"{address}&sslrootcert={authority.path}"))
    assert isinstance(wrong, Untrusted) and "sslrootcert" in wrong.text
