"""An interface comes to a server, or leaves it: its port, then the guest, then the server's row."""

from typing import Any

import msgspec

from pileus.compute.domain.network_request import NetworkRequest, NicRequest
from pileus.compute.domain.server import Interface, Server, changed
from pileus.compute.domain.server_states import Action
from pileus.compute.flows.saving import Change, Outcome, save_server
from pileus.compute.flows.watching import wait_for_turn
from pileus.compute.peers.network import Vif
from pileus.compute.service import Compute
from pileus.compute.store import servers
from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.flow import Flow, NewFlow, Step, StepContext

ATTACH, DETACH = "attach-interface", "detach-interface"
CHANGES_DEVICES = frozenset({ATTACH, DETACH, "attach-volume", "detach-volume"})
"""Flows that take their turn; a rebuild waits for them too."""


class AttachParams(msgspec.Struct):
    server_id: str
    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class DetachParams(msgspec.Struct):
    server_id: str
    port_id: str
    is_ours: bool


def new_attach(compute: Compute, context: Context, server: Server, nic: NicRequest, secret: bytes) -> NewFlow:
    return NewFlow(
        id=compute.runtime.uuid(), name=ATTACH, version=1, subject=server.id, request_id=context.request_id,
        params={"server_id": server.id, **msgspec.to_builtins(nic)}, secret=secret,
    )  # fmt: skip


def new_detach(compute: Compute, context: Context, server: Server, port_id: str, *, is_ours: bool) -> NewFlow:
    return NewFlow(
        id=compute.runtime.uuid(), name=DETACH, version=1, subject=server.id, request_id=context.request_id,
        params={"server_id": server.id, "port_id": port_id, "is_ours": is_ours},
    )  # fmt: skip


async def bind_port(step: StepContext[Compute], params: AttachParams) -> Any:
    """The port, made or brought, bound to the server's host; found again by our mark when repeated."""
    compute = step.services
    await wait_for_turn(step, CHANGES_DEVICES)
    server = await servers.get(compute.database, params.server_id)
    assert step.flow.secret is not None and server.host is not None
    token = compute.sealer.open(step.flow.secret, "launch").decode()
    nic = NicRequest(params.network_id, params.port_id, params.fixed_ip, params.tag)
    known = frozenset(interface.port_id for interface in server.interfaces)
    vifs = await compute.networks.ensure_ports(
        server.id, NetworkRequest("list", (nic,)), project_id=server.project_id, host=server.host,
        epoch=server.epoch, hostname=server.hostname, zone=server.availability_zone or "",
        security_groups=server.security_groups, authority=compute.users_authority(token), known=known,
    )  # fmt: skip
    return msgspec.to_builtins(vifs[0])


async def release_port(step: StepContext[Compute], params: AttachParams) -> None:
    compute = step.services
    server = await servers.find(compute.database, params.server_id)
    if server is None:
        return
    known = {interface.port_id for interface in server.interfaces}
    brought = [params.port_id] if params.port_id else []
    await compute.networks.release_ports(params.server_id, compute.own_authority(), brought=brought, keep=known)


async def plug(step: StepContext[Compute], params: AttachParams) -> None:
    await _tell_host(step, params.server_id, "attach_interface", vif=step.outputs["port"])


async def unplug(step: StepContext[Compute], params: AttachParams) -> None:
    if "port" in step.outputs:
        await _tell_host(step, params.server_id, "detach_interface", port_id=step.outputs["port"]["port_id"])


async def _tell_host(step: StepContext[Compute], server_id: str, method: str, **args: Any) -> None:
    compute = step.services
    server = await servers.find(compute.database, server_id)
    if server is not None and server.host is not None:
        await compute.tell_host(
            server.host, method, {"server_id": server_id, **args}, request_id=step.request_id, record=step.trace
        )


async def report_attached(step: StepContext[Compute], params: AttachParams) -> None:
    compute = step.services
    interface = msgspec.convert(step.outputs["port"], Vif).interface()

    def with_interface(server: Server) -> Server:
        others = tuple(known for known in server.interfaces if known.port_id != interface.port_id)
        return changed(server, compute.runtime.now(), interfaces=(*others, interface))

    await save_server(compute, params.server_id, with_interface, Outcome(step.request_id, Action.ATTACH_INTERFACE))


async def forget_attached(step: StepContext[Compute], params: AttachParams) -> None:
    if "port" in step.outputs:
        change = _without(step.services, step.outputs["port"]["port_id"])
        await save_server(step.services, params.server_id, change)


async def unplug_leaving(step: StepContext[Compute], params: DetachParams) -> None:
    await wait_for_turn(step, CHANGES_DEVICES)
    await _tell_host(step, params.server_id, "detach_interface", port_id=params.port_id)


async def plug_again(step: StepContext[Compute], params: DetachParams) -> None:
    """Give the guest its interface back, if the port is still the server's."""
    compute = step.services
    server = await servers.find(compute.database, params.server_id)
    if server is None:
        return
    for vif in await compute.networks.vifs_of(server, compute.own_authority()):
        if vif.port_id == params.port_id:
            await _tell_host(step, params.server_id, "attach_interface", vif=msgspec.to_builtins(vif))


async def release_leaving(step: StepContext[Compute], params: DetachParams) -> None:
    compute = step.services
    server = await servers.find(compute.database, params.server_id)
    others = {known.port_id for known in server.interfaces if known.port_id != params.port_id} if server else set()
    brought = [] if params.is_ours else [params.port_id]
    await compute.networks.release_ports(params.server_id, compute.own_authority(), brought=brought, keep=others)


async def report_detached(step: StepContext[Compute], params: DetachParams) -> None:
    outcome = Outcome(step.request_id, Action.DETACH_INTERFACE)
    await save_server(step.services, params.server_id, _without(step.services, params.port_id), outcome)


def _without(compute: Compute, port_id: str) -> Change:
    """The server without the interface of this port."""

    def change(server: Server) -> Server:
        left: tuple[Interface, ...] = tuple(known for known in server.interfaces if known.port_id != port_id)
        return server if left == server.interfaces else changed(server, compute.runtime.now(), interfaces=left)

    return change


async def attach_failed(step: StepContext[Compute], params: AttachParams, error: errors.Error) -> None:
    outcome = Outcome(step.request_id, Action.ATTACH_INTERFACE, error.text)
    await save_server(step.services, params.server_id, lambda server: server, outcome)


async def detach_failed(step: StepContext[Compute], params: DetachParams, error: errors.Error) -> None:
    """The server keeps its interface, unless the port was given up before something failed."""
    compute = step.services
    ports = await compute.networks.interfaces(params.server_id, compute.own_authority())
    is_there = any(port["id"] == params.port_id for port in ports)
    outcome = Outcome(step.request_id, Action.DETACH_INTERFACE, error.text)
    change = _without(compute, params.port_id)
    await save_server(compute, params.server_id, lambda server: server if is_there else change(server), outcome)


ATTACH_INTERFACE = Flow(
    ATTACH,
    version=1,
    params=AttachParams,
    steps=(
        Step("port", bind_port, undo=release_port),
        Step("guest", plug, undo=unplug),
        Step("done", report_attached, undo=forget_attached),
    ),
    on_failure=attach_failed,
)

DETACH_INTERFACE = Flow(
    DETACH,
    version=1,
    params=DetachParams,
    steps=(
        Step("guest", unplug_leaving, undo=plug_again, retry_after_s=(1.0, 5.0)),
        Step("port", release_leaving, retry_after_s=(0.2, 1.0, 5.0)),
        Step("done", report_detached),
    ),
    on_failure=detach_failed,
)
