"""PostgreSQL through asyncpg: a pool of connections, READ COMMITTED, one place that tries again.

Nothing of a session outlives a transaction: no LISTEN, no SET, no session locks (a house test refuses their words). So
a connection goes back to the pool as it is, which halves the cost of a read.

    postgresql://USER[:PASSWORD]@HOST[:PORT]/NAME?sslmode=verify-full&sslrootcert=FILE&pool=10

Whoever answers on the network proves who he is (`verify-full`, by the system's or the named authorities) unless
`sslmode=disable` says that there is no TLS; ways between the two are refused. Other options are libpq's: `passfile`,
`host=/run/postgresql`, several hosts with `target_session_attrs=read-write`.
"""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pileus.foundation.database.postgres_failures import (
    Again,
    OutcomeUnknown,
    StatementFailed,
    UnsafeDatabase,
    WeakTls,
    is_lost,
    judge,
)
from pileus.foundation.database.seam import Schema, Statement, Transaction, migrate_in, sql
from pileus.foundation.errors import ConcurrentChange, Error, Unavailable
from pileus.foundation.runtime import Crashed, Runtime

T = TypeVar("T")

ATTEMPTS = 7
PAUSE_S = 0.02
"""Doubles with each attempt, times chance: about a second and a quarter before we give up."""
WAIT_S = 30.0
"""For a connection of the pool, a connection to the server, or somebody else's lock."""
ANSWER_S = 60.0
LOOK_S = 5.0
"""How often a watched database is asked whether it is there."""
LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1"})

_SESSION = {
    "jit": "off",  # our statements are short: compiling one costs more than running it
    "lock_timeout": str(int(WAIT_S * 1000)),
    # Whoever dies without a word holds his locks no longer than this.
    "idle_in_transaction_session_timeout": "60000",
    "tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
}  # fmt: skip
# A commit is what we promise by: the operator's stronger settings stay, "off" does not.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
_HERE = sql("SELECT 1 AS here")
_FACTS = "SELECT current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync"
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LOCK = "SELECT pg_advisory_xact_lock($1)"
_TYPES = (("BLOB", "BYTEA"), ("INTEGER", "BIGINT"), ("TEXT", 'TEXT COLLATE "C"'))  # order as SQLite orders: by bytes


@dataclass(frozen=True)
class _Address:
    dsn: str
    pool: int
    tls: ssl.SSLContext | None


