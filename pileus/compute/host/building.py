"""A server that exists is built once more on the host it has: rebuild."""

from pileus.compute.domain.block_device import root_of
from pileus.compute.domain.errors import BuildAborted
from pileus.compute.domain.network_request import NetworkRequest, NicRequest
from pileus.compute.domain.server import Server
from pileus.compute.drivers.base import ImageRoot, PowerState, VolumeRoot
from pileus.compute.host.guest_spec import guest_spec, volume_spec
from pileus.compute.host.services import HostServices
from pileus.compute.host.volumes import connect_device
from pileus.foundation.trace import Trace


async def build_again(host: HostServices, server: Server, token: str, record: Trace) -> PowerState:
    """Have the guest as the server's row says now; ports and volumes stay the same."""
    root, properties = await _root(host, server, token)
    ports = tuple(NicRequest(port_id=known.port_id, tag=known.tag) for known in server.interfaces)
    vifs = await host.networks.ensure_ports(
        server.id, NetworkRequest("list", ports), project_id=server.project_id, host=host.host, epoch=server.epoch,
        hostname=server.hostname, zone=host.zone, security_groups=server.security_groups,
        authority=host.authority(token),
    )  # fmt: skip
    volumes, attachments = [], []
    for device in server.volume_devices:
        attached, connection = await connect_device(
            host, server, device, epoch=server.epoch, token=token, record=record
        )
        spec = volume_spec({"connection": connection} | attached, device)
        attachments.append(attached["attachment_id"])
        if device.is_root:
            root = VolumeRoot(volume=spec)
        else:
            volumes.append(spec)
    if root is None:
        raise BuildAborted(server_id=server.id, reason="it has neither an image nor a volume to boot from")
    documents = await host.documents.prepare(server, vifs, host.authority())
    fact = await host.hypervisor.ensure_guest(
        guest_spec(
            server,
            root=root,
            volumes=volumes,
            vifs=vifs,
            epoch=server.epoch,
            attempt=1,
            config_drive=documents,
            image_properties=properties,
        )
    )
    for attachment_id in attachments:
        await host.volumes.complete(attachment_id, host.authority())
    return fact.power_state


async def _root(host: HostServices, server: Server, token: str) -> tuple[ImageRoot | VolumeRoot | None, dict[str, str]]:
    device = root_of(server.block_devices)
    if server.image is None or (device is not None and device.is_volume):
        return None, {}
    authority = host.authority(token)
    image = await host.images.get(server.image.id, authority)
    path = await host.cache.ensure(image, authority)
    return host.cache.root(path, image, server.flavor.disk_gib), dict(image.properties)
