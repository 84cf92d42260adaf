"""A subnet: the addresses of a network, and what guests are told about them."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from pileus.network.domain.address import (
    Address,
    Cidr,
    Range,
    is_loopback,
    is_multicast,
    parse,
    parse_cidr,
    parse_loose_cidr,
    without,
)
from pileus.network.domain.errors import (
    BadRequest,
    DNSNameServersExhausted,
    GatewayConflictWithAllocationPools,
    HostRoutesExhausted,
    InvalidAllocationPool,
    InvalidInput,
    OutOfBoundsAllocationPool,
    OverlappingAllocationPools,
)

MOST_NAMESERVERS = 5
MOST_ROUTES = 20
SLAAC, STATEFUL, STATELESS = "slaac", "dhcpv6-stateful", "dhcpv6-stateless"
MODES = (STATEFUL, STATELESS, SLAAC)


class Pool(msgspec.Struct, frozen=True):
    """Addresses that ports get without asking for one, first and last included."""

    start: str
    end: str


class Route(msgspec.Struct, frozen=True):
    destination: str
    nexthop: str


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """A subnet as rows and answers hold it."""

    id: str
    name: str = ""
    project_id: str
    network_id: str
    ip_version: int
    subnetpool_id: str | None = None
    enable_dhcp: bool = True
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    gateway_ip: str | None = None
    cidr: str
    allocation_pools: tuple[Pool, ...] = ()
    host_routes: tuple[Route, ...] = ()
    dns_nameservers: tuple[str, ...] = ()
    description: str = ""
    is_external: bool = msgspec.field(name="router:external", default=False)
    service_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0
    tenant_id: str

    @property
    def block(self) -> Cidr:
        return parse_cidr(self.cidr)

    @property
    def gateway(self) -> Address | None:
        return parse(self.gateway_ip) if self.gateway_ip else None

    @property
    def pools(self) -> list[Range]:
        return [Range(parse(pool.start).number, parse(pool.end).number) for pool in self.allocation_pools]

    @property
    def is_automatic(self) -> bool:
        """Whether guests compute their own addresses (EUI-64) here.

        Source: Networking API reference, "ipv6_address_mode".
        """
        return self.ipv6_address_mode in (SLAAC, STATELESS) or self.ipv6_ra_mode in (SLAAC, STATELESS)


class NewSubnet(NamedTuple):
    """What a caller asks for. `gateway` "" means the default one, None means none."""

    network_id: str
    cidr: str
    ip_version: int
    gateway: str | None = ""
    pools: Sequence[Pool] | None = None
    enable_dhcp: bool = True
    dns_nameservers: Sequence[str] = ()
    host_routes: Sequence[Route] = ()
    ra_mode: str | None = None
    address_mode: str | None = None
    name: str = ""
    description: str = ""
    tags: Sequence[str] = ()


def plan(new: NewSubnet, *, id: str, project_id: str, is_external: bool) -> Subnet:
    """The subnet that a request describes, with its gateway and pools settled.

    Raises: InvalidInput, BadRequest, OutOfBoundsAllocationPool ... (400), GatewayConflictWithAllocationPools,
    OverlappingAllocationPools (409).
    """
    block = _block(new)
    if new.enable_dhcp:
        _check_dhcp_block(block)
    _check_modes(new, block)
    gateway = _gateway(new.gateway, block)
    if new.pools is None:
        pools = default_pools(block, gateway)
    else:
        pools = check_pools(new.pools, block, gateway)
    return Subnet(
        id=id,
        name=new.name,
        project_id=project_id,
        tenant_id=project_id,
        network_id=new.network_id,
        ip_version=new.ip_version,
        enable_dhcp=new.enable_dhcp,
        ipv6_ra_mode=new.ra_mode,
        ipv6_address_mode=new.address_mode,
        gateway_ip=str(gateway) if gateway else None,
        cidr=str(block),
        allocation_pools=pools,
        host_routes=check_routes(new.host_routes, new.ip_version, "new subnet"),
        dns_nameservers=check_nameservers(new.dns_nameservers, new.ip_version, "new subnet"),
        description=new.description,
        is_external=is_external,
        tags=tuple(new.tags),
    )


# -- the block ----------------------------------------------------------------------------------------------------
def _block(new: NewSubnet) -> Cidr:
    try:
        block = parse_loose_cidr(new.cidr)
    except ValueError:
        raise InvalidInput(reason=f"{new.cidr} is not in a CIDR format") from None
    if "/" not in new.cidr or Address(block.family, block.network) != parse(new.cidr.split("/")[0]):
        raise InvalidInput(reason=f"'{new.cidr}' isn't a recognized IP subnet cidr, '{block}' is recommended")
    _check_family(new.ip_version, block.family, "cidr", new.cidr)
    if block == Cidr(6, 0, block.prefix):
        raise InvalidInput(reason="IPv6 subnet '::' is not supported")
    if block.prefix == 0:
        raise InvalidInput(reason="a subnet cannot be the whole Internet")
    return block


def _check_family(wanted: int, found: int, name: str, text: str) -> None:
    if wanted != found:
        raise InvalidInput(reason=f"{name} '{text}' does not match the ip_version '{wanted}'")


def _check_dhcp_block(block: Cidr) -> None:
    if block.prefix > (30 if block.family == 4 else 126):
        raise InvalidInput(reason="Subnet has a prefix length that is incompatible with DHCP service enabled")
    first = Address(block.family, block.network)
    if is_multicast(first):
        raise InvalidInput(reason="Multicast IP subnet is not supported if enable_dhcp is True")
    if is_loopback(first):
        raise InvalidInput(reason="Loopback IP subnet is not supported if enable_dhcp is True")
    if block.family == 4 and block.network == 0:
        raise InvalidInput(reason="First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")


def _check_modes(new: NewSubnet, block: Cidr) -> None:
    modes = {"ipv6_ra_mode": new.ra_mode, "ipv6_address_mode": new.address_mode}
    for name, mode in modes.items():
        if mode is not None and new.ip_version == 4:
            raise InvalidInput(reason=f"{name} is not valid when ip_version is 4")
    given = [mode for mode in modes.values() if mode is not None]
    if given and not new.enable_dhcp:
        raise InvalidInput(reason="ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if len(set(given)) > 1:
        raise InvalidInput(
            reason=f"ipv6_ra_mode set to '{new.ra_mode}' with ipv6_address_mode set to '{new.address_mode}' is not "
            "valid. If both attributes are set, they must be the same value"
        )
    if any(mode in (SLAAC, STATELESS) for mode in given) and block.prefix != 64:
        raise InvalidInput(
            reason=f"Invalid CIDR {block} for IPv6 address mode. OpenStack uses the EUI-64 address format, which "
            "requires the prefix to be /64"
        )


def check_overlap(subnet: Subnet, others: Iterable[Subnet]) -> None:
    """Refuse a subnet that shares addresses with another of its network. Raises: InvalidInput (400)."""
    mine = subnet.block
    for other in others:
        theirs = other.block
        if mine.family == theirs.family and mine.range.overlaps(theirs.range):
            raise InvalidInput(
                reason=f"Requested subnet with cidr: {subnet.cidr} for network: {subnet.network_id} overlaps with "
                "another subnet"
            )


# -- gateway and pools --------------------------------------------------------------------------------------------
def _gateway(asked: str | None, block: Cidr) -> Address | None:
    if asked is None:
        return None
    if asked == "":
        return Address(block.family, block.usable.first)
    return check_gateway(asked, block)


def check_gateway(text: str, block: Cidr) -> Address:
    """A gateway that a caller names; one outside the subnet is allowed, as behind a point-to-point link.

    Raises: InvalidInput (400).
    """
    try:
        gateway = parse(text)
    except ValueError:
        raise InvalidInput(reason=f"'{text}' is not a valid IP address") from None
    _check_family(block.family, gateway.family, "gateway_ip", text)
    if block.holds(gateway) and not block.usable.holds(gateway.number):
        raise InvalidInput(reason="Gateway is not valid on subnet")
    return gateway


def default_pools(block: Cidr, gateway: Address | None) -> tuple[Pool, ...]:
    """Every usable address except the gateway."""
    ranges = [block.usable]
    if gateway is not None and block.range.first != block.range.last:
        ranges = without(ranges, gateway.number)
    return tuple(Pool(str(Address(block.family, low)), str(Address(block.family, high))) for low, high in ranges)


def check_pools(pools: Sequence[Pool], block: Cidr, gateway: Address | None) -> tuple[Pool, ...]:
    """Pools that a caller names, in canonical form and order. Raises as `plan` does."""
    ranges: list[tuple[Range, Pool]] = []
    for pool in pools:
        named = f"{pool.start}-{pool.end}"
        try:
            first, last = parse(pool.start), parse(pool.end)
        except ValueError:
            raise InvalidAllocationPool(pool=named) from None
        if first.family != block.family or last.family != block.family or last < first:
            raise InvalidAllocationPool(pool=named)
        if first.number < block.usable.first or last.number > block.usable.last:
            raise OutOfBoundsAllocationPool(pool=named, cidr=block)
        if gateway is not None and first.number <= gateway.number <= last.number:
            raise GatewayConflictWithAllocationPools(address=gateway, pool=named)
        ranges.append((Range(first.number, last.number), Pool(str(first), str(last))))
    ranges.sort()
    for (one, first_pool), (two, second_pool) in itertools.pairwise(ranges):
        if one.overlaps(two):
            raise OverlappingAllocationPools(
                one=f"{first_pool.start}-{first_pool.end}", two=f"{second_pool.start}-{second_pool.end}", cidr=block
            )
    return tuple(pool for _, pool in ranges)


def check_gateway_outside(gateway: Address, pools: Iterable[Pool]) -> None:
    """Refuse a gateway that a port could be given. Raises: GatewayConflictWithAllocationPools (409)."""
    for pool in pools:
        if parse(pool.start).number <= gateway.number <= parse(pool.end).number:
            raise GatewayConflictWithAllocationPools(address=gateway, pool=f"{pool.start}-{pool.end}")


# -- what guests are told -----------------------------------------------------------------------------------------
def check_nameservers(servers: Sequence[str], family: int, subnet_id: str) -> tuple[str, ...]:
    """Nameservers in canonical form. Raises: InvalidInput, DNSNameServersExhausted (400)."""
    if len(servers) > MOST_NAMESERVERS:
        raise DNSNameServersExhausted(subnet_id=subnet_id, limit=MOST_NAMESERVERS)
    found: list[str] = []
    for server in servers:
        try:
            address = parse(server)
        except ValueError:
            raise InvalidInput(reason=f"Error parsing dns address {server}") from None
        _check_family(family, address.family, "dns_nameserver", server)
        if str(address) in found:
            raise InvalidInput(reason=f"Duplicate nameserver '{server}'")
        found.append(str(address))
    return tuple(found)


def check_routes(routes: Sequence[Route], family: int, subnet_id: str) -> tuple[Route, ...]:
    """Routes for guests in canonical form. Raises: InvalidInput, HostRoutesExhausted (400)."""
    if len(routes) > MOST_ROUTES:
        raise HostRoutesExhausted(subnet_id=subnet_id, limit=MOST_ROUTES)
    return tuple(canonical_route(route, family) for route in routes)


def canonical_route(route: Route, family: int) -> Route:
    """One route with its block and its next hop written the one way. Raises: InvalidInput (400)."""
    try:
        destination, nexthop = parse_cidr(route.destination), parse(route.nexthop)
    except ValueError:
        raise InvalidInput(reason=f"Invalid data format for hostroute: '{route.destination}'") from None
    _check_family(family, destination.family, "destination", route.destination)
    _check_family(family, nexthop.family, "nexthop", route.nexthop)
    return Route(str(destination), str(nexthop))


# -- changes ------------------------------------------------------------------------------------------------------
class SubnetChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants changed; UNSET means as it was."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    gateway: str | msgspec.UnsetType | None = msgspec.UNSET
    pools: Sequence[Pool] | msgspec.UnsetType = msgspec.UNSET
    enable_dhcp: bool | msgspec.UnsetType = msgspec.UNSET
    dns_nameservers: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    host_routes: Sequence[Route] | msgspec.UnsetType = msgspec.UNSET


def changed(subnet: Subnet, change: SubnetChange) -> Subnet:
    """The subnet after the change. Raises as `plan` does."""
    block = subnet.block
    new = subnet
    if change.name is not msgspec.UNSET:
        new = msgspec.structs.replace(new, name=change.name)
    if change.description is not msgspec.UNSET:
        new = msgspec.structs.replace(new, description=change.description)
    if change.enable_dhcp is not msgspec.UNSET:
        new = _dhcp_changed(new, change.enable_dhcp)
    if change.gateway is not msgspec.UNSET:
        gateway = check_gateway(change.gateway, block) if change.gateway else None
        new = msgspec.structs.replace(new, gateway_ip=str(gateway) if gateway else None)
        if gateway is not None and change.pools is msgspec.UNSET:
            check_gateway_outside(gateway, new.allocation_pools)
    if change.pools is not msgspec.UNSET:
        new = msgspec.structs.replace(new, allocation_pools=check_pools(change.pools, block, new.gateway))
    if change.dns_nameservers is not msgspec.UNSET:
        servers = check_nameservers(change.dns_nameservers, subnet.ip_version, subnet.id)
        new = msgspec.structs.replace(new, dns_nameservers=servers)
    if change.host_routes is not msgspec.UNSET:
        routes = check_routes(change.host_routes, subnet.ip_version, subnet.id)
        new = msgspec.structs.replace(new, host_routes=routes)
    return new


def _dhcp_changed(subnet: Subnet, enable: bool) -> Subnet:
    if enable and not subnet.enable_dhcp:
        _check_dhcp_block(subnet.block)
    if not enable and (subnet.ipv6_ra_mode or subnet.ipv6_address_mode):
        raise InvalidInput(reason="Cannot disable enable_dhcp with ipv6 attributes set")
    return msgspec.structs.replace(subnet, enable_dhcp=enable)


def require_cidr(cidr: str | None) -> str:
    """Raises: BadRequest (400) for a subnet without a block: this cloud has no subnet pools."""
    if cidr is None:
        raise BadRequest(resource="subnets", reason="a subnetpool must be specified in the absence of a cidr")
    return cidr
