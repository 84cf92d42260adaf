"""What the network service tells the hosts: that something of theirs has changed. A nudge, never the truth."""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from pileus.foundation.bus import Bus
from pileus.foundation.errors import Error


def host_topic(host: str) -> str:
    """The bus topic that the network-host on `host` serves."""
    return f"network-host.{host}"


class Hosts(Protocol):
    """The hosts that ports are bound to. Nothing is promised to arrive; each host also looks by itself now and then."""

    def port_changed(self, host: str, port_id: str, network_id: str) -> None:
        """A port came to this host, left it, or is to be wired another way there."""
        ...

    def network_changed(self, host: str, network_id: str) -> None:
        """What guests of a network on this host are told has changed."""
        ...

    def peers_changed(self, host: str, network_id: str) -> None:
        """Guests of a network on this host came to other hosts, or left them."""
        ...

    async def plug(self, host: str, port_id: str, network_id: str) -> None:
        """Return once the port is wired on this host and reported, or once that takes too long.

        A host that never spoke to us is only nudged: nobody may be there.
        """
        ...

    def heard_of(self, host: str) -> None:
        """This host's agent has spoken."""
        ...


PLUG_TIMEOUT_S = 15.0

log = logging.getLogger("pileus.network")


class BusHosts:
    """Hosts behind the bus: casts `port_changed` {port_id, network_id}, `network_changed` and `peers_changed`
    {network_id}."""

    def __init__(self, bus: Bus, has_agent: Callable[[str], Awaitable[bool]]):
        self._bus = bus
        self._has_agent = has_agent  # whether a host's agent has ever spoken, to this process or another
        self._known: set[str] = set()

    def heard_of(self, host: str) -> None:
        self._known.add(host)

    def port_changed(self, host: str, port_id: str, network_id: str) -> None:
        args = {"port_id": port_id, "network_id": network_id}
        self._bus.cast(host_topic(host), "port_changed", args, source="network")

    def network_changed(self, host: str, network_id: str) -> None:
        self._bus.cast(host_topic(host), "network_changed", {"network_id": network_id}, source="network")

    def peers_changed(self, host: str, network_id: str) -> None:
        self._bus.cast(host_topic(host), "peers_changed", {"network_id": network_id}, source="network")

    async def plug(self, host: str, port_id: str, network_id: str) -> None:
        if host not in self._known:
            if not await self._has_agent(host):
                self.port_changed(host, port_id, network_id)
                return
            self._known.add(host)
        args = {"port_id": port_id, "network_id": network_id}
        try:
            await self._bus.call(host_topic(host), "port_changed", args, timeout_s=PLUG_TIMEOUT_S, source="network")
        except Error as error:  # the port stays DOWN; its host looks by itself and wires it later
            log.warning("port %s on %s: %s", port_id, host, error)
