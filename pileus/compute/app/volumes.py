"""What compute itself decides about the volumes of a server."""

from msgspec.structs import replace

from pileus.compute.app.servers import change
from pileus.compute.domain.errors import VolumeNotAttached
from pileus.compute.domain.server import Server, changed
from pileus.compute.service import Compute
from pileus.foundation.context import Context


async def set_delete_on_termination(
    compute: Compute, context: Context, server_id: str, volume_id: str, *, delete: bool
) -> Server:
    """Say whether the volume goes when the server goes. Raises: VolumeNotAttached (404)."""

    def decide(server: Server) -> Server:
        if all(device.volume_id != volume_id for device in server.block_devices):
            raise VolumeNotAttached(server_id=server_id, volume_id=volume_id)
        devices = tuple(
            replace(device, delete_on_termination=delete) if device.volume_id == volume_id else device
            for device in server.block_devices
        )
        return changed(server, compute.runtime.now(), block_devices=devices)

    return await change(compute, context, server_id, decide)
