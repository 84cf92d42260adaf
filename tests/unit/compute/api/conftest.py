"""A cloud for each test, and a short way to speak with it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pileus.foundation.database import Database
from pileus.foundation.runtime import Runtime
from tests.conftest import Run
from tests.unit.compute.cloud import Cloud, start

Talk = Callable[[Callable[[Cloud], Awaitable[Any]]], Any]


@pytest.fixture
def talk(run: Run, database: Database, runtime: Runtime) -> Talk:
    """`talk(work)`: start compute on an empty database, and return what `work(cloud)` returns."""

    def talk_with_a_fresh_cloud(work: Callable[[Cloud], Awaitable[Any]]) -> Any:
        async def conversation() -> Any:
            return await work(await start(database, runtime))

        return run(conversation)

    return talk_with_a_fresh_cloud
