"""What a service sees of the database: statements, transactions, schemas, failures.

Statements are plain SQL text in the common subset of both databases, written once, compiled at import by `sql()`. It
refuses to be an ORM: rows go out by name, the wing's `store/` turns them into domain values.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from pileus.foundation.errors import Conflict, Unavailable

T = TypeVar("T")

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)(\*?)")
_LIST = re.compile(r"\b(NOT )?IN :([a-z_][a-z0-9_]*)\*")


class Duplicate(Conflict):
    """A unique key is taken."""

    code, message = "duplicate", "It exists already."


class BrokenReference(Conflict):
    """A row that another one refers to is gone, or is still referred to."""

    code = "database.reference"
    message = "Something that this refers to, or that refers to this, was changed by another request; read again."


class DatabaseFull(Unavailable):
    """The disk under the database is full: nothing was written."""

    code = "database.full"
    message = "The cloud's database cannot grow: the disk is full. Free space in the state directory and retry."


class DatabaseDamaged(Unavailable):
    """The file under the database is no database any more."""

    code = "database.damaged"
    message = "The cloud's database {path} cannot be read: {reason}. Restore a backup of the state directory."


class NewerState(Unavailable):
    """The state directory was written by a later version."""

    code = "database.newer"
    message = (
        "The {service} tables are at version {found}, this program knows {known}: "
        "start the newer pileus, or restore a backup made by this one."
    )


class OlderState(Unavailable):
    """The tables wait for an operator who brings them to this version."""

    code = "database.older"
    message = "The {service} tables are at version {found}, this program needs {known}: 'pileus db upgrade'."


@dataclass(frozen=True)
class Statement:
    """One SQL statement for both databases."""

    names: tuple[str, ...]  # parameter names in order of appearance
    lists: frozenset[str]  # those written `:name*`
    sqlite: str
    postgres: str
    distinct: tuple[str, ...] = ()  # parameter names as PostgreSQL numbers them

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
        return f"${order.setdefault(match[1], len(order) + 1)}"

    # As an array the list takes its type from what it is compared with.
    arrays = _LIST.sub(lambda match: f"{'<> ALL' if match[1] else '= ANY'} (:{match[2]})", text)
    postgres_text = _PARAMETER.sub(postgres_form, arrays)
    return Statement(tuple(names), frozenset(lists), sqlite_text, postgres_text, tuple(order))


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
    """Work that becomes visible whole or not at all. A body awaits nothing but this object.

    Each statement sees what was committed before it began (READ COMMITTED): whoever decides by what he read takes a
    lock first, or guards his write. A statement that fails ends the transaction, also when its error is caught.
    """

    async def one(self, statement: Statement, **values: Any) -> Any | None: ...
    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]: ...
    async def run(self, statement: Statement, **values: Any) -> int:
        """Execute and return the number of rows touched."""
        ...

    async def lock(self, *key: str) -> None:
        """Hold the advisory lock `key` until the transaction ends: quota counts, server groups."""
        ...


class Database(Protocol):
    async def open(self) -> None:
        """Reach the database, or say what is wrong with it. Raises: Unavailable, with its mend."""
        ...

    async def one(self, statement: Statement, **values: Any) -> Any | None: ...
    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]: ...
    async def snapshot(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work`, which only reads, on one moment of the database: what is compared must belong together."""
        ...

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction; it may be run again after a lost race, so it has no effect but its SQL.

        A compare-and-set that found another generation is such a race: `work` reads what it compares with.
        Raises: Duplicate, BrokenReference, ConcurrentChange (409), Unavailable.
        """
        ...

    async def durable(self) -> None:
        """Return when everything committed so far survives a power cut."""
        ...

    async def migrate(self, schema: Schema, *, only_check: bool = False) -> None:
        """Bring a service's tables to `schema`; `only_check` changes nothing. Raises: NewerState, OlderState."""
        ...

    def watch(self, listen: Callable[[bool], None]) -> None:
        """Call `listen` with False when the database was found to be away, with True when it answers again."""
        ...

    async def close(self) -> None: ...
    def abandon(self) -> None:
        """Let go as the kernel does when a process dies: what was not committed never happened."""
        ...


_STAMPS = "CREATE TABLE IF NOT EXISTS pileus_schema (service TEXT PRIMARY KEY, version INTEGER NOT NULL)"
_READ_STAMP = sql("SELECT version FROM pileus_schema WHERE service = :service")
_WRITE_STAMP = sql(
    "INSERT INTO pileus_schema (service, version) VALUES (:service, :version) "
    "ON CONFLICT (service) DO UPDATE SET version = excluded.version"
)


async def migrate_in(
    tx: Transaction, schema: Schema, define: Callable[[str], Awaitable[None]], *, only_check: bool = False
) -> None:
    """`Database.migrate` inside a transaction; `define` executes DDL. Raises: NewerState, OlderState."""
    await define(_STAMPS)
    row = await tx.one(_READ_STAMP, service=schema.service)
    found = row["version"] if row else 0
    if found > schema.version:
        raise NewerState(service=schema.service, found=found, known=schema.version)
    if only_check and found < schema.version:
        raise OlderState(service=schema.service, found=found, known=schema.version)
    for migration in schema.migrations:
        if migration.number > found:
            for text in migration.statements:
                await define(text)
    if found != schema.version:
        await tx.run(_WRITE_STAMP, service=schema.service, version=schema.version)