class PostgresDatabase:
    """All services' tables in one PostgreSQL database; many processes share it."""

    def __init__(self, url: str, runtime: Runtime):
        self._address = _address(url)
        self._runtime = runtime
        self._pool: Any = None
        self._watchers: list[Callable[[bool], None]] = []
        self._is_away = False
        self._looking: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Connect. Raises: Unavailable, with its mend: not reachable, no such database, wrong password, unsafe."""
        import asyncpg  # heavy, and no part of an embedded cloud

        address = self._address
        pool = asyncpg.create_pool(
            address.dsn, ssl=address.tls or False, min_size=1, max_size=address.pool, timeout=WAIT_S,
            command_timeout=ANSWER_S, statement_cache_size=1000, max_cached_statement_lifetime=0,
            server_settings=_SESSION | {"application_name": self._runtime.name}, init=_prepare, reset=_keep,
        )  # fmt: skip
        try:
            await pool
            facts = await pool.fetchrow(_FACTS)
        except Exception as error:
            pool.terminate()
            raise judge(error).failure from error
        if facts["encoding"] != "UTF8":
            pool.terminate()
            raise UnsafeDatabase(f"The database is encoded in {facts['encoding']}: create it with ENCODING 'UTF8'.")
        if facts["fsync"] != "on":
            pool.terminate()
            raise UnsafeDatabase("PostgreSQL runs with fsync=off: a power cut would lose what was promised. Set it on.")
        self._pool = pool

    async def close(self) -> None:
        self._stop_looking()
        if self._pool is not None:
            try:
                async with self._runtime.timeout(WAIT_S):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    def abandon(self) -> None:
        """Close the sockets as the kernel does when a process dies: what was not committed never happened."""
        self._stop_looking()
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def migrate(self, schema: Schema, *, only_check: bool = False) -> None:
        """Processes that start at once wait for each other here. Raises: NewerState, OlderState."""

        async def work(tx: Transaction) -> None:
            assert isinstance(tx, _PostgresTransaction)
            await tx.lock("pileus", "schema")
            await migrate_in(tx, schema, tx.define, only_check=only_check)

        await self.transact(work)

    def watch(self, listen: Callable[[bool], None]) -> None:
        self._watchers.append(listen)
        if self._looking is None:
            self._looking = self._runtime.spawn(self._look(), "database: is it there?")

    async def _look(self) -> None:
        """Ask, though nobody else may have a question: an outage between two of them must be known, too."""
        while True:
            await self._runtime.sleep(LOOK_S)
            with contextlib.suppress(Error):  # whoever watches has been told
                await self.one(_HERE)

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _found(self, *, away: bool) -> None:
        if away != self._is_away:
            self._is_away = away
            for listen in self._watchers:
                listen(not away)

    async def durable(self) -> None:
        """Nothing to wait for: a commit returns when it is on disk."""
        self._runtime.check()

    # -- reading ------------------------------------------------------------------------------------------
    async def one(self, statement: Statement, **values: Any) -> Any | None:
        async def read() -> Any:
            async with self._connection() as connection:
                return await connection.fetchrow(statement.postgres, *_arguments(statement, values))

        self._runtime.reached("read.before", statement.postgres)
        row = await self._again(read)
        self._runtime.reached("read.after", statement.postgres)
        return row

    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]:
        async def read() -> Any:
            async with self._connection() as connection:
                return await connection.fetch(statement.postgres, *_arguments(statement, values))

        self._runtime.reached("read.before", statement.postgres)
        rows: Sequence[Any] = await self._again(read)
        self._runtime.reached("read.after", statement.postgres)
        return rows

    async def snapshot(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async def read() -> T:
            async with self._connection() as connection:
                await connection.execute(_BEGIN_SNAPSHOT)
                try:
                    return await work(_PostgresTransaction(connection, self._runtime))
                finally:
                    await _roll_back(connection)

        return await self._again(read)

    # -- writing ------------------------------------------------------------------------------------------
    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        has_lost = False

        async def attempt() -> T:
            nonlocal has_lost
            async with self._connection() as connection:
                await connection.execute(_BEGIN)
                tx = _PostgresTransaction(connection, self._runtime)
                try:
                    if has_lost:  # losers come one by one, so that each of them wins
                        await tx.lock("pileus", "turn")
                    result = await work(tx)
                    self._runtime.check()
                    self._runtime.reached("commit.before")
                except Crashed:
                    _drop(connection)
                    raise
                except BaseException as error:
                    has_lost = isinstance(error, ConcurrentChange)
                    await _roll_back(connection)
                    raise
                await _commit(connection)
                return result

        result = await self._again(attempt)
        self._runtime.reached("commit.after")
        return result

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """A connection of the pool. Who fails with it sees the error of his statement, not that of giving it back."""
        self._runtime.check()
        async with self._runtime.timeout(WAIT_S):  # the pool's own timeout would make a task of each
            connection = await self._pool.acquire()
        try:
            yield connection
        except Exception as error:
            if is_lost(error):
                _drop(connection)
            raise
        finally:
            with contextlib.suppress(Exception):  # the pool has dropped it, and makes another one
                await self._pool.release(connection, timeout=WAIT_S)

    async def _again(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run `attempt` again where the database says that it changed nothing and that another time may do.

        Nowhere else is anything tried again: deadlocks, lost races, lost connections, a server that starts or changes
        its role.
        """
        number = 1
        while True:
            try:
                result = await attempt()
                self._runtime.check()
                self._found(away=False)
                return result
            except Exception as error:
                self._runtime.check()
                verdict = judge(error)
                if verdict.again is Again.NEVER or number == ATTEMPTS:
                    self._found(away=self._is_away or isinstance(verdict.failure, Unavailable))
                    if verdict.failure is error:
                        raise
                    raise verdict.failure from error
                if verdict.again is Again.ELSEWHERE:
                    await self._pool.expire_connections()
            if verdict.again is not Again.IN_TURN:
                await self._runtime.sleep(self._runtime.random() * PAUSE_S * 2**number)
            number += 1


