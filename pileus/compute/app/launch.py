"""POST /servers: everything is checked, then rows and flows are one commit, then the flows begin.

Steps 3 to 7 of a launch happen here; what follows the 202 is `flows/launch_server.py`.
"""

import asyncio

import msgspec
from msgspec.structs import replace

from pileus.compute.domain.block_device import BlockDevice, DiskSizes, read_block_devices, root_of
from pileus.compute.domain.errors import (
    ImageNotUsable,
    UnknownFlavor,
    UnknownGroupHint,
    UnknownImage,
    UnknownKeypair,
    VolumeNotFound,
)
from pileus.compute.domain.flavor import Flavor, check_image_fits, check_zero_disk
from pileus.compute.domain.image import Image
from pileus.compute.domain.launch import LaunchFacts, LaunchRequest, group_hint, plan_servers
from pileus.compute.domain.network_request import NetworkRequest
from pileus.compute.domain.quota import check, most_that_fit
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action
from pileus.compute.flows.launch_server import new_launch
from pileus.compute.flows.saving import record_action
from pileus.compute.service import Compute
from pileus.compute.store import flavors, keypairs, quotas, server_groups, servers
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import BadRequest, NotFound
from pileus.foundation.flow import FlowRecord
from pileus.foundation.http.authority import Authority
from pileus.foundation.trace import Event, Trace

API, IDENTITY, DATABASE = "compute-api", "identity", "database"


async def launch(
    compute: Compute, context: Context, request: LaunchRequest, *, may_zero_disk: bool = False
) -> list[Server]:
    """Promise the servers that `request` asks for, and let their launch begin.

    Raises: what the request names and is not there, does not fit or is over quota (400, 403, 404, 409).
    Source: Compute API reference, "Create Server".
    """
    trace = Trace()
    began = compute.runtime.now()
    facts = await _look_up(compute, context, request, trace, may_zero_disk=may_zero_disk)
    authority = compute.users_authority(context.token)
    networks = await compute.networks.resolve(
        request.networks, context.project_id, authority, record=trace, steps=(6, 6, 6), sub="b"
    )
    groups = request.security_groups
    if any(name != "default" for name in groups):
        groups = tuple(await compute.networks.security_group_names(groups, context.project_id, authority))
    request = _with(request, networks, groups)
    checked = compute.runtime.now()
    events = _door_events(compute, context)
    events.append(Event(6, API, DATABASE, began, checked - began, process=compute.runtime.name,
                        data={"checks": ["quota", "flavor", "image", "network"]}))  # fmt: skip
    events.extend(trace.events)
    place = msgspec.to_builtins(request.place)
    secret = compute.sealer.seal(context.token.encode(), "launch")

    async def work(tx: Transaction) -> list[tuple[Server, FlowRecord]]:
        await tx.lock("quota", context.project_id)
        count = await _within_quota(tx, context.project_id, request, facts.flavor)
        made = plan_servers(
            request, facts, count=count, first_number=await servers.next_number(tx, count),
            now=compute.runtime.now(), new_id=compute.runtime.uuid,
        )  # fmt: skip
        promised = []
        for server in made:
            await servers.insert(tx, server)
            written = Event(7, DATABASE, API, checked, compute.runtime.now() - checked, process=compute.runtime.name,
                            data={"server": server.id, "vm_state": "building", "task_state": "scheduling"})  # fmt: skip
            new = new_launch(compute, context, server, secret, [*events, written], place)
            record = await compute.journal.insert(tx, new, compute.runner.owner)
            await record_action(tx, compute, context, server, Action.LAUNCH, record.id)
            promised.append((server, record))
        return promised

    promised = await compute.database.transact(work)
    for _, record in promised:
        compute.runner.run(record)
    return [server for server, _ in promised]


