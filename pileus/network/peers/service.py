"""The network service as its hosts see it, over the bus."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pileus.foundation.bus import Bus
from pileus.network.domain.data_plane import HostPlan

TOPIC = "network"


class PortReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a port is on its host. `epoch` is the plan's: a report about an older binding is ignored."""

    port_id: str
    epoch: int
    is_wired: bool


class NetworkService(Protocol):
    """What a host asks of the network service, and tells it."""

    async def host_plan(self, host: str) -> HostPlan:
        """The ports bound to `host`, and their networks. Raises Unavailable."""
        ...

    async def port_plan(self, host: str, port_id: str) -> HostPlan:
        """The same for one port: nothing in it means that the port is not bound to `host`. Raises Unavailable."""
        ...

    async def network_plan(self, host: str, network_id: str) -> HostPlan:
        """One network without its ports: nothing in it means that `host` has none of them. Raises Unavailable."""
        ...

    async def report(self, host: str, ports: Sequence[PortReport]) -> None:
        """Say which ports are wired and which are not; may be repeated. Raises Unavailable."""
        ...


class BusNetworkService:
    """The service behind the bus, as one host asks it; `tunnel` is the host's end of the tunnels, "" means none."""

    def __init__(self, bus: Bus, *, tunnel: str = "", timeout_s: float = 30.0):
        self._bus = bus
        self._own = {"tunnel": tunnel} if tunnel else {}
        self._timeout_s = timeout_s

    async def host_plan(self, host: str) -> HostPlan:
        return await self._plan({"host": host})

    async def port_plan(self, host: str, port_id: str) -> HostPlan:
        return await self._plan({"host": host, "port_id": port_id})

    async def network_plan(self, host: str, network_id: str) -> HostPlan:
        return await self._plan({"host": host, "network_id": network_id})

    async def _plan(self, args: dict[str, str]) -> HostPlan:
        asked = {**args, **self._own}
        found = await self._bus.call(TOPIC, "desired", asked, timeout_s=self._timeout_s, source="network-host")
        return msgspec.convert(found, HostPlan)

    async def report(self, host: str, ports: Sequence[PortReport]) -> None:
        args = {"host": host, "ports": [msgspec.to_builtins(port) for port in ports]}
        await self._bus.call(TOPIC, "report", args, timeout_s=self._timeout_s, source="network-host")
