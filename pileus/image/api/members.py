"""Members of shared images on the wire."""

from pileus.foundation.errors import Forbidden
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.image.api.image_view import member_view
from pileus.image.api.images import permission
from pileus.image.app import members
from pileus.image.domain.errors import MemberNotFound
from pileus.image.service import ImageService

Ask = Request[ImageService]


async def list_(request: Ask) -> Response:
    image_id = request.params["image_id"]
    found = await members.list_(request.service, request.context, image_id, permission(request))
    return answer({"members": [member_view(member) for member in found], "schema": "/v2/schemas/members"})


async def show(request: Ask) -> Response:
    """A member; who may not know of it is told that there is none, never that it is forbidden."""
    image_id, member_id = request.params["image_id"], request.params["member_id"]
    try:
        member = await members.get(request.service, request.context, image_id, member_id, permission(request))
    except Forbidden as hidden:
        raise MemberNotFound(member_id=member_id, image_id=image_id) from hidden
    return answer(member_view(member))


async def add(request: Ask) -> Response:
    image_id, member_id = request.params["image_id"], request.body["member"]
    member = await members.add(request.service, request.context, image_id, member_id, permission(request))
    return answer(member_view(member))


async def update(request: Ask) -> Response:
    member = await members.answer(
        request.service, request.context, request.params["image_id"], request.params["member_id"],
        request.body["status"], permission(request),
    )  # fmt: skip
    return answer(member_view(member))


async def remove(request: Ask) -> Response:
    await members.remove(
        request.service, request.context, request.params["image_id"], request.params["member_id"], permission(request)
    )
    return empty()