async def _look_up(
    compute: Compute, context: Context, request: LaunchRequest, trace: Trace, *, may_zero_disk: bool
) -> LaunchFacts:
    database, authority = compute.database, compute.users_authority(context.token)
    flavor = await flavors.find(database, request.flavor_id)
    if (
        flavor is None
        or flavor.is_disabled
        or not (context.is_admin or await flavors.may_use(database, flavor, context.project_id))
    ):
        raise UnknownFlavor(flavor_id=request.flavor_id)
    devices = read_block_devices(
        image_id=request.image_id, legacy=request.block_devices_v1, v2=request.block_devices_v2,
        sizes=DiskSizes(flavor.ephemeral_gib, flavor.swap_mib),
    )  # fmt: skip
    root = root_of(devices)
    image_id = request.image_id or (root.image_id if root is not None else None)
    image = await _image(compute, image_id, authority, trace) if image_id else None
    if not devices and image is None:
        raise BadRequest("Invalid imageRef provided.")
    is_volume_backed = root is not None and root.is_volume
    if image is not None:
        check_image_fits(flavor, image, root_volume_gib=root.size if root is not None and is_volume_backed else None)
    check_zero_disk(flavor, is_volume_backed=is_volume_backed, may_boot_from_image=may_zero_disk)
    await _check_volumes(compute, devices, authority, trace)
    return LaunchFacts(
        project_id=context.project_id,
        user_id=context.user_id,
        flavor=flavor,
        image=image if request.image_id else None,
        block_devices=devices,
        public_key=await _public_key(compute, context, request.key_name),
        server_group_id=await _group(compute, context, request),
        reservation_id=f"r-{compute.runtime.hex_id()[:8]}",
        default_zone=None,
    )


async def _image(compute: Compute, image_id: str, authority: Authority, trace: Trace) -> Image:
    try:
        image = await compute.images.get(image_id, authority, record=trace, steps=(6, 6, 6), sub="a")
    except NotFound as missing:
        raise UnknownImage() from missing
    if image.status != "active":
        raise ImageNotUsable(image_id=image_id)
    return image


async def _check_volumes(
    compute: Compute, devices: tuple[BlockDevice, ...], authority: Authority, trace: Trace
) -> None:
    wanted = [device for device in devices if device.source == "volume" and device.volume_id is not None]

    async def check(device: BlockDevice) -> None:
        volume_id = str(device.volume_id)
        try:
            volume = await compute.volumes.get(volume_id, authority, record=trace, steps=(6, 6, 6), sub="c")
        except VolumeNotFound as missing:
            raise BadRequest(f"Block Device Mapping is Invalid: failed to get volume {volume_id}.") from missing
        if volume["status"] not in ("available", "downloading") and not volume.get("multiattach"):
            raise BadRequest(
                f"Invalid volume: volume {volume_id} is {volume['status']}, it must be available to be attached."
            )
        if device.is_root and volume.get("bootable") != "true":
            raise BadRequest(f"Block Device Mapping is Invalid: Volume {volume_id} is not bootable.")

    await asyncio.gather(*(check(device) for device in wanted))


async def _public_key(compute: Compute, context: Context, name: str | None) -> str | None:
    if not name:
        return None
    keypair = await keypairs.find(compute.database, context.user_id, name)
    if keypair is None:
        raise UnknownKeypair()
    return keypair.public_key


async def _group(compute: Compute, context: Context, request: LaunchRequest) -> str | None:
    group_id = group_hint(request.scheduler_hints)
    if group_id is None:
        return None
    group = await server_groups.find(compute.database, group_id)
    if group is None or (group.project_id != context.project_id and not context.is_admin):
        raise UnknownGroupHint(group_id=group_id)
    return group_id


async def _within_quota(tx: Transaction, project_id: str, request: LaunchRequest, flavor: Flavor) -> int:
    """How many of the wanted servers the quota admits. Raises: QuotaExceeded (403)."""
    limits = await quotas.limits(tx, project_id)
    used = await servers.used(tx, project_id)
    one = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.ram_mib}
    check(limits, used, {name: amount * request.min_count for name, amount in one.items()})
    return most_that_fit(limits, used, one, max(request.min_count, request.max_count))


def _with(request: LaunchRequest, networks: NetworkRequest, groups: tuple[str, ...]) -> LaunchRequest:
    if networks is request.networks and groups == request.security_groups:
        return request
    return replace(request, networks=networks, security_groups=groups)


def _door_events(compute: Compute, context: Context) -> list[Event]:
    """Steps 3 to 5: the request, and what identity said of its token."""
    name = compute.runtime.name
    events = [Event(3, "client", API, context.started, 0, process=name, data={"request": "POST /servers"})]
    for event in context.trace.events:
        if event.data.get("kind") == "validate":
            ended = event.start + event.duration_us
            event.step = 4
            events.append(event)
            caller = context.caller
            told = {"user": caller.user_id, "project": caller.project_id, "roles": sorted(caller.roles),
                    "audit_id": caller.audit_id}  # fmt: skip
            events.append(Event(5, IDENTITY, API, ended, 0, process=name, cached=event.cached,
                                validated_by=event.validated_by, data=told))  # fmt: skip
    return events
