"""Host aggregates over HTTP. Their id is a number; the uuid is shown from 2.41."""

from typing import Any

from pileus.compute.app import aggregates
from pileus.compute.domain.aggregate import ZONE, Aggregate
from pileus.compute.domain.moments import maybe_micros, to_micros
from pileus.compute.service import Compute
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, mapping, name, nullable, text
from pileus.foundation.http.versions import Version

_ZONE = nullable(name(255))
CREATE = Body("aggregate", Field("name", name(255), required=True), Field("availability_zone", _ZONE))
UPDATE = Body("aggregate", Field("name", name(255)), Field("availability_zone", _ZONE), at_least=1)
ADD_HOST = Body("add_host", Field("host", text(1, 255), required=True))
REMOVE_HOST = Body("remove_host", Field("host", text(1, 255), required=True))
SET_METADATA = Body(
    "set_metadata",
    Field("metadata", mapping(nullable(text(0, 255)), r"^[a-zA-Z0-9-_:. ]{1,255}$"), required=True),
)


async def list_aggregates(request: Request[Compute]) -> Response:
    found = await aggregates.listed(request.service)
    return answer({"aggregates": [_view(one, request.version) for one in found]})


async def show_aggregate(request: Request[Compute]) -> Response:
    return _shown(request, await aggregates.get(request.service, request.params["aggregate_id"]))


def _shown(request: Request[Compute], aggregate: Aggregate) -> Response:
    return answer({"aggregate": _view(aggregate, request.version)})


async def create_aggregate(request: Request[Compute]) -> Response:
    """A new aggregate has no hosts and says nothing of them."""
    body = request.body["aggregate"]
    made = await aggregates.create(request.service, body["name"], body.get("availability_zone"))
    shown = _view(made, request.version)
    del shown["hosts"], shown["metadata"]
    return answer({"aggregate": shown})


async def update_aggregate(request: Request[Compute]) -> Response:
    body = request.body["aggregate"]
    facts = {ZONE: body["availability_zone"]} if "availability_zone" in body else {}
    found = await aggregates.update(request.service, request.params["aggregate_id"], name=body.get("name"), facts=facts)
    return _shown(request, found)


async def delete_aggregate(request: Request[Compute]) -> Response:
    await aggregates.delete(request.service, request.params["aggregate_id"])
    return empty(200)


async def add_host(request: Request[Compute]) -> Response:
    host = request.body["add_host"]["host"]
    return _shown(request, await aggregates.add_host(request.service, request.params["aggregate_id"], host))


async def remove_host(request: Request[Compute]) -> Response:
    host = request.body["remove_host"]["host"]
    return _shown(request, await aggregates.remove_host(request.service, request.params["aggregate_id"], host))


async def set_metadata(request: Request[Compute]) -> Response:
    facts = request.body["set_metadata"]["metadata"]
    found = await aggregates.update(request.service, request.params["aggregate_id"], name=None, facts=facts)
    return _shown(request, found)


def _view(aggregate: Aggregate, version: Version) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": aggregate.number,
        "name": aggregate.name,
        "availability_zone": aggregate.zone,
        "metadata": aggregate.metadata,
        "hosts": aggregate.hosts,
        "created_at": to_micros(aggregate.created_at),
        "updated_at": maybe_micros(aggregate.updated_at),
        "deleted": False,
        "deleted_at": None,
    }
    if version >= (2, 41):
        shown["uuid"] = aggregate.id
    return shown