class _PostgresTransaction:
    __slots__ = ("_connection", "_runtime")

    def __init__(self, connection: Any, runtime: Runtime):
        self._connection = connection
        self._runtime = runtime

    async def one(self, statement: Statement, **values: Any) -> Any | None:
        return await self._connection.fetchrow(statement.postgres, *_arguments(statement, values))

    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]:
        rows: Sequence[Any] = await self._connection.fetch(statement.postgres, *_arguments(statement, values))
        return rows

    async def run(self, statement: Statement, **values: Any) -> int:
        self._runtime.reached("write.before", statement.postgres)
        status: str = await self._connection.execute(statement.postgres, *_arguments(statement, values))
        return int(status.rpartition(" ")[2])  # "UPDATE 3"

    async def lock(self, *key: str) -> None:
        digest = hashlib.blake2b("\0".join(key).encode(), digest_size=8).digest()
        await self._connection.execute(_LOCK, int.from_bytes(digest, "big", signed=True))

    async def define(self, text: str) -> None:
        """Execute DDL of the common subset."""
        await self._connection.execute(_translated(text))


async def _commit(connection: Any) -> None:
    try:
        status = await connection.execute("COMMIT")
    except Exception as error:
        if is_lost(error):
            raise OutcomeUnknown(log=repr(error)) from error
        raise
    if status != "COMMIT":
        raise StatementFailed()


async def _roll_back(connection: Any) -> None:
    """What fails here leaves nothing either: the server rolls back whoever is gone."""
    try:
        await connection.execute("ROLLBACK")
    except Exception:
        _drop(connection)


def _drop(connection: Any) -> None:
    """Let go of a connection that is good for nothing, unless the pool has done so: it takes back a broken one."""
    with contextlib.suppress(Exception):
        connection.terminate()


def _arguments(statement: Statement, values: dict[str, Any]) -> list[Any]:
    return [values[name] for name in statement.distinct]


def _translated(ddl: str) -> str:
    if ddl.lstrip().startswith(("CREATE TABLE", "ALTER TABLE")):
        for ours, theirs in _TYPES:
            ddl = ddl.replace(f" {ours}", f" {theirs}")
    return ddl


async def _prepare(connection: Any) -> None:
    """What every connection has from its first to its last moment."""
    await connection.execute(_DURABLE)
    # Sums of BIGINT are NUMERIC: give back the integers they are.
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")


async def _keep(_connection: Any) -> None:
    """A connection comes back to the pool as it is."""


def _number(text: str) -> int | Decimal:
    return int(text) if "." not in text else Decimal(text)


def _address(url: str) -> _Address:
    """Read what is ours out of the URL; the rest is libpq's. Raises: WeakTls."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    pool = int(options.pop("pool", "10"))
    is_local = (parts.hostname or options.get("host", "")) in LOCAL or options.get("host", "").startswith("/")
    mode = options.pop("sslmode", "disable" if is_local else "verify-full")
    if mode not in ("disable", "verify-full"):
        raise WeakTls(mode=mode)
    files = [options.pop(name, None) for name in ("sslrootcert", "sslcert", "sslkey")]
    tls = None
    if mode == "verify-full":
        tls = ssl.create_default_context(cafile=files[0])
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if files[1]:
            tls.load_cert_chain(files[1], files[2])
    elif any(files):
        raise WeakTls(mode=mode)
    dsn = urlunsplit(parts._replace(query=urlencode(options, quote_via=quote)))
    return _Address(dsn, pool, tls)
