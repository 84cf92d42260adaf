"""Inventories over HTTP."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, integer, number, object_, text
from pileus.placement.api.providers import provider_id
from pileus.placement.api.shown import stamp
from pileus.placement.app import inventories
from pileus.placement.domain.inventory import MAX_INT, Inventory
from pileus.placement.domain.resource_class import NAME
from pileus.placement.service import Placement

MAX_GENERATION = (1 << 63) - 2
MAX_RATIO = 1e9

CLASS_NAME = text(1, 255, NAME)
GENERATION = integer(0, MAX_GENERATION)
RECORD = (
    Field("total", integer(1, MAX_INT), required=True),
    Field("reserved", integer(0, MAX_INT)),
    Field("min_unit", integer(1, MAX_INT)),
    Field("max_unit", integer(1, MAX_INT)),
    Field("step_size", integer(1, MAX_INT)),
    Field("allocation_ratio", number(0, MAX_RATIO)),
)
ALL = (
    Field("resource_provider_generation", GENERATION, required=True),
    Field("inventories", object_(Field(NAME, object_(*RECORD), pattern=True)), required=True),
)
CREATE = Body(
    None, Field("resource_class", CLASS_NAME, required=True), Field("resource_provider_generation", GENERATION), *RECORD
)
REPLACE = Body(None, *ALL)
UPDATE = Body(None, Field("resource_provider_generation", GENERATION, required=True), *RECORD)

_WHOLE = (1, 26)


def inventory(name: str, record: Mapping[str, Any]) -> Inventory:
    """The inventory that a part of a body says."""
    return Inventory(
        name,
        record["total"],
        record.get("reserved", 0),
        record.get("min_unit", 1),
        record.get("max_unit", MAX_INT),
        record.get("step_size", 1),
        float(record.get("allocation_ratio", 1.0)),
    )


async def list_inventories(request: Request[Placement]) -> Response:
    generation, found = await inventories.of_provider(request.service, provider_id(request))
    return _all(request, generation, list(found.values()))


async def create_inventory(request: Request[Placement]) -> Response:
    body, uuid = request.body, provider_id(request)
    wanted = inventory(body["resource_class"], body)
    generation = await inventories.add(
        request.service,
        uuid,
        body.get("resource_provider_generation"),
        wanted,
        may_reserve_all=request.version >= _WHOLE,
    )
    where = request.href(f"/resource_providers/{uuid}/inventories/{wanted.resource_class}")
    document = {"resource_provider_generation": generation} | view(wanted)
    return answer(document, 201, [("location", where), *stamp(request)])


async def replace_inventories(request: Request[Placement]) -> Response:
    body, uuid = request.body, provider_id(request)
    wanted = [inventory(name, record) for name, record in body["inventories"].items()]
    generation = await inventories.replace_all(
        request.service,
        uuid,
        body["resource_provider_generation"],
        wanted,
        may_reserve_all=request.version >= _WHOLE,
    )
    return _all(request, generation, wanted)


async def show_inventory(request: Request[Placement]) -> Response:
    generation, found = await inventories.get(request.service, provider_id(request), request.params["resource_class"])
    document = {"resource_provider_generation": generation} | view(found)
    return answer(document, headers=stamp(request, found.updated_at))


async def update_inventory(request: Request[Placement]) -> Response:
    body, uuid = request.body, provider_id(request)
    wanted = inventory(request.params["resource_class"], body)
    generation = await inventories.change(
        request.service,
        uuid,
        body["resource_provider_generation"],
        wanted,
        may_reserve_all=request.version >= _WHOLE,
    )
    return answer({"resource_provider_generation": generation} | view(wanted), headers=stamp(request))


async def delete_inventory(request: Request[Placement]) -> Response:
    await inventories.delete(request.service, provider_id(request), request.params["resource_class"])
    return empty()


async def delete_inventories(request: Request[Placement]) -> Response:
    await inventories.delete_all(request.service, provider_id(request))
    return empty()


def _all(request: Request[Placement], generation: int, found: list[Inventory]) -> Response:
    document = {
        "resource_provider_generation": generation,
        "inventories": {each.resource_class: view(each) for each in found},
    }
    return answer(document, headers=stamp(request, max((each.updated_at for each in found), default=0)))


def view(found: Inventory) -> dict[str, Any]:
    return {
        "total": found.total,
        "reserved": found.reserved,
        "min_unit": found.min_unit,
        "max_unit": found.max_unit,
        "step_size": found.step_size,
        "allocation_ratio": found.allocation_ratio,
    }
