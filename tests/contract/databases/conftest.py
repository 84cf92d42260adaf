"""A bench of each kind."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import KINDS, Bench, on

Play = Callable[[Callable[[Bench], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    bench = Bench(tmp_path, server)
    yield bench
    bench.remove()


@pytest.fixture
def postgres_bench(postgres: Any, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, postgres)
    yield bench
    bench.remove()


@pytest.fixture
def play() -> Callable[..., Any]:
    """`play(scenario, bench)` runs it on a loop of its own, and ends the processes it began."""

    def on_a_loop(scenario: Callable[[Bench], Coroutine[Any, Any, Any]], bench: Bench) -> Any:
        async def whole() -> Any:
            try:
                return await scenario(bench)
            finally:
                await bench.end()

        return asyncio.run(whole())

    return on_a_loop


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """The stages of the test stand on this kind of database."""
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    with on(request.param):
        yield request.param
