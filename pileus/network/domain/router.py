"""A router: which subnets it joins, and by which external network it leaves."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from pileus.network.domain.address import Cidr, parse, parse_cidr
from pileus.network.domain.errors import BadRequest, InvalidRoutes, RoutesExhausted
from pileus.network.domain.port import FixedIp
from pileus.network.domain.subnet import Route

ACTIVE = "ACTIVE"


class Gateway(msgspec.Struct, frozen=True):
    """The way out."""

    network_id: str
    external_fixed_ips: tuple[FixedIp, ...] = ()
    enable_snat: bool = True


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """A router as rows and answers hold it."""

    id: str
    name: str = ""
    project_id: str
    admin_state_up: bool = True
    status: str = ACTIVE
    external_gateway_info: Gateway | None = None
    description: str = ""
    availability_zones: tuple[str, ...] = ()
    availability_zone_hints: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    tags: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 1
    tenant_id: str


class Leg(NamedTuple):
    """One address of a router in one subnet."""

    port_id: str
    subnet_id: str
    block: Cidr
    address: str


def check_new_leg(block: Cidr, subnet_id: str, legs: Iterable[Leg]) -> None:
    """Refuse a subnet that the router has already, or that overlaps with one it has. Raises: BadRequest (400)."""
    for leg in legs:
        if leg.subnet_id == subnet_id:
            raise BadRequest(resource="router", reason=f"Router already has a port on subnet {subnet_id}")
        if leg.block.family == block.family and leg.block.range.overlaps(block.range):
            raise BadRequest(
                resource="router",
                reason=f"Cidr {block} of subnet {subnet_id} overlaps with cidr {leg.block} of subnet {leg.subnet_id}",
            )


def check_routes(router_id: str, routes: Sequence[Route], legs: Sequence[Leg], limit: int) -> tuple[Route, ...]:
    """Extra routes whose next hops the router can reach, in canonical form.

    Raises: InvalidRoutes, RoutesExhausted (400).
    """
    if 0 <= limit < len(routes):
        raise RoutesExhausted(router_id=router_id, limit=limit)
    found: list[Route] = []
    for route in routes:
        try:
            destination, nexthop = parse_cidr(route.destination), parse(route.nexthop)
        except ValueError:
            raise InvalidRoutes(routes=[_told(route)], reason="neither a CIDR nor an address") from None
        if not any(leg.block.holds(nexthop) for leg in legs):
            raise InvalidRoutes(routes=[_told(route)], reason="the nexthop is not connected with router")
        if any(str(nexthop) == leg.address for leg in legs):
            raise InvalidRoutes(routes=[_told(route)], reason="the nexthop is used by router")
        made = Route(str(destination), str(nexthop))
        if made in found or destination.family != nexthop.family:
            raise InvalidRoutes(routes=[_told(route)], reason="the route is given twice or mixes IP versions")
        found.append(made)
    return tuple(found)


def _told(route: Route) -> dict[str, str]:
    return {"destination": route.destination, "nexthop": route.nexthop}
