"""Resource classes over HTTP."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, text
from pileus.placement.api.shown import prefix, stamp
from pileus.placement.app import resource_classes
from pileus.placement.domain.errors import BadResourceClassName, ResourceClassNotFound
from pileus.placement.domain.resource_class import CUSTOM_NAME, is_custom, is_name
from pileus.placement.service import Placement

_NAMED = Field("name", text(1, 255, CUSTOM_NAME), required=True)
CREATE = Body(None, _NAMED)
RENAME = Body(None, _NAMED)


async def list_resource_classes(request: Request[Placement]) -> Response:
    at = prefix(request)
    found = [view(name, at) for name in await resource_classes.names(request.service)]
    return answer({"resource_classes": found}, headers=stamp(request))


async def create_resource_class(request: Request[Placement]) -> Response:
    name = request.body["name"]
    await resource_classes.create(request.service, name)
    return empty(201, [_location(request, name)])


async def show_resource_class(request: Request[Placement]) -> Response:
    name = _name(request)
    moment = await resource_classes.get_moment(request.service, name)
    return answer(view(name, prefix(request)), headers=stamp(request, moment))


async def rename_resource_class(request: Request[Placement]) -> Response:
    """As it was up to 1.6: PUT gives another name."""
    wanted = request.body["name"]
    await resource_classes.rename(request.service, _name(request), wanted)
    return answer(view(wanted, prefix(request)))


async def ensure_resource_class(request: Request[Placement]) -> Response:
    name = request.params["name"]
    if not is_custom(name):
        raise BadResourceClassName(name=name)
    is_new = await resource_classes.ensure(request.service, name)
    return empty(201 if is_new else 204, [_location(request, name)])


async def delete_resource_class(request: Request[Placement]) -> Response:
    await resource_classes.delete(request.service, _name(request))
    return empty()


def _name(request: Request[Placement]) -> str:
    name = request.params["name"]
    if not is_name(name):
        raise ResourceClassNotFound(name=name)
    return name


def _location(request: Request[Placement], name: str) -> tuple[str, str]:
    return "location", request.href(f"/resource_classes/{name}")


def view(name: str, at: str) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": f"{at}/resource_classes/{name}"}]}
