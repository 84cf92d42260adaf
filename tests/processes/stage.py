"""One cluster for the tests of a module: it lives on a loop in a thread, and tests hand their work to it."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tests.processes.cluster import Cluster, cluster

LONGEST_S = 240.0


class Stage:
    """A running cluster; `run(story)` plays an async function of it there."""

    def __init__(
        self, make: Callable[[], Cluster], begin: Callable[[Cluster], Awaitable[None]], hosts: tuple[str, ...]
    ):
        self._make, self._begin, self._hosts = make, begin, hosts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._thread.start()
        self._around: Any = None

    def open(self) -> None:
        async def enter() -> None:
            self._around = cluster(self._make(), self._hosts)
            self.cluster = await self._around.__aenter__()
            try:
                await self._begin(self.cluster)
            except BaseException:
                print(self.cluster.logs())
                raise

        self._wait(enter())

    def close(self) -> None:
        try:
            if self._around is not None:
                self._wait(self._around.__aexit__(None, None, None))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run(self, story: Callable[[Cluster], Awaitable[Any]]) -> Any:
        async def play() -> Any:
            try:
                return await story(self.cluster)
            except BaseException:
                print(self.cluster.logs())
                raise

        return self._wait(play())

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LONGEST_S)


@contextlib.contextmanager
def staged(
    make: Callable[[], Cluster], begin: Callable[[Cluster], Awaitable[None]], hosts: tuple[str, ...]
) -> Iterator[Stage]:
    """An open stage, which is closed however its opening or its tests end."""
    found = Stage(make, begin, hosts)
    try:
        found.open()
        yield found
    finally:
        found.close()
