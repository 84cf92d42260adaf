"""Resource providers over HTTP."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, Param, Query, nullable, text, uuid
from pileus.foundation.http.versions import Version
from pileus.placement.api.shown import prefix, stamp
from pileus.placement.app import provider_lists, providers
from pileus.placement.app.provider_lists import ProviderQuery
from pileus.placement.domain.errors import ProviderNotFound
from pileus.placement.domain.filters import is_uuid, parse_member_of, parse_required, parse_resources
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
    Param("name", text(), repeat=True),
    Param("uuid", uuid, repeat=True),
    Param("member_of", text(), since="1.3", repeat=True),
    Param("resources", text(), since="1.4", repeat=True),
    Param("in_tree", uuid, since="1.14", repeat=True),
    Param("required", text(), since="1.18", repeat=True),
    additional=False,
)
"""Of a parameter that may not come more than once in a version, the last counts."""

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
    found = await provider_lists.find(request.service, _query(request))
    at = prefix(request)
    document = {"resource_providers": [view(provider, request.version, at) for provider in found]}
    return answer(document, headers=stamp(request, max((each.updated_at for each in found), default=0)))


def _query(request: Request[Placement]) -> ProviderQuery:
    """What the query string asks for. Raises: BadQuery (400)."""
    given, version = request.query, request.version
    traits = given.get("required", [])[0 if version >= (1, 39) else -1 :]
    last = {name: values[-1] for name, values in given.items()}
    return ProviderQuery(
        uuid=last.get("uuid"),
        name=last.get("name") or None,
        in_tree=last.get("in_tree"),
        member_of=parse_member_of(
            given.get("member_of", ()), may_forbid=version >= (1, 32), may_repeat=version >= (1, 24)
        ),
        required=parse_required(traits, may_forbid=version >= (1, 22), may_choose=version >= (1, 39)),
        resources=parse_resources(last["resources"]) if "resources" in last else {},
    )


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
