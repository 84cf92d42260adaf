"""The line to libvirtd: bounded threads, time limits, a breaker, and a new line when the old one broke.

A call that hangs keeps its thread until libvirt gives up; so when half of the threads hang, further calls are refused
at once instead of waiting behind them. libvirt itself ends a line whose other end is silent for some seconds
(keep-alive), and with it every call that hangs on it.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import libvirt
import msgspec

from pileus.compute.drivers.base import (
    HypervisorFailed,
    HypervisorUnavailable,
    NoDiskSpace,
    NoGuestAgent,
    NoMemory,
)
from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime

T = TypeVar("T")

THREADS = 8
MOST_HANGING = THREADS // 2
OPEN_LIMIT_S = 5.0
KEEPALIVE_S, KEEPALIVE_TIMES = 5, 3
LONGEST_PAUSE_S = 5.0

_LINE_DOMAINS = (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE)
_LINE_CODES = (
    libvirt.VIR_ERR_SYSTEM_ERROR,
    libvirt.VIR_ERR_INTERNAL_ERROR,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
)
_RETRIED = (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_RESOURCE_BUSY)
_AGENT = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED)


class Happening(msgspec.Struct, frozen=True):
    """Something libvirt tells of a guest by itself: a lifecycle event, or (`event` -1) a device that is gone."""

    name: str
    uuid: str
    event: int
    detail: int


class Connection:
    """One line to one libvirtd, opened when it is needed and again when it broke."""

    def __init__(
        self,
        runtime: Runtime,
        uri: str,
        *,
        name: str,
        on_happening: Callable[[Happening], None],
        on_return: Callable[[], None],
    ):
        self._runtime = runtime
        self._uri = uri
        self._pool = f"libvirt {name}"
        self._opening_pool = f"libvirt line {name}"
        self._on_happening = on_happening
        self._on_return = on_return
        self._line: Any = None
        self._callbacks: list[int] = []
        self._opening: asyncio.Task[Error | None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._hanging: set[object] = set()
        self._is_wanted = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Raises HypervisorUnavailable."""
        self._loop = asyncio.get_running_loop()
        self._runtime.size_pool(self._pool, THREADS)
        self._runtime.size_pool(self._opening_pool, 1)
        _start_events(self._runtime)
        self._is_wanted = True
        await self._connected()

    async def close(self) -> None:
        self._is_wanted = False
        if self._watch is not None:
            self._watch.cancel()
        line, self._line = self._line, None
        if line is not None:
            await self._in_time(lambda: _hang_up(line, self._callbacks), OPEN_LIMIT_S)

    async def call(self, work: Callable[[Any], T], *, action: str = "find", limit_s: float = 10.0) -> T:
        """Run `work` on the line in a thread. It must be repeatable: a broken line is mended once, and it runs again.

        Raises HypervisorUnavailable (in time), HypervisorFailed and its kin.
        """
        for is_last in (False, True):
            line = await self._connected()
            try:
                return await self._in_time(lambda line=line: work(line), limit_s)  # type: ignore[misc]
            except libvirt.libvirtError as failure:
                if not _is_line_broken(line, failure):
                    raise translate(failure, action) from failure
                self._lost(line)
                if is_last:
                    raise HypervisorUnavailable(log=str(failure)) from failure
        raise AssertionError("unreachable")

    async def _in_time(self, work: Callable[[], T], limit_s: float) -> T:
        if len(self._hanging) >= MOST_HANGING:
            raise HypervisorUnavailable(log=f"{len(self._hanging)} calls to {self._uri} hang")
        call = _Call(work, self._hanging)
        try:
            async with self._runtime.timeout(limit_s):
                return await self._runtime.in_thread(call.run, pool=self._pool)
        except TimeoutError as slow:
            call.give_up()
            raise HypervisorUnavailable(log=f"{self._uri} did not answer within {limit_s} s") from slow

    # -- the line -------------------------------------------------------------------------------------------------
    async def _connected(self) -> Any:
        """The line, opened by one task for all who wait. Raises HypervisorUnavailable."""
        if self._line is None:
            if not self._is_wanted:
                raise HypervisorUnavailable(log=f"the line to {self._uri} is closed")
            if self._opening is None or self._opening.done():
                self._opening = self._runtime.spawn(self._open_line(), f"open {self._uri}")
            try:
                async with self._runtime.timeout(OPEN_LIMIT_S):
                    refusal = await asyncio.shield(self._opening)
            except TimeoutError as slow:
                raise HypervisorUnavailable(log=f"{self._uri} did not answer within {OPEN_LIMIT_S} s") from slow
            if refusal is not None:
                raise refusal
        if self._line is None:
            raise HypervisorUnavailable(log=f"the line to {self._uri} broke at once")
        return self._line

    async def _open_line(self) -> Error | None:
        """Returns why not, instead of raising: several may wait for it, or nobody."""
        try:
            line, callbacks = await self._runtime.in_thread(self._dial, pool=self._opening_pool)
        except libvirt.libvirtError as failure:
            return HypervisorUnavailable(log=f"{self._uri}: {failure}")
        if not self._is_wanted:
            await self._runtime.in_thread(_hang_up, line, callbacks, pool=self._opening_pool)
            return HypervisorUnavailable(log=f"the line to {self._uri} is closed")
        self._line, self._callbacks = line, callbacks
        return None

    def _dial(self) -> tuple[Any, list[int]]:
        line = libvirt.open(self._uri)
        line.setKeepAlive(KEEPALIVE_S, KEEPALIVE_TIMES)
        line.registerCloseCallback(self._heard_close, None)
        lifecycle, removed = libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED
        return line, [
            line.domainEventRegisterAny(None, lifecycle, self._heard_lifecycle, None),
            line.domainEventRegisterAny(None, removed, self._heard_removal, None),
        ]

    def _lost(self, line: Any) -> None:
        """The line is broken: forget it, and try for a new one until there is one."""
        if self._line is not line:
            return
        self._line = None
        if self._is_wanted and (self._watch is None or self._watch.done()):
            self._watch = self._runtime.spawn(self._redial(), f"redial {self._uri}")

    async def _redial(self) -> None:
        pause = 0.1
        while self._is_wanted:
            try:
                await self._connected()
            except HypervisorUnavailable:
                await self._runtime.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                self._on_return()
                return

    # -- heard in libvirt's own thread ----------------------------------------------------------------------------
    def _heard_close(self, line: Any, reason: int, opaque: object) -> None:
        self._tell(self._lost, line)

    def _heard_lifecycle(self, line: Any, domain: Any, event: int, detail: int, opaque: object) -> None:
        self._tell(self._on_happening, Happening(domain.name(), domain.UUIDString(), event, detail))

    def _heard_removal(self, line: Any, domain: Any, device: str, opaque: object) -> None:
        self._tell(self._on_happening, Happening(domain.name(), domain.UUIDString(), -1, 0))

    def _tell(self, what: Callable[..., None], *args: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)


