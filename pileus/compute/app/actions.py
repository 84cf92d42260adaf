"""What can be done to a server: each begins in one transaction with the flow that does it."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from pileus.compute.domain.block_device import BlockDevice, with_device_names
from pileus.compute.domain.errors import InterfaceNotFound, RootVolumeDetach, VolumeNotAttached
from pileus.compute.domain.network_request import AUTO, NetworkRequest, NicRequest
from pileus.compute.domain.server import Interface, Server, changed
from pileus.compute.domain.server_states import Action, begin, check
from pileus.compute.flows import change_interface
from pileus.compute.flows.act_on_server import call_off, new_act
from pileus.compute.flows.attach_volume import new_attach as attach_volume_flow
from pileus.compute.flows.delete_server import new_delete
from pileus.compute.flows.detach_volume import new_detach as detach_volume_flow
from pileus.compute.flows.saving import record_action
from pileus.compute.flows.watching import LOOK_AGAIN_S
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import servers
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import BadRequest, Error, Unavailable, from_wire
from pileus.foundation.flow import FlowRecord, NewFlow
from pileus.foundation.flow.model import OPEN


async def act(
    compute: Compute,
    context: Context,
    server: Server,
    action: Action,
    args: dict[str, Any] | None = None,
    *,
    secret: dict[str, str] | None = None,
    may_override_lock: bool = False,
) -> Server:
    """Begin `action`; its flow does the rest. `secret` (a password) is sealed and reaches only the host.

    Raises: Locked, NotReady, WrongState, ServerBusy, NotLaunched (409).
    """
    sealed = _sealed(compute, secret) if secret else None
    saved, record = await _promise(
        compute, context, server, action, args or {}, sealed, may_override_lock=may_override_lock
    )
    compute.runner.run(record)
    return saved


def _sealed(compute: Compute, secret: dict[str, str]) -> bytes:
    return compute.sealer.seal(msgspec.json.encode(secret), "act")


async def _promise(
    compute: Compute,
    context: Context,
    server: Server,
    action: Action,
    args: dict[str, Any],
    sealed: bytes | None,
    *,
    may_override_lock: bool = False,
) -> tuple[Server, FlowRecord]:
    """Write that the action began, and the flow that the caller lets run."""

    async def work(tx: Transaction) -> tuple[Server, FlowRecord]:
        before = await servers.get(tx, server.id)
        after = begin(before, action, compute.runtime.now(), may_override_lock=may_override_lock)
        saved = await servers.save(tx, before, after, compute.render)
        new = new_act(compute, context, saved, action, args, sealed)
        record = await compute.journal.insert(tx, new, compute.runner.owner)
        await record_action(tx, compute, context, saved, action, record.id)
        return saved, record

    return await compute.database.transact(work)


async def delete(
    compute: Compute, context: Context, server: Server, *, force: bool = False, may_override_lock: bool = False
) -> None:
    """Begin to delete, whatever else is in flight: that is cancelled in the same transaction.

    Raises: Locked (409).
    """
    action = Action.FORCE_DELETE if force else Action.DELETE

    async def work(tx: Transaction) -> tuple[FlowRecord | None, list[str]]:
        await servers.hold(tx, server.id)
        before = await servers.get(tx, server.id)
        after = begin(before, action, compute.runtime.now(), may_override_lock=may_override_lock)
        open_ids = await compute.journal.open_of(tx, server.id)
        if after is before and any(name == "delete-server" for _, name in open_ids):
            return None, []
        if after is not before:
            await servers.save(tx, before, after, compute.render)
        for flow_id, _ in open_ids:
            await compute.journal.cancel(tx, flow_id)
        new = new_delete(compute, context, server, is_forced=force)
        record = await compute.journal.insert(tx, new, compute.runner.owner)
        await record_action(tx, compute, context, after, action, record.id)
        return record, [flow_id for flow_id, _ in open_ids]

    record, cancelled = await compute.database.transact(work)
    for flow_id in cancelled:
        compute.cancel(flow_id)
    if record is not None:
        compute.runner.run(record)


async def console_output(compute: Compute, context: Context, server: Server, lines: int | None) -> str:
    """What the guest wrote to its serial console: the last `lines`, or all that is kept.

    Raises: NotReady (409) without a host.
    """
    check(server, Action.GET_CONSOLE_OUTPUT)
    assert server.host is not None
    raw: bytes = await compute.bus.call(
        host_topic(server.host), "console_output", {"server_id": server.id, "lines": lines},
        request_id=context.request_id,
    )  # fmt: skip
    return raw.decode("utf-8", "replace")


# -- volumes --------------------------------------------------------------------------------------------------------
async def attach_volume(
    compute: Compute,
    context: Context,
    server: Server,
    volume_id: str,
    *,
    device: str | None = None,
    tag: str | None = None,
    delete_on_termination: bool = False,
    may_override_lock: bool = False,
) -> BlockDevice:
    """Begin to attach a volume; the returned device carries the name that the guest will most likely give it.

    Raises: VolumeNotFound (404), BadRequest (400) for a volume that cannot be attached, WrongState (409).
    """
    volume = await compute.volumes.get(volume_id, compute.users_authority(context.token))
    if volume["status"] != "available" and not (volume.get("multiattach") and volume["status"] == "in-use"):
        raise BadRequest(
            f"Invalid volume: volume '{volume_id}' status must be 'available'. Currently in '{volume['status']}'"
        )
    secret = compute.sealer.seal(context.token.encode(), "launch")
    new_id = compute.runtime.uuid()

    async def work(tx: Transaction) -> tuple[BlockDevice, FlowRecord]:
        before = await servers.get(tx, server.id)
        check(before, Action.ATTACH_VOLUME, may_override_lock=may_override_lock)
        if any(held.volume_id == volume_id for held in before.block_devices):
            raise BadRequest(f"Invalid volume: volume {volume_id} is already attached to the server.")
        wanted = BlockDevice(
            id=new_id, source="volume", destination="volume", volume_id=volume_id, tag=tag, size=volume["size"],
            delete_on_termination=delete_on_termination,
        )  # fmt: skip
        devices = with_device_names((*before.block_devices, wanted))
        after = changed(before, compute.runtime.now(), block_devices=devices)
        saved = await servers.save(tx, before, after, compute.render)
        record = await compute.journal.insert(
            tx, attach_volume_flow(compute, context, saved, new_id, volume_id, secret), compute.runner.owner
        )
        await record_action(tx, compute, context, saved, Action.ATTACH_VOLUME, record.id)
        return devices[-1], record

    made, record = await compute.database.transact(work)
    compute.runner.run(record)
    return made


async def detach_volume(
    compute: Compute, context: Context, server: Server, volume_id: str, *, may_override_lock: bool = False
) -> None:
    """Begin to detach a volume. Raises: VolumeNotAttached (404), RootVolumeDetach (400), WrongState (409)."""

    async def work(tx: Transaction) -> FlowRecord:
        await servers.hold(tx, server.id)
        before = await servers.get(tx, server.id)
        held = next((device for device in before.block_devices if device.volume_id == volume_id), None)
        if held is None:
            raise VolumeNotAttached(server_id=server.id, volume_id=volume_id)
        check(before, Action.DETACH_VOLUME, may_override_lock=may_override_lock)
        if held.is_root:
            raise RootVolumeDetach()
        new = detach_volume_flow(compute, context, before, held.id, volume_id)
        record = await compute.journal.insert(tx, new, compute.runner.owner)
        await record_action(tx, compute, context, before, Action.DETACH_VOLUME, record.id)
        return record

    compute.runner.run(await compute.database.transact(work))


# -- interfaces -----------------------------------------------------------------------------------------------------
async def attach_interface(
    compute: Compute,
    context: Context,
    server: Server,
    nic: NicRequest,
    *,
    may_override_lock: bool = False,
) -> Interface:
    """Attach an interface and return it, once the guest has it.

    Raises: UnknownNetwork, UnknownPort (400), PortTaken, WrongState (409), and what the host says.
    """
    check(server, Action.ATTACH_INTERFACE, may_override_lock=may_override_lock)
    asked = NetworkRequest("list", (nic,)) if nic.port_id or nic.network_id else AUTO
    resolved = await compute.networks.resolve(asked, context.project_id, compute.users_authority(context.token))
    if not resolved.nics:
        raise BadRequest("There is no network to attach an interface to.")
    secret = compute.sealer.seal(context.token.encode(), "launch")
    new = change_interface.new_attach(compute, context, server, resolved.nics[0], secret)
    await _run_to_its_end(compute, context, server, Action.ATTACH_INTERFACE, new, may_override_lock=may_override_lock)
    after = await servers.get(compute.database, server.id)
    before = {interface.port_id for interface in server.interfaces}
    found = [known for known in after.interfaces if known.port_id not in before]
    return next((known for known in found if nic.port_id in (None, known.port_id)), after.interfaces[-1])


async def detach_interface(
    compute: Compute, context: Context, server: Server, port_id: str, *, may_override_lock: bool = False
) -> None:
    """Begin to detach an interface. Raises: InterfaceNotFound (404), WrongState (409)."""
    held = next((known for known in server.interfaces if known.port_id == port_id), None)
    if held is None:
        raise InterfaceNotFound(port_id=port_id)
    new = change_interface.new_detach(compute, context, server, port_id, is_ours=held.is_ours)
    await _begin_flow(compute, context, server, Action.DETACH_INTERFACE, new, may_override_lock=may_override_lock)


async def _begin_flow(
    compute: Compute, context: Context, server: Server, action: Action, new: NewFlow, *, may_override_lock: bool
) -> None:
    async def work(tx: Transaction) -> FlowRecord:
        await servers.hold(tx, server.id)
        before = await servers.get(tx, server.id)
        check(before, action, may_override_lock=may_override_lock)
        record = await compute.journal.insert(tx, new, compute.runner.owner)
        await record_action(tx, compute, context, before, action, record.id)
        return record

    compute.runner.run(await compute.database.transact(work))


async def _run_to_its_end(
    compute: Compute, context: Context, server: Server, action: Action, new: NewFlow, *, may_override_lock: bool
) -> None:
    """Begin a flow and return when it is done. Raises: what it failed with."""
    ended = compute.endings.expect(new.id)
    try:
        await _begin_flow(compute, context, server, action, new, may_override_lock=may_override_lock)
        async with compute.runtime.timeout(compute.settings.call_timeout_s):
            await _wait_for_end(compute, new.id, ended)
    except TimeoutError as slow:
        raise Unavailable("The host takes long; look at the server's actions for the outcome.") from slow
    finally:
        compute.endings.forget(new.id, ended)
    record = await compute.journal.get(new.id)
    if record is not None and record.error is not None:
        raise from_wire(record.error)


async def _wait_for_end(compute: Compute, flow_id: str, ended: asyncio.Event) -> None:
    """Return when the flow has ended: its announcement is only a nudge, and may be lost."""
    while True:
        try:
            async with compute.runtime.timeout(LOOK_AGAIN_S):
                await ended.wait()
                return
        except TimeoutError:
            if await compute.journal.state_of(flow_id) not in OPEN:
                return


# -- images ---------------------------------------------------------------------------------------------------------
async def create_image(compute: Compute, context: Context, server: Server, name: str, metadata: dict[str, str]) -> str:
    """Begin to make an image of the server's root disk; returns the image's id.

    The promise comes first: should we die before the image exists, the flow makes it.

    Raises: WrongState, ServerBusy (409), OverQuota of the image service.
    """
    image_id = compute.runtime.uuid()
    document = {
        **{key: value for key, value in _inherited(server).items() if key not in metadata},
        **metadata,
        "id": image_id,
        "name": name, "disk_format": "qcow2", "container_format": "bare", "visibility": "private",
        "min_disk": server.flavor.disk_gib, "instance_uuid": server.id, "image_type": "snapshot",
        "base_image_ref": server.image.id if server.image is not None else "", "user_id": context.user_id,
    }  # fmt: skip
    args = {"image_id": image_id, "document": document}
    sealed = _sealed(compute, {"token": context.token})
    _, record = await _promise(compute, context, server, Action.CREATE_IMAGE, args, sealed)
    try:
        await compute.images.create(document, compute.users_authority(context.token))
    except Error as refused:
        await call_off(compute, server.id, record, Action.CREATE_IMAGE, refused)
        raise
    compute.runner.run(record)
    return image_id


def _inherited(server: Server) -> dict[str, str]:
    """What an image made of a server takes over from the image it was made from."""
    properties = server.image.properties if server.image is not None else {}
    return {key: value for key, value in properties.items() if key.startswith(("hw_", "os_", "img_"))}


async def rebuild(
    compute: Compute,
    context: Context,
    server: Server,
    change: Callable[[Server], Server],
    *,
    may_override_lock: bool = False,
) -> Server:
    """Begin to build the server anew on its host; `change` tells what is different: image, name, key, metadata.

    The new epoch makes the old guest and its local disks void. Raises: WrongState, ServerBusy (409).
    """
    sealed = compute.sealer.seal(msgspec.json.encode({"token": context.token}), "act")

    async def work(tx: Transaction) -> tuple[Server, FlowRecord]:
        before = await servers.get(tx, server.id)
        now = compute.runtime.now()
        after = begin(before, Action.REBUILD, now, may_override_lock=may_override_lock)
        after = changed(change(after), now, epoch=before.epoch + 1)
        saved = await servers.save(tx, before, after, compute.render)
        new = new_act(compute, context, saved, Action.REBUILD, {}, sealed)
        record = await compute.journal.insert(tx, new, compute.runner.owner)
        await record_action(tx, compute, context, saved, Action.REBUILD, record.id)
        return saved, record

    saved, record = await compute.database.transact(work)
    compute.runner.run(record)
    return saved
