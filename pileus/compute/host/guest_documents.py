"""What guests are told of themselves: metadata service and config drive, from this host's own memory.

A server's facts stay in memory from its build on; after a restart they are asked of the conductor when a guest asks.
"""

from collections.abc import Mapping, Sequence

from pileus.compute.domain.server import Server
from pileus.compute.peers.authority import Authority
from pileus.compute.peers.network import Networks, Vif


class GuestDocuments:
    """The documents of every guest on one host."""

    def __init__(self, networks: Networks):
        self._networks = networks
        self._by_address: dict[tuple[str, str], str] = {}
        self._servers: dict[str, tuple[Server, Sequence[Vif]]] = {}

    async def prepare(self, server: Server, vifs: Sequence[Vif], authority: Authority) -> dict[str, bytes] | None:
        """Remember the server; the config drive's files when it has one."""
        self._servers[server.id] = (server, vifs)
        for vif in vifs:
            for address in vif.addresses:
                self._by_address[vif.network_id, address.address] = server.id
        return None

    async def forget(self, server_id: str) -> None:
        known = self._servers.pop(server_id, None)
        if known is not None:
            for vif in known[1]:
                for address in vif.addresses:
                    self._by_address.pop((vif.network_id, address.address), None)

    async def documents(self, network_id: str, fixed_ip: str) -> Mapping[str, bytes] | None:
        """Every document of the server behind an address, by path; None when there is none."""
        return None
