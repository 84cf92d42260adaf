"""Tags on the wire: the same for every kind that has them."""

from collections.abc import Callable, Sequence
from typing import Any

from pileus.foundation.http.request import Response, answer, empty
from pileus.network.api import access
from pileus.network.api.access import Call
from pileus.network.app import networks, ports, tags
from pileus.network.domain.errors import HTTPBadRequest, TagNotFound

MOST = 50
LONGEST = 255


async def _visible(request: Call) -> tuple[str, Any, dict[str, Any]]:
    """The kind, the thing of the path, and its target. Raises: ...NotFound (404)."""
    kind = _kind(request)
    resource_id = next(iter(request.params.values()))
    value = await tags.find(request.service, kind, resource_id)
    if value is not None:
        target = await _target(request, kind, value)
        if access.may_see(request, f"get_{kind}", target):
            return kind, value, target
    raise tags.NOT_FOUND[kind](id=resource_id)


def _kind(request: Call) -> str:
    return (request.route.policy or "").partition("_")[2].removesuffix(":tags")


async def _target(request: Call, kind: str, value: Any) -> dict[str, Any]:
    if kind == "network":
        return access.of_network(value)
    if kind == "port":
        stored = await ports.find(request.service, value.id)
        return access.of_port(value, stored.network_project_id if stored else "")
    if kind == "subnet":
        network = await networks.find(request.service, value.network_id)
        return access.of_subnet(value, network) if network else access.of_project(value.project_id)
    return {**access.of_project(value.project_id), "shared": False}


async def list_tags(request: Call) -> Response:
    _, value, target = await _visible(request)
    access.enforce(request, target)
    return answer({"tags": list(value.tags)})


async def check_tag(request: Call) -> Response:
    _, value, target = await _visible(request)
    access.enforce(request, target)
    if request.params["tag"] not in value.tags:
        raise TagNotFound(tag=request.params["tag"])
    return empty()


async def _change(request: Call, change: Callable[[Sequence[str]], Sequence[str]]) -> tuple[str, ...]:
    kind, value, target = await _visible(request)
    access.enforce(request, target)

    def checked(have: Sequence[str]) -> Sequence[str]:
        new = change(have)
        if len(set(new)) > MOST:
            raise HTTPBadRequest(reason=f"Number of tags exceeded limit of {MOST}")
        return new

    return await tags.update(request.service, kind, value.id, checked, revision=access.expected_revision(request))


async def replace_tags(request: Call) -> Response:
    return answer({"tags": list(await _change(request, lambda have: request.body["tags"]))})


async def add_tags(request: Call) -> Response:
    return answer({"tags": list(await _change(request, lambda have: [*have, *request.body["tags"]]))})


async def add_tag(request: Call) -> Response:
    tag = request.params["tag"]
    if len(tag) > LONGEST:
        raise HTTPBadRequest(reason=f"Invalid input for tag. Reason: '{tag}' exceeds maximum length of {LONGEST}.")
    await _change(request, lambda have: [*have, tag])
    return empty(201)


async def delete_tags(request: Call) -> Response:
    await _change(request, lambda have: ())
    return empty()


async def delete_tag(request: Call) -> Response:
    tag = request.params["tag"]

    def without(have: Sequence[str]) -> Sequence[str]:
        if tag not in have:
            raise TagNotFound(tag=tag)
        return [other for other in have if other != tag]

    await _change(request, without)
    return empty()
