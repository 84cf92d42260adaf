"""Every statement of every store is understood by both databases, those too that no other test executes there."""

import asyncio
import importlib
import pkgutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pileus
from pileus.foundation.database import SqliteDatabase, Statement
from pileus.foundation.flow.journal import _Statements
from pileus.foundation.runtime import Runtime
from pileus.wiring.schemas import SCHEMAS
from tests.postgres import Server


def within(value: Any) -> Iterator[Statement]:
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from within(each)
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from within(each)


def statements() -> dict[str, Statement]:
    """Those that are compiled when a module is imported; what is put together later is met by the tests of lists."""
    found: dict[str, Statement] = {}
    for module in pkgutil.walk_packages(pileus.__path__, "pileus."):
        if ".store" not in module.name and ".app." not in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            found |= {f"{module.name}.{name}.{n}": each for n, each in enumerate(within(value))}
    for service in ("compute", "volume", "image"):
        found |= {f"{service}_flows.{name}": each for name, each in vars(_Statements(service)).items()}
    assert len(found) > 250
    return found


def test_postgresql_understands_every_statement(postgres: Server) -> None:
    async def prepare() -> dict[str, str]:
        import asyncpg

        connection = await asyncpg.connect(postgres.url(postgres.create_with_tables()))
        refused = {}
        for name, statement in statements().items():
            try:
                await connection.prepare(statement.postgres)
            except asyncpg.PostgresError as error:
                refused[name] = f"{error}: {statement.postgres}"
        await connection.close()
        return refused

    assert asyncio.run(prepare()) == {}


def test_sqlite_understands_every_statement(tmp_path: Path) -> None:
    async def tables() -> None:
        runtime = Runtime("statements")
        database = SqliteDatabase(tmp_path / "all.db", runtime)
        for schema in SCHEMAS:
            await database.migrate(schema)
        await database.close()
        await runtime.stop()

    asyncio.run(tables())
    connection = sqlite3.connect(tmp_path / "all.db")
    for statement in statements().values():
        connection.execute(f"EXPLAIN {statement.sqlite}", [None] * len(statement.names))
    connection.close()
