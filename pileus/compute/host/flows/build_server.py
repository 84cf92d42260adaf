"""Steps 13 to 28 of a launch: data, image, ports, volumes, and last the guest itself.

The conductor, who keeps the journal, lets the server's task state follow these steps.
"""

from typing import Any

import msgspec

from pileus.compute.domain.block_device import BlockDevice, root_of
from pileus.compute.domain.errors import BuildAborted, PortTaken
from pileus.compute.domain.server import Server
from pileus.compute.drivers.base import ImageRoot, VolumeRoot
from pileus.compute.host.guest_spec import guest_spec, volume_spec
from pileus.compute.host.services import HostServices
from pileus.compute.host.volumes import connect_device, release_devices
from pileus.compute.peers.network import Vif, is_quota
from pileus.foundation import errors
from pileus.foundation.flow import Flow, Step, StepContext
from pileus.foundation.trace import Event

NAME = "build-server"
HERE = "compute-host"


class BuildParams(msgspec.Struct):
    server_id: str
    epoch: int
    launch_id: str
    attempt: int
    sent: int = 0  # when the scheduler cast it, and when it was taken
    taken: int = 0
    message: str = ""


class Known(msgspec.Struct):
    """What the first step found; kept in memory only, for it holds the token."""

    server: Server
    token: str


async def know(step: StepContext[HostServices], p: BuildParams) -> Known:
    """The server's data from the conductor, asked once for each life of this process."""
    known = step.memory.get("known")
    if isinstance(known, Known):
        return known
    server, token = await step.services.conductor.server_data(
        p.server_id, epoch=p.epoch, launch_id=p.launch_id, request_id=step.request_id, record=step.trace
    )
    known = Known(server, token)
    step.memory["known"] = known
    return known


async def read_server_data(step: StepContext[HostServices], p: BuildParams) -> dict[str, Any]:
    step.trace.add(Event(13, "bus", HERE, p.taken, 0, process=step.runtime.name,
                         data={"method": "launch", "message": p.message}))  # fmt: skip
    known = await know(step, p)
    flavor = known.server.flavor
    return {"vcpus": flavor.vcpus, "ram_mib": flavor.ram_mib, "disk_gib": flavor.disk_gib}


async def ensure_base_image(step: StepContext[HostServices], p: BuildParams) -> dict[str, Any]:
    """Steps 19 to 21: the image by id, then its data unless the cache has it."""
    known, host = await know(step, p), step.services
    root = root_of(known.server.block_devices)
    if known.server.image is None or (root is not None and root.is_volume):
        now = step.runtime.now()
        for number, source, target in ((19, HERE, "image"), (20, "image", "identity"), (21, "image", HERE)):
            step.trace.add(Event(number, source, target, now, 0, process=step.runtime.name,
                                 data={"skipped": "the server boots from a volume"}))  # fmt: skip
        return {}
    authority = host.authority(known.token)
    image = await host.images.get(known.server.image.id, authority, record=step.trace, steps=(19, 20, 21))
    if image.status != "active":
        raise BuildAborted(server_id=p.server_id, reason=f"image {image.id} is {image.status}")
    path = await host.cache.ensure(image, authority)
    found: dict[str, Any] = msgspec.to_builtins(host.cache.root(path, image, known.server.flavor.disk_gib))
    return found | {"properties": dict(image.properties)}


async def bind_ports(step: StepContext[HostServices], p: BuildParams) -> dict[str, Any]:
    """Steps 22 to 24: have every port, bound to this host. Doing it twice leaves one binding."""
    known, host = await know(step, p), step.services
    server = known.server
    if not server.networks.nics:
        _skip(step, ((22, HERE, "network"), (23, "network", "identity"), (24, "network", HERE)),
              "the server has no network")  # fmt: skip
    try:
        vifs = await host.networks.ensure_ports(
            server.id, server.networks, project_id=server.project_id, host=host.host, epoch=p.epoch,
            hostname=server.hostname, zone=host.zone, security_groups=server.security_groups,
            authority=host.authority(known.token), record=step.trace, steps=(22, 23, 24),
            look_first=step.is_repeat or p.attempt > 1 or step.flow.boot_id != step.runtime.boot_id,
        )  # fmt: skip
    except (errors.BadRequest, errors.Forbidden, errors.NotFound, errors.Conflict) as refused:
        if is_quota(refused) or isinstance(refused, PortTaken) or not isinstance(refused, errors.Conflict):
            raise BuildAborted(server_id=server.id, reason=refused.text) from refused
        raise
    return {
        "vifs": msgspec.to_builtins(vifs),
        "interfaces": [msgspec.to_builtins(vif.interface()) for vif in vifs],
    }


