"""What a server holds at other services, given back: by its delete, and for a host that cannot do it any more."""

from pileus.compute.domain.block_device import BEING_MADE
from pileus.compute.domain.server import Server
from pileus.compute.service import Compute
from pileus.foundation import errors


async def release_volumes(compute: Compute, server: Server) -> None:
    """Give attached volumes back, and delete those that were to go with the server.

    A host may have made and attached some that the row never heard of. Raises: Unavailable, also while one is made.
    """
    devices = [device for device in server.block_devices if device.is_volume]
    if not devices:
        return
    authority = compute.own_authority()
    for attachment in await compute.volumes.attachments_of_server(server.id, authority):
        await compute.volumes.drop(attachment["id"], authority)
    for device in devices:
        if device.volume_id is None:
            unheard_of = await compute.volumes.marked(device.marks(server.id), authority)
            if any(made["status"] in BEING_MADE for made in unheard_of):
                raise errors.Unavailable("A volume of the server is still being made.")
            going = [made["id"] for made in unheard_of]
        else:
            going = [device.volume_id] if device.delete_on_termination else []
        for volume_id in going:
            await compute.volumes.delete(volume_id, authority)


async def release_ports(compute: Compute, server: Server) -> None:
    """Delete the ports that were made for the server, unbind those that were brought. Raises: Unavailable."""
    brought = {nic.port_id for nic in server.networks.nics if nic.port_id is not None}
    brought |= {interface.port_id for interface in server.interfaces if not interface.is_ours}
    await compute.networks.release_ports(server.id, compute.own_authority(), brought=brought)
