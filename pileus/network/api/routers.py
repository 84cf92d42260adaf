"""Routers and their interfaces on the wire."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.http.request import Response, answer, empty
from pileus.network.api import access, collection
from pileus.network.api.access import Call
from pileus.network.api.bodies import is_true
from pileus.network.api.kinds import ROUTERS
from pileus.network.api.ports import wishes
from pileus.network.app import networks, ports, router_interfaces, routers, subnets
from pileus.network.app.router_interfaces import Interface
from pileus.network.app.routers import GatewayRequest, NewRouter, RouterChange
from pileus.network.domain.errors import PortNotFound, RouterNotFound, SubnetNotFound
from pileus.network.domain.router import Router
from pileus.network.domain.subnet import Route

GATEWAY = "external_gateway_info"


async def list_routers(request: Call) -> Response:
    return await collection.many(ROUTERS, request)


async def show_router(request: Call) -> Response:
    router, target = await _visible(request)
    return collection.one(ROUTERS, request, router, target)


async def _visible(request: Call) -> tuple[Router, dict[str, Any]]:
    """The router of the path with its target. Raises: RouterNotFound (404)."""
    router_id = request.params["router_id"]
    router = await routers.find(request.service, router_id)
    if router is None or not access.may_see(request, "get_router", access.of_project(router.project_id)):
        raise RouterNotFound(id=router_id)
    return router, access.of_project(router.project_id)


async def create_router(request: Call) -> Response:
    asked, is_bulk = access.items(request, "router", "routers")
    wanted = [await _new(request, item) for item in asked]
    made = await routers.create(request.service, wanted, access.actor(request))
    texts = [ROUTERS.shown(request, router, access.of_project(router.project_id)) for router in made]
    return collection.created(ROUTERS, texts, is_bulk)


async def _new(request: Call, item: Mapping[str, Any]) -> NewRouter:
    project_id = access.owner(request, item)
    access.enforce(request, access.of_project(project_id), _judged(item))
    return NewRouter(
        project_id=project_id,
        name=item.get("name", ""),
        description=item.get("description", ""),
        admin_state_up=is_true(item.get("admin_state_up", True)),
        gateway=await _gateway(request, item.get(GATEWAY)),
        zone_hints=tuple(item.get("availability_zone_hints", ())),
        tags=tuple(sorted(set(item.get("tags", ())))),
    )


def _judged(item: Mapping[str, Any]) -> list[str]:
    if not item.get(GATEWAY):
        return [GATEWAY] if GATEWAY in item else []
    return [GATEWAY, *(f"{GATEWAY}:{name}" for name in item[GATEWAY])]


async def _gateway(request: Call, info: Mapping[str, Any] | None) -> GatewayRequest | None:
    """What `external_gateway_info` asks for; nothing in it takes the gateway away. Raises: NetworkNotFound (404)."""
    if not info:
        return None
    network = await access.visible_network(request, info["network_id"])
    fixed = info.get("external_fixed_ips")
    return GatewayRequest(
        network_id=network.id,
        wishes=None if fixed is None else wishes(fixed),
        enable_snat=is_true(info["enable_snat"]) if "enable_snat" in info else None,
    )


async def update_router(request: Call) -> Response:
    router, target = await _visible(request)
    item = request.body["router"]
    access.enforce(request, target, _judged(item))
    change: dict[str, Any] = {name: item[name] for name in ("name", "description") if name in item}
    if "admin_state_up" in item:
        change["admin_state_up"] = is_true(item["admin_state_up"])
    if GATEWAY in item:
        change["gateway"] = await _gateway(request, item[GATEWAY])
    if "routes" in item:
        change["routes"] = [Route(route["destination"], route["nexthop"]) for route in item["routes"] or ()]
    changed = await routers.update(
        request.service,
        router.id,
        RouterChange(**change),
        access.actor(request),
        revision=access.expected_revision(request),
    )
    return collection.one(ROUTERS, request, changed, target)


async def delete_router(request: Call) -> Response:
    router, target = await _visible(request)
    access.enforce(request, target)
    await routers.delete(request.service, router.id, revision=access.expected_revision(request))
    return empty()


# -- interfaces ---------------------------------------------------------------------------------------------------
async def add_interface(request: Call) -> Response:
    router, target = await _visible(request)
    access.enforce(request, target)
    subnet_id, port_id = await _named(request)
    made = await router_interfaces.add(
        request.service, router.id, subnet_id=subnet_id, port_id=port_id, actor=access.actor(request)
    )
    return _interface(made)


async def remove_interface(request: Call) -> Response:
    router, target = await _visible(request)
    access.enforce(request, target)
    gone = await router_interfaces.remove(
        request.service,
        router.id,
        subnet_id=request.body.get("subnet_id"),
        port_id=request.body.get("port_id"),
    )
    return _interface(gone)


async def _named(request: Call) -> tuple[str | None, str | None]:
    """The subnet or port to plug into, if the caller may see it. Raises: SubnetNotFound, PortNotFound (404)."""
    subnet_id, port_id = request.body.get("subnet_id"), request.body.get("port_id")
    router_interfaces.check_one_named(subnet_id, port_id)
    if subnet_id is not None:
        subnet = await subnets.find(request.service, subnet_id)
        network = await networks.find(request.service, subnet.network_id) if subnet else None
        if subnet is None or network is None:
            raise SubnetNotFound(id=subnet_id)
        if not request.may("get_subnet", access.of_subnet(subnet, network)):
            raise SubnetNotFound(id=subnet_id)
    if port_id is not None:
        stored = await ports.find(request.service, port_id)
        if stored is None or not request.may("get_port", access.of_port(stored.port, stored.network_project_id)):
            raise PortNotFound(id=port_id)
    return subnet_id, port_id


def _interface(interface: Interface) -> Response:
    return answer(
        {
            "id": interface.router_id,
            "tenant_id": interface.project_id,
            "project_id": interface.project_id,
            "port_id": interface.port_id,
            "network_id": interface.network_id,
            "subnet_id": interface.subnet_ids[0],
            "subnet_ids": list(interface.subnet_ids),
        }
    )