async def unbind_ports(step: StepContext[HostServices], p: BuildParams) -> None:
    known, host = await know(step, p), step.services
    brought = [nic.port_id for nic in known.server.networks.nics if nic.port_id is not None]
    await host.networks.release_ports(p.server_id, host.authority(), brought=brought)


async def attach_volumes(step: StepContext[HostServices], p: BuildParams) -> dict[str, Any]:
    """Steps 25 to 27: make the volumes that are to be made, reserve all, and learn how to reach them."""
    known = await know(step, p)
    devices = [device for device in known.server.block_devices if device.is_volume]
    if not devices:
        _skip(step, ((25, HERE, "volume"), (26, "volume", "identity"), (27, "volume", HERE)),
              "the server has no volumes")  # fmt: skip
    found: dict[str, Any] = {}
    connections: list[dict[str, Any]] = []
    for device in devices:
        attached, connection = await connect_device(
            step.services, known.server, device, epoch=p.epoch, token=known.token, record=step.trace
        )
        found[device.id] = attached
        connections.append({"device": device.id, "connection": connection} | attached)
    return {"devices": found, "connections": connections}


async def detach_volumes(step: StepContext[HostServices], p: BuildParams) -> None:
    known = await know(step, p)
    await release_devices(step.services, known.server, token=known.token)


async def ensure_guest(step: StepContext[HostServices], p: BuildParams) -> dict[str, Any]:
    """Step 28: build the definition and start the guest; its volumes are in use from then on."""
    known, host = await know(step, p), step.services
    started = step.runtime.now()
    vifs = [msgspec.convert(vif, Vif) for vif in step.outputs["ports"]["vifs"]]
    root, volumes = _disks(step.outputs, known.server.block_devices)
    documents = await host.documents.prepare(known.server, vifs, host.authority())
    spec = guest_spec(
        known.server, root=root, volumes=volumes, vifs=vifs, epoch=p.epoch, attempt=p.attempt,
        config_drive=documents, image_properties=step.outputs["image"].get("properties", {}),
    )  # fmt: skip
    fact = await host.hypervisor.ensure_guest(spec)
    if set(fact.ports) != {vif.port_id for vif in spec.vifs}:  # built before a power cut, which took those ports' rows
        await host.hypervisor.ensure_no_guest(p.server_id, epoch=p.epoch)
        fact = await host.hypervisor.ensure_guest(spec)
    for connection in step.outputs["volumes"]["connections"]:
        await host.volumes.complete(connection["attachment_id"], host.authority())
    step.trace.add(
        Event(28, HERE, "hypervisor", started, step.runtime.now() - started, process=step.runtime.name,
              data={"guest": fact.name, "power_state": int(fact.power_state)})
    )  # fmt: skip
    return {"power_state": int(fact.power_state)}


async def ensure_no_guest(step: StepContext[HostServices], p: BuildParams) -> None:
    await step.services.hypervisor.ensure_no_guest(p.server_id, epoch=p.epoch)
    await step.services.documents.forget(p.server_id)


async def report_failure(step: StepContext[HostServices], p: BuildParams, error: errors.Error) -> None:
    """Nothing more to do: the launch's own flow reads this one's error."""


def _skip(step: StepContext[HostServices], steps: tuple[tuple[int, str, str], ...], why: str) -> None:
    now = step.runtime.now()
    for number, source, target in steps:
        step.trace.add(Event(number, source, target, now, 0, process=step.runtime.name, data={"skipped": why}))


def _disks(outputs: dict[str, Any], devices: tuple[BlockDevice, ...]) -> tuple[Any, list[Any]]:
    """The root disk and the further volumes."""
    by_id = {found["device"]: found for found in outputs["volumes"]["connections"]}
    root_device = root_of(devices)
    volumes = [
        volume_spec(by_id[device.id], device) for device in devices if device.id in by_id and device is not root_device
    ]
    if root_device is not None and root_device.id in by_id:
        return VolumeRoot(volume=volume_spec(by_id[root_device.id], root_device)), volumes
    image = {key: value for key, value in outputs["image"].items() if key not in ("properties", "type")}
    return ImageRoot(**image), volumes


BUILD_SERVER = Flow(
    NAME,
    version=1,
    params=BuildParams,
    steps=(
        Step("data", read_server_data),
        Step("image", ensure_base_image, timeout_s=1800.0),
        Step("ports", bind_ports, undo=unbind_ports),
        Step("volumes", attach_volumes, undo=detach_volumes, timeout_s=1800.0),
        Step("guest", ensure_guest, undo=ensure_no_guest),
    ),
    on_failure=report_failure,
)
