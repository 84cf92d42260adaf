"""What dnsmasq reads: a plan in, text out. Every plan was checked before; nothing here acts.

One server per network and host answers only the ports of its own host (`dhcp-ignore=tag:!known`), so hosts that share
a segment do not contradict each other. Per port there is a file in each of three directories that dnsmasq watches, so
a port costs the same however many there are.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pileus.network.domain.data_plane import HostRoute, NetworkPlan, PortPlan, SubnetPlan
from pileus.network.drivers.base import METADATA_ADDRESS

INNER_DEVICE = "dhcp0"
DEFAULT_DOMAIN = "openstacklocal"
LEASE_S = 86400
HOSTS, OPTIONS, NAMES = "hosts", "options", "names"  # the watched directories

_OPTION_METADATA_ROUTE_MICROSOFT = 249  # option 121 as Windows before Vista asked for it


def served(plan: NetworkPlan) -> tuple[SubnetPlan, ...]:
    """The subnets in which this host answers DHCP."""
    return tuple(subnet for subnet in plan.subnets if subnet.dhcp_address)


def told(plan: NetworkPlan) -> NetworkPlan:
    """What of a plan DHCP knows: who lives on other hosts is not its business."""
    return msgspec.structs.replace(plan, peers=())


def configuration(plan: NetworkPlan, directory: Path, *, user: str, group: str) -> str:
    """The whole configuration of one network's dnsmasq, whose files are in `directory`."""
    domain = _domain(plan)
    lines = [
        f"pid-file={directory}/dnsmasq.pid",
        f"user={user}",
        f"group={group}",
        f"interface={INNER_DEVICE}",
        "except-interface=lo",
        "bind-dynamic",
        "no-hosts",
        "no-resolv",
        "leasefile-ro",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        "dhcp-lease-max=65536",
        f"dhcp-hostsdir={directory}/{HOSTS}",
        f"dhcp-optsdir={directory}/{OPTIONS}",
        f"hostsdir={directory}/{NAMES}",
        f"domain={domain}",
        f"local=/{domain}/",
        "quiet-dhcp",
        "quiet-dhcp6",
        f"dhcp-option-force=option:mtu,{plan.mtu}",
    ]
    for number, subnet in enumerate(served(plan)):
        lines += _subnet_lines(f"sub{number}", subnet, plan)
    return "\n".join(lines) + "\n"


def _domain(plan: NetworkPlan) -> str:
    return (plan.dns_domain or DEFAULT_DOMAIN).rstrip(".")


def _subnet_lines(tag: str, subnet: SubnetPlan, plan: NetworkPlan) -> Iterator[str]:
    network = ipaddress.ip_network(subnet.cidr)
    if network.version == 6:
        yield f"dhcp-range=set:{tag},{network.network_address},static,{network.prefixlen},{LEASE_S}s"
        if subnet.dns_servers:
            servers = ",".join(f"[{server}]" for server in subnet.dns_servers)
            yield f"dhcp-option=tag:{tag},option6:dns-server,{servers}"
        return
    yield f"dhcp-range=set:{tag},{network.network_address},static,{network.netmask},{LEASE_S}s"
    # without a value dnsmasq sends nothing, where it would else name itself
    yield f"dhcp-option=tag:{tag},option:router" + (f",{subnet.gateway}" if subnet.gateway else "")
    if subnet.dns_servers:
        yield f"dhcp-option=tag:{tag},option:dns-server,{','.join(subnet.dns_servers)}"
    routes = ",".join(f"{route.destination},{route.nexthop}" for route in _routes(subnet, plan))
    yield f"dhcp-option=tag:{tag},option:classless-static-route,{routes}"
    yield f"dhcp-option=tag:{tag},{_OPTION_METADATA_ROUTE_MICROSOFT},{routes}"


