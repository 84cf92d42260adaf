"""The interfaces of a server as the network service has them now."""

from typing import Any

from pileus.compute.domain.errors import InterfaceNotFound
from pileus.compute.domain.server import Server
from pileus.compute.service import Compute


async def listed(compute: Compute, server: Server) -> list[Any]:
    """The server's ports."""
    return await compute.networks.interfaces(server.id, compute.own_authority())


async def get(compute: Compute, server: Server, port_id: str) -> Any:
    """Raises: InterfaceNotFound (404)."""
    for port in await listed(compute, server):
        if port["id"] == port_id:
            return port
    raise InterfaceNotFound(port_id=port_id)
