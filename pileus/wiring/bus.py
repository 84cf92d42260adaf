"""How a process of many reaches the bus."""

from pathlib import Path
from urllib.parse import urlsplit

from pileus.foundation.bus.broker import Broker, Transport
from pileus.foundation.bus.opening import open_transport
from pileus.foundation.bus.socket import Hub
from pileus.foundation.config_file import WrongConfig
from pileus.foundation.runtime import Runtime
from pileus.wiring import opening
from pileus.wiring.settings import Settings

KINDS = ("hub", "amqp", "amqps")
PATIENCE_S = 60.0  # with a bus that starts when we do


async def open_bus(settings: Settings, runtime: Runtime) -> Transport:
    """Raises: WrongConfig, Unavailable."""
    url = opening.bus_url(settings)
    scheme = urlsplit(url).scheme
    if scheme not in KINDS:
        raise WrongConfig(where="bus.url", what=f"there is no bus {scheme}://. There are: {', '.join(KINDS)}.")
    return await open_transport(url, runtime, tls=opening.tls_of(settings), timeout_s=PATIENCE_S)


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
