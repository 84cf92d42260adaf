"""The one door to what is not deterministic: clock, sleep, ids, randomness, threads, commands.

Everything else receives a `Runtime` and uses nothing of this by itself (a house test refuses it), so a whole
cloud runs under a virtual clock from one seed, and a process can be made to die at any await.
"""

import asyncio
import concurrent.futures
import gc
import os
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Crashed(BaseException):
    """This process is dead: every seam raises it, so that no `except` and no `finally` can repair anything."""


@dataclass(frozen=True)
class Completed:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: bytes


class Runtime:
    """Clock, ids, randomness, threads and commands of one process, and whether it still lives."""

    def __init__(self, name: str = "pileus", threads: int = 4):
        self.name = name
        self.boot_id = _read_boot_id()
        self._threads = threads
        self._pools: dict[str, concurrent.futures.ThreadPoolExecutor] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dead = False

    # -- life ---------------------------------------------------------------------------------------------
    def crash(self) -> None:
        """From now on every seam of this process raises `Crashed`. For tests and simulation."""
        self._dead = True

    @property
    def alive(self) -> bool:
        return not self._dead

    def check(self) -> None:
        """Raise `Crashed` when this process is dead; every seam calls it before and after its effect."""
        if self._dead:
            raise Crashed(self.name)

    def reached(self, point: str, *facts: str) -> None:
        """A place where a test may let this process die, or let what follows fail; here nothing happens."""

    # -- time ---------------------------------------------------------------------------------------------
    def now(self) -> int:
        """UTC wall clock in microseconds since 1970."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; only differences mean something."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.check()
        await asyncio.sleep(seconds)
        self.check()

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """`async with runtime.timeout(3):` raises TimeoutError when the body takes longer."""
        return asyncio.timeout(seconds)

    # -- ids and chance -----------------------------------------------------------------------------------
    def uuid(self) -> str:
        """A random UUID with dashes: servers, volumes, images, ports ..."""
        digits = self.hex_id()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def hex_id(self) -> str:
        """32 hex digits without dashes: users, projects, roles, services."""
        raw = bytearray(self.random_bytes(16))
        raw[6] = raw[6] & 0x0F | 0x40  # version 4
        raw[8] = raw[8] & 0x3F | 0x80  # of RFC 4122
        return raw.hex()

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def random(self) -> float:
        """A number in [0, 1)."""
        return int.from_bytes(self.random_bytes(7), "big") / (1 << 56)

    # -- work beside the loop -----------------------------------------------------------------------------
    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Run `work` beside the caller. The task is kept until it ends; its failure is logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None and not isinstance(failure, Crashed):
            task.get_loop().call_exception_handler(
                {"message": f"task {task.get_name()} failed", "exception": failure, "task": task}
            )

    async def in_thread(self, work: Callable[..., T], *args: Any, pool: str = "work") -> T:
        """Run a blocking call in a bounded pool; `pool` names it, so that a slow kind of call starves only itself."""
        self.check()
        executor = self._pools.get(pool)
        if executor is None:
            executor = concurrent.futures.ThreadPoolExecutor(self._threads, thread_name_prefix=pool)
            self._pools[pool] = executor
        result = await asyncio.get_running_loop().run_in_executor(executor, work, *args)
        self.check()
        return result

    def size_pool(self, pool: str, threads: int) -> None:
        """Give the named pool its own size; before its first use."""
        self._pools[pool] = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix=pool)

    def start_daemon(self, work: Callable[[], None], name: str) -> None:
        """Run `work` in a thread of its own that ends with the process: for a binding that wants its own loop."""
        threading.Thread(target=work, name=name, daemon=True).start()

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
        """Run a command without a shell and return how it ended; a timeout kills it and raises TimeoutError.

        Commands that take long have a `pool` of their own, so that the others need not wait.
        """

        def run() -> Completed:
            try:
                done = subprocess.run(  # noqa: S603 - argv is a list, never a shell line
                    list(argv),
                    check=False,
                    input=stdin,
                    capture_output=True,
                    timeout=timeout_s,
                    env=env,
                    preexec_fn=preexec,
                )
            except subprocess.TimeoutExpired as slow:
                raise TimeoutError(f"{argv[0]} took longer than {timeout_s} s") from slow
            return Completed(done.returncode, done.stdout, done.stderr)

        return await self.in_thread(run, pool=pool)

    def settle(self) -> None:
        """Tell the collector that what is here now stays, and to look for garbage less often: a tenth of the CPU."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)

    async def quiesce(self) -> None:
        """Cancel what was spawned and wait until it has ended; threads still work."""
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        while tasks:
            for task in tasks:
                task.cancel()
            # A cancellation may coincide with something else that ends a wait, and be lost: ask again.
            _, tasks = await asyncio.wait(tasks, timeout=1.0)

    async def stop(self) -> None:
        """Cancel what was spawned and close the pools."""
        await self.quiesce()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._pools.clear()


def _read_boot_id() -> str:
    """The kernel's id of this boot; the empty string where the kernel has none."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if os.access(path, os.R_OK) else ""
