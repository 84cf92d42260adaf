"""Actions on volumes: POST /volumes/{id}/action."""

from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true
from pileus.volume.api.attachments import SHOW_CONNECTION
from pileus.volume.api.volumes import find
from pileus.volume.app import attachments, volumes
from pileus.volume.domain.volume_states import Action, VolumeStatus
from pileus.volume.service import VolumeService


def _asked(request: Request[VolumeService]) -> dict[str, Any]:
    """What stands beside the action's name."""
    return request.body[request.route.action] or {}


async def extend_volume(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    in_use = request.version >= (3, 42)
    if in_use and volume.is_attached:
        request.authorize({"project_id": volume.project_id}, "volume:extend_attached_volume")
    size = int(_asked(request)["new_size"])
    await volumes.extend(request.service, request.context, volume, size, in_use=in_use)
    return empty(202)


async def set_bootable(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    await volumes.set_bootable(request.service, volume, is_bootable=is_true(_asked(request)["bootable"]))
    return empty(200)


async def set_read_only(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    await volumes.set_read_only(request.service, volume, is_read_only=is_true(_asked(request)["readonly"]))
    return empty(202)


async def retype_volume(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    await volumes.retype(request.service, request.context, volume, _asked(request)["new_type"])
    return empty(202)


async def reset_status(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    asked = _asked(request)
    status = asked.get("status")
    if status is None and asked.get("attach_status") is None and asked.get("migration_status") is None:
        raise BadRequest("Must specify 'status', 'attach_status' or 'migration_status' for update.")
    if status is not None:
        if status.lower() not in set(VolumeStatus):
            raise BadRequest(f"Invalid input for field/attribute status. Value: {status}.")
        await volumes.reset_status(request.service, volume, VolumeStatus(status.lower()))
    return empty(202)


async def force_delete(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    await volumes.delete(request.service, request.context, volume, force=True)
    return empty(202)


# -- the old way to a server --------------------------------------------------------------------------------------
async def _move(request: Request[VolumeService], action: Action) -> Response:
    await volumes.move(request.service, await find(request), action)
    return empty(202)


async def reserve(request: Request[VolumeService]) -> Response:
    return await _move(request, Action.RESERVE)


async def unreserve(request: Request[VolumeService]) -> Response:
    return await _move(request, Action.UNRESERVE)


async def begin_detaching(request: Request[VolumeService]) -> Response:
    return await _move(request, Action.BEGIN_DETACHING)


async def roll_detaching(request: Request[VolumeService]) -> Response:
    return await _move(request, Action.ROLL_DETACHING)


async def attach_volume(request: Request[VolumeService]) -> Response:
    volume, asked = await find(request), _asked(request)
    server_id, host = asked.get("instance_uuid"), asked.get("host_name")
    if server_id and host:
        raise BadRequest(
            f"Invalid request to attach volume to an instance {server_id} and a host {host} simultaneously"
        )
    if not server_id and not host:
        raise BadRequest("Invalid request to attach volume to an invalid target")
    await attachments.attach(
        request.service, volume, server_id=server_id, host=host, device=asked["mountpoint"],
        mode=asked.get("mode") or "rw",
    )  # fmt: skip
    return empty(202)


async def detach_volume(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    await attachments.detach(request.service, request.context, volume, _asked(request).get("attachment_id"))
    return empty(202)


async def force_detach(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    await attachments.force_detach(request.service, request.context, volume, _asked(request).get("attachment_id"))
    return empty(202)


async def initialize_connection(request: Request[VolumeService]) -> Response:
    """How to reach the volume; only services and administrators learn where the data are."""
    volume = await find(request)
    connector = _asked(request)["connector"]
    found = await attachments.initialize_connection(request.service, request.context, volume, connector)
    if not request.may(SHOW_CONNECTION, {}):
        found = {"driver_volume_type": found["driver_volume_type"], "data": {}}
    return answer({"connection_info": found})


async def terminate_connection(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    await attachments.terminate_connection(request.service, request.context, volume, _asked(request)["connector"])
    return empty(202)
