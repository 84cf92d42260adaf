"""The password that a guest left for its owner through the metadata service; encrypting it is the guest's business."""

from pileus.compute.app.servers import change
from pileus.compute.domain.errors import GuestPasswordKept, ServerNotFound
from pileus.compute.domain.server import Server, changed
from pileus.compute.flows.saving import save_server
from pileus.compute.service import Compute, host_topic
from pileus.foundation.context import Context


async def keep(compute: Compute, host: str, server_id: str, password: str) -> None:
    """Keep it for the server, which must be on `host`. Raises: GuestPasswordKept (409), ServerNotFound (404)."""

    def decide(server: Server) -> Server:
        if server.host != host:
            raise ServerNotFound(server_id=server_id)
        if server.guest_password:
            raise GuestPasswordKept(server_id=server_id)
        return changed(server, compute.runtime.now(), guest_password=password)

    if await save_server(compute, server_id, decide) is None:
        raise ServerNotFound(server_id=server_id)


async def clear(compute: Compute, context: Context, server_id: str) -> None:
    """Forget it; the guest may leave another. Raises: ServerNotFound (404)."""

    def decide(server: Server) -> Server:
        return changed(server, compute.runtime.now(), guest_password="") if server.guest_password else server

    server = await change(compute, context, server_id, decide)
    if server.host is not None:
        compute.bus.cast(host_topic(server.host), "password_cleared", {"server_id": server_id})
