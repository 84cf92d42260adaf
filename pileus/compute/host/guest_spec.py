"""From what the cloud knows of a server to what a hypervisor is told: pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.server import Server
from pileus.compute.drivers.base import GuestSpec, ImageRoot, VifSpec, VolumeAttachmentSpec, VolumeRoot
from pileus.compute.peers.network import Vif


def volume_spec(found: Mapping[str, Any], device: BlockDevice) -> VolumeAttachmentSpec:
    """`found` is a connected device: its volume's id and the connection that the volume service gave."""
    return VolumeAttachmentSpec(
        volume_id=found["volume_id"], connection=dict(found["connection"]), device=device.device_name or "",
        bus=device.disk_bus or "",
    )  # fmt: skip


def vif_spec(vif: Vif) -> VifSpec:
    return VifSpec(port_id=vif.port_id, mac=vif.mac, tap=vif.tap, mtu=vif.mtu)


def guest_spec(
    server: Server,
    *,
    root: ImageRoot | VolumeRoot,
    volumes: Sequence[VolumeAttachmentSpec],
    vifs: Sequence[Vif],
    epoch: int,
    attempt: int,
    config_drive: dict[str, bytes] | None,
    image_properties: Mapping[str, str],
) -> GuestSpec:
    flavor = server.flavor
    return GuestSpec(
        server_id=server.id,
        epoch=epoch,
        name=server.name,
        hostname=server.hostname,
        vcpus=flavor.vcpus,
        ram_mib=flavor.ram_mib,
        root=root,
        ephemeral_gib=flavor.ephemeral_gib,
        swap_mib=flavor.swap_mib,
        volumes=tuple(volumes),
        vifs=tuple(vif_spec(vif) for vif in vifs),
        config_drive=config_drive,
        image_properties={key: value for key, value in image_properties.items() if key.startswith(("hw_", "os_"))},
        metadata=server.metadata,
        attempt=attempt,
        project_id=server.project_id,
        user_id=server.user_id,
        flavor_name=flavor.name,
        image_id=server.image.id if server.image is not None else "",
    )
