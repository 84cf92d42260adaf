"""How a process of many reaches the bus."""

from pathlib import Path
from typing import Any, Protocol

from pileus.foundation.bus.broker import Broker
from pileus.foundation.bus.socket import Hub, HubTransport
from pileus.foundation.config_file import WrongConfig
from pileus.foundation.runtime import Runtime
from pileus.wiring import opening
from pileus.wiring.settings import Settings


class BusLine(Protocol):
    """A process' way to the bus."""

    transport: Any

    async def close(self) -> None: ...


class HubLine:
    """Through the socket file of the process that has the part `hub`."""

    def __init__(self, path: Path, runtime: Runtime):
        self._path, self._runtime = path, runtime
        self.transport = HubTransport(path, runtime)

    async def open(self) -> None:
        await self.transport.connect(timeout_s=60.0)

    async def close(self) -> None:
        await self.transport.close()


async def open_bus(settings: Settings, runtime: Runtime) -> BusLine:
    """Raises: WrongConfig, Unavailable."""
    url = opening.bus_url(settings)
    scheme, _, rest = url.partition("://")
    if scheme == "hub":
        line = HubLine(Path(rest), runtime)
        await line.open()
        return line
    raise WrongConfig(where="bus.url", what=f"there is no bus {scheme}://.")


class HubPart:
    """The bus of processes of one machine: the part `hub`."""

    def __init__(self, settings: Settings):
        scheme, _, rest = opening.bus_url(settings).partition("://")
        if scheme != "hub":
            raise WrongConfig(where="bus.url", what="is no hub:///PATH, so nobody needs the part hub.")
        self._hub = Hub(Broker())
        self._path = Path(rest)

    async def start(self) -> None:
        await self._hub.listen(self._path)

    async def stop(self) -> None:
        self._hub.stop()
