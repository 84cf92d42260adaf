"""Messages on the wire: why something ended in error."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Param, Query, text
from pileus.volume.api.paging import LIMIT, MARKER, OFFSET, base_of, limit_of, marker_of, next_page, offset_of
from pileus.volume.app import messages
from pileus.volume.domain.errors import MarkerNotFound
from pileus.volume.domain.moments import to_micros
from pileus.volume.service import VolumeService

LIST = Query(LIMIT, MARKER, OFFSET, Param("resource_uuid", text()), Param("event_id", text()))


def _view(request: Request[VolumeService], message: messages.Message) -> dict[str, Any]:
    path = f"{base_of(request)}/messages/{message.id}"
    return {
        "id": message.id,
        "event_id": message.event_id,
        "user_message": message.text,
        "message_level": "ERROR",
        "created_at": to_micros(message.created_at),
        "guaranteed_until": to_micros(message.ends_at),
        "request_id": message.request_id,
        "resource_type": "VOLUME",
        "resource_uuid": message.resource_id,
        "links": [{"rel": "self", "href": path}, {"rel": "bookmark", "href": path.replace("/v3", "", 1)}],
    }


async def _find(request: Request[VolumeService]) -> messages.Message:
    message = await messages.get(request.service, request.context, request.params["message_id"])
    request.authorize({"project_id": message.project_id})
    return message


async def list_messages(request: Request[VolumeService]) -> Response:
    found = await messages.of_project(request.service, request.context.project_id)
    for name, attribute in (("resource_uuid", "resource_id"), ("event_id", "event_id")):
        wanted = request.first(name)
        if wanted is not None:
            found = [message for message in found if getattr(message, attribute) == wanted]
    marker = marker_of(request)
    if marker is not None:
        at = next((number for number, message in enumerate(found) if message.id == marker), None)
        if at is None:
            raise MarkerNotFound(marker=marker)
        found = found[at + 1 :]
    page = found[offset_of(request) :][: limit_of(request)]
    document: dict[str, Any] = {"messages": [_view(request, message) for message in page]}
    links = next_page(request, "/messages", page, page[-1].id if page else "")
    if links is not None:
        document["messages_links"] = links
    return answer(document)


async def show_message(request: Request[VolumeService]) -> Response:
    return answer({"message": _view(request, await _find(request))})


async def delete_message(request: Request[VolumeService]) -> Response:
    await messages.delete(request.service, await _find(request))
    return empty(204)
