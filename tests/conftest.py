"""What every test may ask for: a loop to run on, a runtime, an empty database."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pileus.foundation.database import SqliteDatabase
from pileus.foundation.runtime import Crashed, Runtime

T = TypeVar("T")
Run = Callable[..., Any]


@pytest.fixture
def run() -> Run:
    """`run(work, *args)` calls a coroutine function on a fresh event loop and returns what it returns."""

    def run_on_a_fresh_loop(work: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
        return asyncio.run(work(*args, **kwargs))

    return run_on_a_fresh_loop


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """The machine's own clock, ids, threads and commands; its pools are closed afterwards."""
    runtime = Runtime("test")
    yield runtime
    asyncio.run(runtime.stop())


@pytest.fixture
def database(tmp_path: Path, runtime: Runtime) -> Iterator[SqliteDatabase]:
    """An empty SQLite database in a file of its own; `run(database.migrate, SCHEMA)` gives it tables."""
    database = SqliteDatabase(tmp_path / "pileus.sqlite", runtime)
    yield database
    with contextlib.suppress(Crashed):  # a test that let its process die has nobody left to close it
        asyncio.run(database.close())
