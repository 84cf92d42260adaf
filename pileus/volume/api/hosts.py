"""What hypervisor hosts may ask of block storage: attachments of servers placed there, and volumes made for them."""

from typing import Any

from pileus.foundation.http.hosts import HostRule, refuse, with_users_rights
from pileus.foundation.http.request import Request
from pileus.volume.api.volume_filters import read_mapping
from pileus.volume.app import of_hosts
from pileus.volume.domain.errors import AttachmentNotFound, VolumeNotFound
from pileus.volume.domain.volume import find_attachment
from pileus.volume.service import VolumeService

Call = Request[VolumeService]

MADE_FOR = "pileus_server"
"""In the metadata of a volume that a host made for a server's block device."""


async def list_volumes(request: Call, host: str) -> None:
    """Volumes that were made for a server placed there."""
    wanted = read_mapping(request.first("metadata"), "metadata")
    await request.service.whereabouts.check(request, host, [wanted.get(MADE_FOR)])


async def show_volume(request: Call, host: str) -> None:
    """One that was made for such a server, or that such a server has."""
    try:
        volume = await of_hosts.volume(request.service, request.params["volume_id"])
    except VolumeNotFound:
        return  # the handler says so
    made_for = volume.metadata.get(MADE_FOR)
    holders = [made_for] if made_for else [held.server_id for held in volume.attachments]
    await request.service.whereabouts.check(request, host, holders)


async def delete_volume(request: Call, host: str) -> None:
    """One that was made for such a server."""
    try:
        volume = await of_hosts.volume(request.service, request.params["volume_id"])
    except VolumeNotFound:
        return
    await request.service.whereabouts.check(request, host, [volume.metadata.get(MADE_FOR)])


async def list_attachments(request: Call, host: str) -> None:
    await request.service.whereabouts.check(request, host, [request.first("instance_id")])


async def create_attachment(request: Call, host: str) -> None:
    """As the user whose token comes along may, for such a server."""
    await with_users_rights(request, host)
    await request.service.whereabouts.check(request, host, [_asked(request).get("instance_uuid")])


async def touch_attachment(request: Call, host: str) -> None:
    """One of such a server; the connector is this host's."""
    attachment_id = request.params["attachment_id"]
    try:
        volume = await of_hosts.volume_of_attachment(request.service, attachment_id)
    except AttachmentNotFound:
        return
    if request.method == "PUT":
        connector = _asked(request).get("connector")
        if not isinstance(connector, dict) or connector.get("host") != host:
            raise refuse(request, host)
    held = find_attachment(volume, attachment_id)
    await request.service.whereabouts.check(request, host, [held.server_id if held is not None else None])


def _asked(request: Call) -> dict[str, Any]:
    found = request.body.get("attachment") if isinstance(request.body, dict) else None
    return found if isinstance(found, dict) else {}


_OP = "block-storage:"
HOSTS: dict[str, HostRule] = {
    f"{_OP}get:volumes/detail": list_volumes,
    f"{_OP}post:volumes": with_users_rights,
    f"{_OP}get:volumes/*": show_volume,
    f"{_OP}delete:volumes/*": delete_volume,
    f"{_OP}get:attachments/detail": list_attachments,
    f"{_OP}post:attachments": create_attachment,
    f"{_OP}put:attachments/*": touch_attachment,
    f"{_OP}post:attachments/*/action:os-complete": touch_attachment,
    f"{_OP}delete:attachments/*": touch_attachment,
}
