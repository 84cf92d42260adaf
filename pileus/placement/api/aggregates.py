"""Aggregates of providers over HTTP."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import Body, Field, array, uuid
from pileus.placement.api.inventories import GENERATION
from pileus.placement.api.providers import provider_id
from pileus.placement.api.shown import stamp
from pileus.placement.app import aggregates
from pileus.placement.service import Placement

_GUARDED = (1, 19)
_UUIDS = array(uuid, unique=True)

REPLACE_LIST = Body(None, value=_UUIDS)
REPLACE = Body(
    None,
    Field("resource_provider_generation", GENERATION, required=True),
    Field("aggregates", _UUIDS, required=True),
)


async def list_aggregates(request: Request[Placement]) -> Response:
    generation, found = await aggregates.of_provider(request.service, provider_id(request))
    return _answer(request, generation, found)


async def replace_aggregate_list(request: Request[Placement]) -> Response:
    """As it was up to 1.18: a plain list, whatever the provider's generation."""
    uuid = provider_id(request)
    generation = await aggregates.replace_all(request.service, uuid, None, request.body)
    return _answer(request, generation, request.body)


async def replace_aggregates(request: Request[Placement]) -> Response:
    body, uuid = request.body, provider_id(request)
    wanted = body["aggregates"]
    generation = await aggregates.replace_all(request.service, uuid, body["resource_provider_generation"], wanted)
    return _answer(request, generation, wanted)


def _answer(request: Request[Placement], generation: int, found: Any) -> Response:
    document: dict[str, Any] = {"aggregates": sorted(found)}
    if request.version >= _GUARDED:
        document["resource_provider_generation"] = generation
    return answer(document, headers=stamp(request))
