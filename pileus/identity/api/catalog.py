"""Regions, services and endpoints over HTTP."""

from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.identity.api import views
from pileus.identity.api.bodies import own_attributes
from pileus.identity.api.listing import collection, read_filters
from pileus.identity.app import catalog as app
from pileus.identity.app.service import Identity
from pileus.identity.domain.catalog import INTERFACES, Endpoint, Region, Service
from pileus.identity.domain.errors import Unchangeable

Asked = Request[Identity]

_REGION = frozenset({"id", "description", "parent_region_id", "links"})
_SERVICE = frozenset({"id", "type", "name", "enabled", "description", "links"})
_ENDPOINT = frozenset({"id", "interface", "service_id", "url", "region", "region_id", "enabled", "links"})


def _check_id(body: dict[str, Any], id: str) -> None:
    if "id" in body and body["id"] != id:
        raise Unchangeable(attribute="ID")


# -- regions ------------------------------------------------------------------------------------------------
async def list_regions(request: Asked) -> Response:
    conditions = read_filters(request, {"parent_region_id": "parent_region_id"})
    found = await app.list_regions(request.service, conditions)
    return collection(request, "regions", [views.region(request, each) for each in found])


async def show_region(request: Asked) -> Response:
    return answer({"region": views.region(request, await app.get_region(request.service, request.params["region_id"]))})


def _region(body: dict[str, Any], id: str) -> Region:
    return Region(
        id=id,
        description=body.get("description") or "",
        parent_region_id=body.get("parent_region_id"),
        extra=own_attributes(body, _REGION),
    )


async def create_region(request: Asked) -> Response:
    body = request.body["region"]
    made = await app.create_region(request.service, _region(body, body.get("id", "")))
    return answer({"region": views.region(request, made)}, 201)


async def put_region(request: Asked) -> Response:
    """Make a region with the id in the path."""
    body, id = request.body["region"], request.params["region_id"]
    _check_id(body, id)
    made = await app.create_region(request.service, _region(body, id))
    return answer({"region": views.region(request, made)}, 201)


async def update_region(request: Asked) -> Response:
    body, id = request.body["region"], request.params["region_id"]
    _check_id(body, id)
    changes: dict[str, Any] = {"extra": own_attributes(body, _REGION)}
    if "description" in body:
        changes["description"] = body["description"] or ""
    if "parent_region_id" in body:
        changes["parent_region_id"] = body["parent_region_id"]
    return answer({"region": views.region(request, await app.update_region(request.service, id, changes))})


async def delete_region(request: Asked) -> Response:
    await app.delete_region(request.service, request.params["region_id"])
    return empty()


# -- services -----------------------------------------------------------------------------------------------
async def list_services(request: Asked) -> Response:
    found = await app.list_services(request.service, read_filters(request, {"type": "type", "name": "name"}))
    return collection(request, "services", [views.service(request, each) for each in found])


async def show_service(request: Asked) -> Response:
    service = await app.get_service(request.service, request.params["service_id"])
    return answer({"service": views.service(request, service)})


async def create_service(request: Asked) -> Response:
    body = request.body["service"]
    service = Service(
        id="",
        type=body["type"],
        name=body.get("name", ""),
        enabled=body.get("enabled", True),
        description=body.get("description"),
        extra=own_attributes(body, _SERVICE),
    )
    return answer({"service": views.service(request, await app.create_service(request.service, service))}, 201)


async def update_service(request: Asked) -> Response:
    body, id = request.body["service"], request.params["service_id"]
    _check_id(body, id)
    known = ("type", "name", "description", "enabled")
    changes: dict[str, Any] = {name: body[name] for name in known if name in body}
    changes["extra"] = own_attributes(body, _SERVICE)
    return answer({"service": views.service(request, await app.update_service(request.service, id, changes))})


async def delete_service(request: Asked) -> Response:
    await app.delete_service(request.service, request.params["service_id"])
    return empty()


# -- endpoints ----------------------------------------------------------------------------------------------
async def list_endpoints(request: Asked) -> Response:
    interface = request.first("interface")
    if interface is not None and interface not in INTERFACES:
        known = list(INTERFACES)
        raise BadRequest(
            f"Invalid input for field/attribute interface. Value: {interface}. {interface!r} is not one of {known}"
        )
    exact = {"interface": "interface", "service_id": "service_id", "region_id": "region_id", "region": "region_id"}
    found = await app.list_endpoints(request.service, read_filters(request, exact))
    return collection(request, "endpoints", [views.endpoint(request, each) for each in found])


async def show_endpoint(request: Asked) -> Response:
    endpoint = await app.get_endpoint(request.service, request.params["endpoint_id"])
    return answer({"endpoint": views.endpoint(request, endpoint)})


async def create_endpoint(request: Asked) -> Response:
    """The older word `region` makes the region where it is missing; `region_id` must name one."""
    body = request.body["endpoint"]
    region_id = body.get("region_id")
    endpoint = Endpoint(
        id="",
        interface=body["interface"],
        service_id=body["service_id"],
        url=body["url"],
        region_id=region_id or body.get("region"),
        enabled=body.get("enabled", True),
        extra=own_attributes(body, _ENDPOINT),
    )
    made = await app.create_endpoint(request.service, endpoint, "" if region_id else body.get("region", ""))
    return answer({"endpoint": views.endpoint(request, made)}, 201)


async def update_endpoint(request: Asked) -> Response:
    body, id = request.body["endpoint"], request.params["endpoint_id"]
    _check_id(body, id)
    changes: dict[str, Any] = {
        name: body[name] for name in ("interface", "service_id", "url", "region_id", "enabled") if name in body
    }
    new_region = ""
    if "region" in body and not body.get("region_id"):
        new_region = changes["region_id"] = body["region"]
    changes["extra"] = own_attributes(body, _ENDPOINT)
    updated = await app.update_endpoint(request.service, id, changes, new_region)
    return answer({"endpoint": views.endpoint(request, updated)})


async def delete_endpoint(request: Asked) -> Response:
    await app.delete_endpoint(request.service, request.params["endpoint_id"])
    return empty()
