"""A world made of one seed: virtual time, seeded chance, threads that are not there.

Under it a whole cloud runs in one thread as fast as the processor allows, and the same seed gives the same history.
"""

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from pileus.foundation.runtime import Completed, Runtime

T = TypeVar("T")

BEGIN = 1_800_000_000  # seconds since 1970 when every history begins


class Stalled(Exception):
    """Nothing is left to do, and somebody still waits."""


class _Jump(selectors.BaseSelector):
    """Never waits: time jumps to when the next thing is due."""

    def __init__(self) -> None:
        self.loop: SimulatedLoop
        self._files: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._files[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stalled()
        if timeout > 0:
            self.loop.advance(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when everybody waits."""

    def __init__(self) -> None:
        self._virtual = 0.0
        jump = _Jump()
        jump.loop = self
        super().__init__(jump)

    def time(self) -> float:
        return self._virtual

    def advance(self, seconds: float) -> None:
        self._virtual += seconds + 1e-9  # past the due time, whatever the rounding


class SimulatedRuntime(Runtime):
    """One process of a simulated world; several may share the loop and the chance."""

    def __init__(self, name: str, chance: random.Random, boot_id: str = "simulated"):
        super().__init__(name)
        self.chance = chance
        self.boot_id = boot_id
        self.commands: Callable[[Sequence[str], bytes], Completed] | None = None
        self.on_reached: Callable[..., None] | None = None
        self.clock_offset_s = 0.0  # the wall clock's error: it may jump, the monotonic one never does

    def reached(self, point: str, *facts: str) -> None:
        if self.on_reached is not None and self.alive:
            self.on_reached(self, point, *facts)
            self.check()

    def now(self) -> int:
        return int((BEGIN + self.clock_offset_s + asyncio.get_running_loop().time()) * 1_000_000)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def random_bytes(self, count: int) -> bytes:
        return self.chance.randbytes(count)

    def random(self) -> float:
        return self.chance.random()

    async def in_thread(self, work: Callable[..., T], *args: Any, pool: str = "work") -> T:
        """Runs at once, after a moment in which others go on: as long as a thread may take."""
        self.check()
        await asyncio.sleep(self.chance.random() * 0.002)
        self.check()
        result = work(*args)
        self.check()
        return result

    async def run_command(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        env: dict[str, str] | None = None,
        preexec: Callable[[], None] | None = None,
        pool: str = "commands",
    ) -> Completed:
        """Answered by `commands`; a world without commands refuses them."""
        self.check()
        if self.commands is None:
            raise FileNotFoundError(argv[0])
        await asyncio.sleep(self.chance.random() * 0.01)
        return self.commands(argv, stdin)


def simulate(seed: int, history: Callable[[random.Random], Coroutine[Any, Any, T]]) -> T:
    """Run one history from its seed, and return what it returns. Raises: what it raises, Stalled."""
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(history(random.Random(seed)))
    finally:
        _drop(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _drop(loop: asyncio.AbstractEventLoop) -> None:
    """Let go of what crashed processes left waiting."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
