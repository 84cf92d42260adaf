"""Traits over HTTP: which there are, and which a provider has."""

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, Param, Query, array, text
from pileus.placement.api.inventories import GENERATION
from pileus.placement.api.providers import provider_id
from pileus.placement.api.shown import stamp
from pileus.placement.app import traits
from pileus.placement.domain.errors import BadQuery, BadTraitName, TraitNotFound
from pileus.placement.domain.resource_class import NAME, is_custom, is_name
from pileus.placement.service import Placement

LIST = Query(Param("name", text(1)), Param("associated", text(1)), additional=False)
REPLACE = Body(
    None,
    Field("resource_provider_generation", GENERATION, required=True),
    Field("traits", array(text(1, 255, NAME)), required=True),
)
_BOOLEANS = {"true": True, "false": False}


async def list_traits(request: Request[Placement]) -> Response:
    only, prefix = _name_filter(request.first("name"))
    found = await traits.names(request.service, only=only, prefix=prefix, used=_associated(request))
    return answer({"traits": found}, headers=stamp(request))


def _name_filter(text: str | None) -> tuple[list[str] | None, str]:
    """The names, or the beginning of names, that a `name` parameter asks for."""
    if text is None:
        return None, ""
    operator, colon, value = text.partition(":")
    if colon and operator == "in":
        return value.split(","), ""
    if colon and operator == "startswith":
        return None, value
    raise BadQuery(complaint="Badly formatted name parameter. Expected name query string parameter in form: "
                   f"?name=[in|startswith]:[name1,name2|prefix]. Got: {text}")  # fmt: skip


def _associated(request: Request[Placement]) -> bool | None:
    value = request.first("associated")
    if value is None:
        return None
    if value.lower() not in _BOOLEANS:
        raise BadQuery(complaint=f'The query parameter "associated" only accepts "true" or "false". Got: {value}')
    return _BOOLEANS[value.lower()]


async def show_trait(request: Request[Placement]) -> Response:
    name = request.params["name"]
    if not is_name(name):
        raise TraitNotFound(name=name)
    return empty(204, stamp(request, await traits.get_moment(request.service, name)))


async def ensure_trait(request: Request[Placement]) -> Response:
    name = request.params["name"]
    if not is_custom(name):
        raise BadTraitName(name=name)
    is_new = await traits.ensure(request.service, name)
    where = ("location", request.href(f"/traits/{name}"))
    return empty(201 if is_new else 204, [where, *stamp(request)])


async def delete_trait(request: Request[Placement]) -> Response:
    name = request.params["name"]
    if not is_name(name):
        raise TraitNotFound(name=name)
    await traits.delete(request.service, name)
    return empty()


async def list_provider_traits(request: Request[Placement]) -> Response:
    provider, found = await traits.of_provider(request.service, provider_id(request))
    document = {"traits": found, "resource_provider_generation": provider.generation}
    return answer(document, headers=stamp(request))


async def replace_provider_traits(request: Request[Placement]) -> Response:
    body = request.body
    generation = await traits.replace_all(
        request.service, provider_id(request), body["resource_provider_generation"], body["traits"]
    )
    document = {"traits": sorted(set(body["traits"])), "resource_provider_generation": generation}
    return answer(document, headers=stamp(request))


async def delete_provider_traits(request: Request[Placement]) -> Response:
    await traits.delete_all(request.service, provider_id(request))
    return empty()