class _Call:
    """One call in a thread, which may be given up while the thread still hangs in it."""

    def __init__(self, work: Callable[[], Any], hanging: set[object]):
        self._work = work
        self._hanging = hanging
        self._is_running = False

    def run(self) -> Any:
        self._is_running = True
        try:
            return self._work()
        finally:
            self._is_running = False
            self._hanging.discard(self)

    def give_up(self) -> None:
        """Count it as hanging until its thread comes back; a call that never began hangs nobody."""
        if self._is_running:
            self._hanging.add(self)
        if not self._is_running:  # it came back in between
            self._hanging.discard(self)


def translate(failure: Any, action: str) -> Error:
    """libvirt's refusal as one of ours; its words are for the operator."""
    code, words = failure.get_error_code(), str(failure)
    if code in _RETRIED:
        return HypervisorUnavailable(log=words)
    if code in _AGENT:
        return NoGuestAgent(server_id="", log=words)
    if "No space left on device" in words:
        return NoDiskSpace(action=action, log=words)
    if code == libvirt.VIR_ERR_NO_MEMORY or "annot allocate memory" in words or "cannot set up guest memory" in words:
        return NoMemory(action=action, log=words)
    return HypervisorFailed(action=action, log=words)


def _is_line_broken(line: Any, failure: Any) -> bool:
    if failure.get_error_domain() in _LINE_DOMAINS and failure.get_error_code() in _LINE_CODES:
        return True
    try:
        return not line.isAlive()
    except libvirt.libvirtError:
        return True


def _hang_up(line: Any, callbacks: list[int]) -> None:
    """Close a line; one that is broken already is fine."""
    farewells = [lambda key=key: line.domainEventDeregisterAny(key) for key in callbacks]
    for farewell in (*farewells, line.unregisterCloseCallback, line.close):
        try:
            farewell()
        except libvirt.libvirtError:
            pass


_events_started = False  # libvirt knows one event loop per process, registered before the first line


def _start_events(runtime: Runtime) -> None:
    global _events_started  # noqa: PLW0603 - libvirt's own registration is global to the process
    if _events_started:
        return
    _events_started = True
    libvirt.registerErrorHandler(lambda *_: None, None)  # else it writes each error to stderr
    libvirt.virEventRegisterDefaultImpl()
    runtime.start_daemon(_run_events, "libvirt events")


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
