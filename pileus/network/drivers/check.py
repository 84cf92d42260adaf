"""Refuses plans that no wire can carry, before any backend acts on them: every backend refuses the same."""

from collections.abc import Iterable

from pileus.network.domain import dhcp_text
from pileus.network.domain.data_plane import DhcpOption, NetworkPlan, Peer, PortPlan, SubnetPlan
from pileus.network.drivers.base import BadPlan, check_id

_MTU = range(68, 65522)  # 65521 is the most a tap takes
_SEGMENTS = range(1, 1 << 24)


def check_network(plan: NetworkPlan) -> None:
    """Raises BadPlan."""
    check_id("network id", plan.id)
    _require(plan.mtu in _MTU, "MTU", str(plan.mtu))
    _require(not plan.dhcp_mac or dhcp_text.is_mac(plan.dhcp_mac), "MAC address", plan.dhcp_mac)
    _require(not plan.dns_domain or dhcp_text.is_domain_name(plan.dns_domain), "domain name", plan.dns_domain)
    for subnet in plan.subnets:
        _check_subnet(subnet)
    _require(not plan.segment or plan.segment in _SEGMENTS, "segment", str(plan.segment))
    _require(not plan.peers or plan.segment > 0, "segment of a network with peers", str(plan.segment))
    for peer in plan.peers:
        _check_peer(peer)


def _check_peer(peer: Peer) -> None:
    _check_addresses([peer.address])
    for mac in peer.macs:
        _require(dhcp_text.is_mac(mac), "MAC address of a peer", mac)


def _check_subnet(subnet: SubnetPlan) -> None:
    _require(dhcp_text.is_cidr(subnet.cidr), "subnet", subnet.cidr)
    addresses = [*subnet.dns_servers, *(route.nexthop for route in subnet.host_routes)]
    addresses += [address for address in (subnet.gateway, subnet.dhcp_address) if address]
    _check_addresses(addresses)
    for route in subnet.host_routes:
        _require(dhcp_text.is_cidr(route.destination), "route", route.destination)


def check_port(plan: PortPlan) -> None:
    """Raises BadPlan."""
    check_id("port id", plan.id)
    check_id("network id", plan.network_id)
    _require(dhcp_text.is_mac(plan.mac), "MAC address", plan.mac)
    _require(not plan.hostname or dhcp_text.is_host_name(plan.hostname), "host name", plan.hostname)
    _check_addresses(ip.address for ip in plan.fixed_ips)
    for option in plan.dhcp_options:
        _check_option(option)


def _check_option(option: DhcpOption) -> None:
    _require(dhcp_text.is_dhcp_option(option.name, option.value), "DHCP option", f"{option.name}={option.value}")
    _require(option.ip_version in (4, 6), "IP version", str(option.ip_version))


def _check_addresses(addresses: Iterable[str]) -> None:
    for address in addresses:
        _require(dhcp_text.is_address(address), "address", address)


def _require(holds: bool, what: str, value: str) -> None:
    if not holds:
        raise BadPlan(what=what, value=value)
