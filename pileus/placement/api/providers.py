"""Resource providers over HTTP."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, Param, Query, nullable, text, uuid
from pileus.foundation.http.versions import Version
from pileus.placement.api.shown import prefix, stamp
from pileus.placement.app import provider_lists, providers
from pileus.placement.domain.errors import ProviderNotFound
from pileus.placement.domain.filters import NOTHING, is_uuid, parse_member_of, parse_required, parse_resources
from pileus.placement.domain.provider import Provider
from pileus.placement.service import Placement

CREATE = Body(
    None,
    Field("name", text(1, 200), required=True),
    Field("uuid", uuid),
    Field("parent_provider_uuid", nullable(uuid), since="1.14"),
)
UPDATE = Body(
    None,
    Field("name", text(1, 200), required=True),
    Field("parent_provider_uuid", nullable(uuid), since="1.14"),
)
LIST = Query(
    Param("name", text()),
    Param("uuid", uuid),
    Param("member_of", text(), since="1.3", until="1.23"),
    Param("member_of", text(), since="1.24", repeat=True),
    Param("resources", text(), since="1.4"),
    Param("in_tree", uuid, since="1.14"),
    Param("required", text(), since="1.18", until="1.38"),
    Param("required", text(), since="1.39", repeat=True),
    additional=False,
)

_LINKS: tuple[tuple[Version, str], ...] = (
    ((1, 0), "inventories"),
    ((1, 0), "usages"),
    ((1, 1), "aggregates"),
    ((1, 6), "traits"),
    ((1, 11), "allocations"),
)


def provider_id(request: Request[Placement]) -> str:
    """The provider that the path names. Raises: ProviderNotFound (404) for what cannot be one."""
    value = request.params["uuid"]
    if not is_uuid(value):
        raise ProviderNotFound(uuid=value)
    return value


async def list_providers(request: Request[Placement]) -> Response:
    query, version = request.query, request.version
    found = await provider_lists.find(
        request.service,
        provider_lists.ProviderQuery(
            uuid=request.first("uuid"),
            name=request.first("name"),
            in_tree=request.first("in_tree"),
            member_of=parse_member_of(query["member_of"], may_forbid=version >= (1, 32))
            if "member_of" in query
            else NOTHING,
            required=parse_required(query["required"], may_forbid=version >= (1, 22), may_choose=version >= (1, 39))
            if "required" in query
            else NOTHING,
            resources=parse_resources(query["resources"][0]) if "resources" in query else {},
        ),
    )
    at = prefix(request)
    document = {"resource_providers": [view(provider, version, at) for provider in found]}
    return answer(document, headers=stamp(request, max((each.updated_at for each in found), default=0)))


async def create_provider(request: Request[Placement]) -> Response:
    body = request.body
    new_id = body.get("uuid") or request.service.runtime.uuid()
    provider = await providers.create(request.service, new_id, body["name"], body.get("parent_provider_uuid"))
    headers = [("location", request.href(f"/resource_providers/{provider.uuid}"))]
    if request.version < (1, 20):
        return empty(201, headers)
    headers += stamp(request, provider.updated_at)
    return answer(view(provider, request.version, prefix(request)), headers=headers)


async def show_provider(request: Request[Placement]) -> Response:
    return _shown(request, await providers.get(request.service, provider_id(request)))


async def update_provider(request: Request[Placement]) -> Response:
    body, uuid = request.body, provider_id(request)
    if "parent_provider_uuid" not in body:
        return _shown(request, await providers.rename(request.service, uuid, body["name"]))
    parent = body["parent_provider_uuid"]
    may_move = request.version >= (1, 37)
    return _shown(request, await providers.change(request.service, uuid, body["name"], parent, may_move=may_move))


async def delete_provider(request: Request[Placement]) -> Response:
    await providers.delete(request.service, provider_id(request))
    return empty()


def _shown(request: Request[Placement], provider: Provider) -> Response:
    document = view(provider, request.version, prefix(request))
    return answer(document, headers=stamp(request, provider.updated_at))


def view(provider: Provider, version: Version, at: str) -> dict[str, Any]:
    """A provider as a version shows it; links begin with `at`."""
    own = f"{at}/resource_providers/{provider.uuid}"
    links = [{"rel": "self", "href": own}]
    links += [{"rel": name, "href": f"{own}/{name}"} for since, name in _LINKS if version >= since]
    shown = {"uuid": provider.uuid, "name": provider.name, "generation": provider.generation, "links": links}
    if version >= (1, 14):
        shown["parent_provider_uuid"] = provider.parent
        shown["root_provider_uuid"] = provider.root
    return shown
