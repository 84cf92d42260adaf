"""Subnets on the wire."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.http.request import Response, empty
from pileus.network.api import access, collection
from pileus.network.api.access import Call
from pileus.network.api.bodies import is_true
from pileus.network.api.kinds import SUBNETS
from pileus.network.app import networks, subnets
from pileus.network.domain.errors import SubnetNotFound, SubnetPoolNotFound
from pileus.network.domain.network import Network
from pileus.network.domain.subnet import NewSubnet, Pool, Route, Subnet, SubnetChange, require_cidr


async def list_subnets(request: Call) -> Response:
    return await collection.many(SUBNETS, request)


async def show_subnet(request: Call) -> Response:
    subnet, network = await _visible(request)
    return collection.one(SUBNETS, request, subnet, access.of_subnet(subnet, network))


async def _visible(request: Call) -> tuple[Subnet, Network]:
    """The subnet of the path with its network. Raises: SubnetNotFound (404)."""
    subnet_id = request.params["subnet_id"]
    subnet = await subnets.find(request.service, subnet_id)
    network = await networks.find(request.service, subnet.network_id) if subnet else None
    if subnet is None or network is None:
        raise SubnetNotFound(id=subnet_id)
    if not access.may_see(request, "get_subnet", access.of_subnet(subnet, network)):
        raise SubnetNotFound(id=subnet_id)
    return subnet, network


async def create_subnet(request: Call) -> Response:
    asked, is_bulk = access.items(request, "subnet", "subnets")
    wanted = []
    for item in asked:
        network = await access.visible_network(request, item["network_id"])
        project_id = access.owner(request, item)
        access.enforce(request, access.in_network(project_id, network))
        wanted.append((project_id, _new(item)))
    made = await subnets.create(request.service, wanted)
    texts = [SUBNETS.shown(request, subnet, {}) for subnet in made]
    return collection.created(SUBNETS, texts, is_bulk)


def _new(item: Mapping[str, Any]) -> NewSubnet:
    if item.get("subnetpool_id") is not None:
        raise SubnetPoolNotFound(id=item["subnetpool_id"])
    pools = item.get("allocation_pools")
    return NewSubnet(
        network_id=item["network_id"],
        cidr=require_cidr(item.get("cidr")),
        ip_version=int(item["ip_version"]),
        gateway=item.get("gateway_ip", "") or ("" if "gateway_ip" not in item else None),
        pools=None if pools is None else _pools(pools),
        enable_dhcp=is_true(item.get("enable_dhcp", True)),
        dns_nameservers=item.get("dns_nameservers") or (),
        host_routes=_routes(item.get("host_routes") or ()),
        ra_mode=item.get("ipv6_ra_mode"),
        address_mode=item.get("ipv6_address_mode"),
        name=item.get("name", ""),
        description=item.get("description", ""),
        tags=sorted(set(item.get("tags", ()))),
    )


def _pools(items: list[dict[str, str]]) -> list[Pool]:
    return [Pool(pool["start"], pool["end"]) for pool in items]


def _routes(items: Any) -> list[Route]:
    return [Route(route["destination"], route["nexthop"]) for route in items]


async def update_subnet(request: Call) -> Response:
    subnet, network = await _visible(request)
    access.enforce(request, access.of_subnet(subnet, network))
    changed = await subnets.update(
        request.service,
        subnet.id,
        _change(request.body["subnet"]),
        revision=access.expected_revision(request),
    )
    return collection.one(SUBNETS, request, changed, access.of_subnet(changed, network))


def _change(item: Mapping[str, Any]) -> SubnetChange:
    change: dict[str, Any] = {name: item[name] for name in ("name", "description") if name in item}
    if "gateway_ip" in item:
        change["gateway"] = item["gateway_ip"] or None
    if "allocation_pools" in item:
        change["pools"] = _pools(item["allocation_pools"])
    if "enable_dhcp" in item:
        change["enable_dhcp"] = is_true(item["enable_dhcp"])
    if "dns_nameservers" in item:
        change["dns_nameservers"] = item["dns_nameservers"] or ()
    if "host_routes" in item:
        change["host_routes"] = _routes(item["host_routes"] or ())
    return SubnetChange(**change)


async def delete_subnet(request: Call) -> Response:
    subnet, network = await _visible(request)
    access.enforce(request, access.of_subnet(subnet, network))
    await subnets.delete(request.service, subnet.id, revision=access.expected_revision(request))
    return empty()