def _routes(subnet: SubnetPlan, plan: NetworkPlan) -> Iterator[HostRoute]:
    """All routes of a guest: who gets a list of routes ignores the router option, so the default one is in it."""
    yield HostRoute(destination=f"{METADATA_ADDRESS}/32", nexthop=subnet.dhcp_address)
    yield from (route for route in subnet.host_routes if ":" not in route.destination)
    for other in plan.subnets:
        if other.id != subnet.id and ":" not in other.cidr:
            yield HostRoute(destination=other.cidr, nexthop="0.0.0.0")
    if subnet.gateway:
        yield HostRoute(destination="0.0.0.0/0", nexthop=subnet.gateway)


# -- one port -----------------------------------------------------------------------------------------------------
def port_files(port: PortPlan, network: NetworkPlan) -> dict[str, str]:
    """What each watched directory holds of a port; an empty text means no file."""
    addresses = list(_answered(port, network))
    return {
        HOSTS: "".join(_host_lines(port, addresses)),
        OPTIONS: "".join(_option_lines(port)) if addresses else "",
        NAMES: "".join(_name_lines(port, addresses, _domain(network))),
    }


def _answered(port: PortPlan, network: NetworkPlan) -> Iterator[str]:
    """The port's addresses that DHCP gives it."""
    subnets = {subnet.id: subnet for subnet in served(network)}
    for ip in port.fixed_ips:
        subnet = subnets.get(ip.subnet_id)
        if subnet is not None and subnet.address_mode in ("", "dhcpv6-stateful"):
            yield ip.address


def _host_lines(port: PortPlan, addresses: Iterable[str]) -> Iterator[str]:
    tag = f"set:port-{port.id}," if port.dhcp_options else ""
    for address in addresses:
        shown = f"[{address}]" if ":" in address else address
        yield f"{port.mac},{tag}{shown},{port.hostname or _name_of(address)}\n"


def _option_lines(port: PortPlan) -> Iterator[str]:
    for option in port.dhcp_options:
        prefix = "option6:" if option.ip_version == 6 else "option:"
        name = option.name if option.name.isdigit() and option.ip_version == 4 else prefix + option.name
        yield f"tag:port-{port.id},{name},{option.value}\n"


def _name_lines(port: PortPlan, addresses: Iterable[str], domain: str) -> Iterator[str]:
    for address in addresses:
        name = port.hostname or _name_of(address)
        yield f"{address} {name}.{domain} {name}\n"


def _name_of(address: str) -> str:
    """The name of a port that has none, as OpenStack's users know it."""
    return "host-" + ipaddress.ip_address(address).exploded.replace(".", "-").replace(":", "-")


def no_port_files() -> dict[str, str]:
    """What the watched directories hold of a port that is gone."""
    return dict.fromkeys((HOSTS, OPTIONS, NAMES), "")


# -- leases -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Lease:
    """An address that dnsmasq may have given to a port, and the server's own in the same subnet."""

    mac: str
    address: str
    server: str

    @property
    def is_v6(self) -> bool:
        return ":" in self.address


def leases(port: PortPlan, network: NetworkPlan) -> frozenset[Lease]:
    """Everything the port may have a lease of."""
    servers = {subnet.id: subnet.dhcp_address for subnet in served(network)}
    answered = set(_answered(port, network))
    return frozenset(
        Lease(port.mac, ip.address, servers[ip.subnet_id]) for ip in port.fixed_ips if ip.address in answered
    )


def release(mac: str, address: str, server: str) -> bytes:
    """A DHCPRELEASE as the guest itself would send it, so that its address can be given to another at once.

    Source: RFC 2131, sections 2 and 4.4.6.
    """
    fixed = bytes((1, 1, 6, 0)) + bytes(8) + ipaddress.IPv4Address(address).packed + bytes(12)
    options = bytes((53, 1, 7, 54, 4)) + ipaddress.IPv4Address(server).packed + b"\xff"
    hardware = bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0")
    return fixed + hardware + bytes(64 + 128) + b"\x63\x82\x53\x63" + options
