"""A server's volumes, as its host makes, reserves, reaches and releases them."""

from collections.abc import Mapping
from typing import Any

from pileus.compute.domain.block_device import BEING_MADE, BlockDevice
from pileus.compute.domain.errors import BuildAborted, VolumeNotFound
from pileus.compute.domain.server import Server
from pileus.compute.host.services import HostServices
from pileus.foundation import errors
from pileus.foundation.http.authority import Authority
from pileus.foundation.trace import Trace

LOOK_AGAIN_S = (0.0, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5)
PATIENCE_S = 1500.0
LEAVING = frozenset({"deleting", "error_deleting"})


async def connect_device(
    host: HostServices, server: Server, device: BlockDevice, *, epoch: int, token: str, record: Trace
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have the device's volume, reserved for the server and open to this host.

    Returns what the server's row learns (volume_id, attachment_id), and the connection.
    Raises: BuildAborted when the volume cannot be had anywhere.
    """
    authority = host.authority(token)
    try:
        volume_id = device.volume_id or await _ensure_volume(host, server, device, authority)
        attachment_id = await host.volumes.reserve(volume_id, server.id, authority)
        connection = await host.volumes.connect(
            attachment_id, host=host.host, device=device.device_name or "", epoch=epoch, authority=authority,
            record=record, steps=(25, 26, 27),
        )  # fmt: skip
    except (errors.BadRequest, errors.NotFound, errors.OverQuota) as refused:
        raise BuildAborted(server_id=server.id, reason=refused.text) from refused
    return {"volume_id": volume_id, "attachment_id": attachment_id}, dict(connection)


async def _ensure_volume(host: HostServices, server: Server, device: BlockDevice, authority: Authority) -> str:
    """The volume that the device asks for; one made before is found by our marks, unless an undo is deleting it."""
    marks = device.marks(server.id)
    marked = await host.volumes.marked(marks, authority)
    found = next((made for made in marked if made["status"] not in LEAVING), None)
    if found is None:
        found = await host.volumes.create(
            size_gib=device.size or _size(server, device), name="", zone=None, image_id=device.image_id,
            snapshot_id=device.snapshot_id, volume_type=device.volume_type, metadata=marks,
            authority=authority,
        )  # fmt: skip
    return await _wait_available(host, found, server)


def _size(server: Server, device: BlockDevice) -> int:
    if device.is_root and server.flavor.disk_gib:
        return server.flavor.disk_gib
    raise BuildAborted(server_id=server.id, reason="a volume that is to be made has no size")


async def _wait_available(host: HostServices, volume: Mapping[str, Any], server: Server) -> str:
    volume = await _wait_made(host, volume)
    if volume["status"] in BEING_MADE:
        raise BuildAborted(server_id=server.id, reason=f"volume {volume['id']} is still {volume['status']}")
    if volume["status"] == "error":
        raise BuildAborted(server_id=server.id, reason=f"volume {volume['id']} could not be made")
    return str(volume["id"])


async def _wait_made(host: HostServices, volume: Mapping[str, Any]) -> Mapping[str, Any]:
    """The volume once it is made or cannot be, or as it is after a long time. Raises: VolumeNotFound."""
    pauses = iter(LOOK_AGAIN_S)
    pause, waited = 0.0, 0.0
    while volume["status"] in BEING_MADE and waited < PATIENCE_S:
        pause = next(pauses, pause)
        waited += pause
        await host.runtime.sleep(pause)
        volume = await host.volumes.get(volume["id"], host.authority())
    return volume


async def release_devices(host: HostServices, server: Server, *, token: str) -> None:
    """Give back every volume of a launch that failed, and delete those that were made for it."""
    authority = host.authority()
    for attachment in await host.volumes.attachments_of_server(server.id, authority):
        await host.volumes.drop(attachment["id"], authority)
    for device in server.block_devices:
        if not device.is_made:
            continue
        for made in await host.volumes.marked(device.marks(server.id), authority):
            try:
                await _wait_made(host, made)  # until then a volume cannot be deleted
                await host.volumes.delete(made["id"], authority)
            except VolumeNotFound:
                continue
