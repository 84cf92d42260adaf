"""A process tells of itself: that it lives, again and again, and that it ends."""

import logging
from typing import Any

import msgspec

from pileus.foundation.bus import Bus
from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime
from pileus.operations.domain.process import Process

TOPIC = "operations"

log = logging.getLogger("pileus.operations")


class Announcer:
    """Announces one process. Whether anybody listens does not matter to it."""

    def __init__(self, process: Process, bus: Bus, runtime: Runtime):
        self._process = process
        self._bus = bus
        self._runtime = runtime
        self._beats = 0

    def start(self) -> None:
        self._runtime.spawn(self._go_on(), "announcing this process")

    async def _go_on(self) -> None:
        while True:
            await self._tell()
            await self._runtime.sleep(self._process.heartbeat_s)

    def leave(self) -> None:
        """This process ends, and nobody has to look for it."""
        self._bus.cast(TOPIC, "leaving", self._args())

    async def _tell(self) -> None:
        try:
            await self._bus.call(TOPIC, "alive", self._args(), timeout_s=self._process.heartbeat_s)
        except Error as error:
            log.info("nobody heard that this process lives: %s", error)

    def _args(self) -> dict[str, Any]:
        self._beats += 1
        return {"host": self._process.host, "process": msgspec.to_builtins(self._process), "beats": self._beats}
