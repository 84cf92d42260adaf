"""The volumes and interfaces of a server."""

from typing import Any

from pileus.compute.api.reach import reach_server, target_of
from pileus.compute.app import actions, interfaces, volumes
from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.errors import VolumeNotAttached
from pileus.compute.domain.network_request import NicRequest
from pileus.compute.domain.server import Server
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true
from pileus.foundation.http.versions import Version


# -- volumes ----------------------------------------------------------------------------------------------------------
async def list_volumes(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    offset = int(request.first("offset", "0") or 0)
    limit = int(request.first("limit", "0") or 0) or 1000
    devices = server.volume_devices[offset : offset + limit]
    return answer({"volumeAttachments": [_attachment(server, device, request.version) for device in devices]})


async def show_volume(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    device = _find(server, request.params["volume_id"])
    return answer({"volumeAttachment": _attachment(server, device, request.version)})


async def attach_volume(request: Request[Compute]) -> Response:
    """Begun only; from 2.101 the answer says no more than that."""
    server = await reach_server(request)
    wanted = request.body["volumeAttachment"]
    made = await actions.attach_volume(
        request.service,
        request.context,
        server,
        wanted["volumeId"],
        device=wanted.get("device"),
        tag=wanted.get("tag"),
        delete_on_termination=is_true(wanted.get("delete_on_termination", False)),
        may_override_lock=request.context.is_admin,
    )
    if request.version >= (2, 101):
        return empty(202)
    return answer({"volumeAttachment": _attachment(server, made, request.version)})


async def update_volume(request: Request[Compute]) -> Response:
    """Changes delete_on_termination (2.85); exchanging the volume for another is for the volume service alone."""
    server = await reach_server(request)
    wanted, volume_id = request.body["volumeAttachment"], request.params["volume_id"]
    device = _find(server, volume_id)
    if wanted["volumeId"] != volume_id:
        request.authorize(target_of(server), "os_compute_api:os-volumes-attachments:swap")
        raise BadRequest("Exchanging an attached volume for another is not supported by this cloud.")
    request.authorize(target_of(server), "os_compute_api:os-volumes-attachments:update")
    _check_unchanged(wanted, server, device)
    if "delete_on_termination" in wanted:
        delete = is_true(wanted["delete_on_termination"])
        await volumes.set_delete_on_termination(request.service, request.context, server.id, volume_id, delete=delete)
    return empty(202)


def _check_unchanged(wanted: dict[str, Any], server: Server, device: BlockDevice) -> None:
    fixed = {"device": device.device_name, "tag": device.tag, "serverId": server.id, "id": device.volume_id}
    for name, value in fixed.items():
        if name in wanted and wanted[name] != value:
            raise BadRequest(f"The {name} of a volume attachment cannot be changed.")


async def detach_volume(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    context = request.context
    await actions.detach_volume(
        request.service, context, server, request.params["volume_id"], may_override_lock=context.is_admin
    )
    return empty(202)


def _find(server: Server, volume_id: str) -> BlockDevice:
    for device in server.volume_devices:
        if device.volume_id == volume_id:
            return device
    raise VolumeNotAttached(server_id=server.id, volume_id=volume_id)


def _attachment(server: Server, device: BlockDevice, version: Version) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": device.volume_id,
        "volumeId": device.volume_id,
        "serverId": server.id,
        "device": device.device_name,
    }
    if version >= (2, 70):
        found["tag"] = device.tag
    if version >= (2, 79):
        found["delete_on_termination"] = device.delete_on_termination
    if version >= (2, 89):
        del found["id"]
        found["attachment_id"] = device.attachment_id
        found["bdm_uuid"] = device.id
    return found


# -- interfaces -------------------------------------------------------------------------------------------------------
async def list_interfaces(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    ports = await interfaces.listed(request.service, server)
    return answer({"interfaceAttachments": [_interface(server, port, request.version) for port in ports]})


async def show_interface(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    port = await interfaces.get(request.service, server, request.params["port_id"])
    return answer({"interfaceAttachment": _interface(server, port, request.version)})


async def attach_interface(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    wanted = (request.body or {}).get("interfaceAttachment") or {}
    fixed_ip = wanted["fixed_ips"][0]["ip_address"] if wanted.get("fixed_ips") else None
    _check_interface(wanted, fixed_ip)
    nic = NicRequest(wanted.get("net_id"), wanted.get("port_id"), fixed_ip, wanted.get("tag"))
    context = request.context
    made = await actions.attach_interface(request.service, context, server, nic, may_override_lock=context.is_admin)
    request.params["port_id"] = made.port_id
    return await show_interface(request)  # it asks policy by this route's rule, which is passed already


def _check_interface(wanted: dict[str, Any], fixed_ip: str | None) -> None:
    if wanted.get("net_id") and wanted.get("port_id"):
        raise BadRequest("Must not input both network_id and port_id")
    if fixed_ip and not wanted.get("net_id"):
        raise BadRequest("Must input network_id when request IP address")


async def detach_interface(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    context = request.context
    await actions.detach_interface(
        request.service, context, server, request.params["port_id"], may_override_lock=context.is_admin
    )
    return empty(202)


def _interface(server: Server, port: dict[str, Any], version: Version) -> dict[str, Any]:
    found: dict[str, Any] = {
        "net_id": port["network_id"],
        "port_id": port["id"],
        "mac_addr": port["mac_address"],
        "port_state": port["status"],
        "fixed_ips": port["fixed_ips"],
    }
    if version >= (2, 70):
        known = next((one for one in server.interfaces if one.port_id == port["id"]), None)
        found["tag"] = known.tag if known is not None else None
    return found
