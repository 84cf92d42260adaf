"""A volume comes to a server: reserved, reached by the host, given to the guest."""

import msgspec

from pileus.compute.domain.server import Server, changed
from pileus.compute.domain.server_states import Action
from pileus.compute.flows.change_interface import CHANGES_DEVICES
from pileus.compute.flows.saving import Change, Outcome, save_server
from pileus.compute.flows.watching import wait_for_turn
from pileus.compute.service import Compute
from pileus.compute.store import servers
from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.flow import Flow, NewFlow, Step, StepContext

NAME = "attach-volume"


class AttachParams(msgspec.Struct):
    server_id: str
    device_id: str
    volume_id: str


def new_attach(
    compute: Compute, context: Context, server: Server, device_id: str, volume_id: str, secret: bytes
) -> NewFlow:
    return NewFlow(
        id=compute.runtime.uuid(), name=NAME, version=1, subject=server.id,
        params={"server_id": server.id, "device_id": device_id, "volume_id": volume_id},
        request_id=context.request_id, secret=secret,
    )  # fmt: skip


async def reserve(step: StepContext[Compute], params: AttachParams) -> str:
    """The attachment's id."""
    compute = step.services
    await wait_for_turn(step, CHANGES_DEVICES)
    assert step.flow.secret is not None
    token = compute.sealer.open(step.flow.secret, "launch").decode()
    return await compute.volumes.reserve(params.volume_id, params.server_id, compute.users_authority(token))


async def give_back(step: StepContext[Compute], params: AttachParams) -> None:
    compute = step.services
    held = await compute.volumes.attachment_of(params.volume_id, params.server_id, compute.own_authority())
    if held is not None:
        await compute.volumes.drop(held["id"], compute.own_authority())


async def attach(step: StepContext[Compute], params: AttachParams) -> str:
    """Have the host attach it; returns the device's name in the guest, "" for a server without a host."""
    server = await servers.get(step.services.database, params.server_id)
    return await attach_on_host(step, params, server, step.outputs["reserve"])


async def attach_on_host(step: StepContext[Compute], params: AttachParams, server: Server, attachment_id: str) -> str:
    compute = step.services
    if server.host is None:
        return ""
    device = next(found for found in server.block_devices if found.id == params.device_id)
    args = {
        "server_id": server.id, "epoch": server.epoch, "volume_id": params.volume_id,
        "attachment_id": attachment_id, "device": device.device_name or "",
    }  # fmt: skip
    told = await compute.tell_host(server.host, "attach_volume", args, request_id=step.request_id, record=step.trace)
    return str(told)


async def detach(step: StepContext[Compute], params: AttachParams) -> None:
    compute = step.services
    server = await servers.find(compute.database, params.server_id)
    if server is not None and server.host is not None:
        args = {"server_id": server.id, "volume_id": params.volume_id}
        await compute.tell_host(server.host, "detach_volume", args)


async def report_done(step: StepContext[Compute], params: AttachParams) -> None:
    compute = step.services

    def with_device(server: Server) -> Server:
        devices = tuple(
            msgspec.structs.replace(
                device, attachment_id=step.outputs["reserve"],
                device_name=step.outputs["guest"] or device.device_name,
            )
            if device.id == params.device_id else device
            for device in server.block_devices
        )  # fmt: skip
        return changed(server, compute.runtime.now(), block_devices=devices)

    await save_server(compute, params.server_id, with_device, Outcome(step.request_id, Action.ATTACH_VOLUME))


async def report_failure(step: StepContext[Compute], params: AttachParams, error: errors.Error) -> None:
    outcome = Outcome(step.request_id, Action.ATTACH_VOLUME, error.text)
    await save_server(step.services, params.server_id, without_device(step.services, params.device_id), outcome)


def without_device(compute: Compute, device_id: str) -> Change:
    def change(server: Server) -> Server:
        devices = tuple(device for device in server.block_devices if device.id != device_id)
        return changed(server, compute.runtime.now(), block_devices=devices)

    return change


ATTACH_VOLUME = Flow(
    NAME,
    version=1,
    params=AttachParams,
    steps=(
        Step("reserve", reserve, undo=give_back),
        Step("guest", attach, undo=detach),
        Step("done", report_done),
    ),
    on_failure=report_failure,
)
