"""Attachments on the wire: what compute uses since 3.27."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.volume.api.paging import limit_of, marker_of, next_page, offset_of
from pileus.volume.api.volume_filters import project_of
from pileus.volume.app import attachments, volumes
from pileus.volume.domain.moments import to_micros
from pileus.volume.domain.volume import Attachment, Volume
from pileus.volume.service import VolumeService

SHOW_CONNECTION = "volume:attachment_connection_info"


def brief(held: Attachment) -> dict[str, Any]:
    return {
        "id": held.id, "status": held.status.value, "instance": held.server_id, "volume_id": held.volume_id,
    }  # fmt: skip


def detail(request: Request[VolumeService], held: Attachment) -> dict[str, Any]:
    """With the connection for services and administrators: it tells where the data are."""
    return {
        **brief(held),
        "attached_at": to_micros(held.attached_at) if held.attached_at is not None else "",
        "detached_at": "",
        "attach_mode": held.mode,
        "connection_info": connection_info(held) if request.may(SHOW_CONNECTION, {}) else {},
    }


def connection_info(held: Attachment) -> dict[str, Any]:
    """The connection flat, as attachments have it."""
    if held.connection is None:
        return {}
    return {
        **held.connection.get("data", {}),
        "driver_volume_type": held.connection.get("driver_volume_type"),
        "attachment_id": held.id,
        "volume_id": held.volume_id,
        "access_mode": held.mode,
        "encrypted": False,
    }


async def _find(request: Request[VolumeService]) -> tuple[Volume, Attachment]:
    """The attachment that the path names, if the caller may do this to it. Raises: AttachmentNotFound (404)."""
    volume, held = await attachments.get(request.service, request.context, request.params["attachment_id"])
    request.authorize({"project_id": volume.project_id, "user_id": volume.user_id})
    return volume, held


async def create_attachment(request: Request[VolumeService]) -> Response:
    asked = request.body["attachment"]
    volume = await volumes.get(request.service, request.context, asked["volume_uuid"])
    request.authorize({"project_id": volume.project_id, "user_id": volume.user_id})
    mode = asked.get("mode") or "rw"
    held = await attachments.create(request.service, volume, asked.get("instance_uuid"), mode=mode)
    if asked.get("connector"):
        held = await attachments.connect(
            request.service, request.context, await volumes.get(request.service, request.context, volume.id), held.id,
            asked["connector"],
        )  # fmt: skip
    return answer({"attachment": detail(request, held)})


async def show_attachment(request: Request[VolumeService]) -> Response:
    _, held = await _find(request)
    return answer({"attachment": detail(request, held)})


async def list_attachments(request: Request[VolumeService]) -> Response:
    return await _list(request, "/attachments", brief)


async def list_attachments_detail(request: Request[VolumeService]) -> Response:
    return await _list(request, "/attachments/detail", lambda held: detail(request, held))


async def _list(request: Request[VolumeService], path: str, render: Any) -> Response:
    equal = {
        column: value
        for name, column in (("instance_id", "server_id"), ("volume_id", "volume_id"), ("status", "status"))
        if (value := request.first(name)) is not None
    }
    found = await attachments.page(
        request.service, project_id=project_of(request), equal=equal, limit=limit_of(request),
        offset=offset_of(request), marker=marker_of(request),
    )  # fmt: skip
    document: dict[str, Any] = {"attachments": [render(held) for held in found]}
    links = next_page(request, path, found, found[-1].id if found else "")
    if links is not None:
        document["attachments_links"] = links
    return answer(document)


async def update_attachment(request: Request[VolumeService]) -> Response:
    volume, held = await _find(request)
    connector = request.body["attachment"]["connector"]
    after = await attachments.connect(request.service, request.context, volume, held.id, connector)
    return answer({"attachment": detail(request, after)})


async def complete_attachment(request: Request[VolumeService]) -> Response:
    volume, held = await _find(request)
    await attachments.complete(request.service, volume, held.id)
    return empty(204)


async def delete_attachment(request: Request[VolumeService]) -> Response:
    volume, held = await _find(request)
    left = await attachments.delete(request.service, request.context, volume, held.id)
    return answer({"attachments": [brief(one) for one in left]})
