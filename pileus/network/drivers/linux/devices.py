"""Which devices a plan needs, and which commands lead there from what is: pure decisions over the kernel's own list.

Every device carries an alias that names its cloud and what it is for. So a device is known as ours whatever its name
looks like, two clouds on one machine leave each other alone, and audit finds leftovers.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from pileus.network.domain.data_plane import NetworkPlan, PortPlan
from pileus.network.drivers.base import (
    METADATA_ADDRESS,
    bridge_name,
    dhcp_device_name,
    dhcp_namespace,
    tap_name,
    tunnel_name,
)
from pileus.network.drivers.linux.dnsmasq import INNER_DEVICE, served


class Link(msgspec.Struct, frozen=True):
    """A device as `ip -json link` tells it."""

    ifname: str = ""
    mtu: int = 0
    flags: tuple[str, ...] = ()
    master: str = ""
    ifalias: str = ""
    address: str = ""
    linkinfo: msgspec.Raw = msgspec.Raw(b"{}")  # what only its kind of device has; asked for by hosts with tunnels

    @property
    def is_up(self) -> bool:
        return "UP" in self.flags


class _Address(msgspec.Struct, frozen=True):
    local: str = ""
    prefixlen: int = 0
    scope: str = "global"


class Inner(Link, frozen=True):
    """A device inside a namespace with its addresses, as `ip -json address` tells it."""

    addr_info: tuple[_Address, ...] = ()

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset(
            f"{ipaddress.ip_address(found.local)}/{found.prefixlen}"
            for found in self.addr_info
            if found.local and found.scope != "link"
        )


Links = Mapping[str, Link]


def parse_links(raw: bytes) -> dict[str, Link]:
    """The devices in the answer of `ip -json link`, by name; the tool sprinkles empty objects over its lists."""
    return {link.ifname: link for link in msgspec.json.decode(raw or b"[]", type=list[Link]) if link.ifname}


def parse_inner(raw: bytes) -> Inner | None:
    """The DHCP device in the answer of `ip -json address`."""
    found = msgspec.json.decode(raw or b"[]", type=list[Inner])
    return next((device for device in found if device.ifname == INNER_DEVICE), None)


# -- marks --------------------------------------------------------------------------------------------------------
def mark(owner: str, kind: str, id: str) -> str:
    """The alias of a device of ours."""
    return f"pileus:{owner}:{kind}:{id}"


def marked(links: Links, owner: str) -> Iterator[tuple[str, str, Link]]:
    """Every device of this cloud: kind, id, device."""
    prefix = f"pileus:{owner}:"
    for link in links.values():
        if link.ifalias.startswith(prefix):
            kind, _, owned = link.ifalias[len(prefix) :].partition(":")
            yield kind, owned, link


# -- networks -----------------------------------------------------------------------------------------------------
def inner_addresses(plan: NetworkPlan) -> frozenset[str]:
    """What the DHCP device must answer to: an address in each served subnet, and the metadata service's."""
    own = {
        f"{ipaddress.ip_address(subnet.dhcp_address)}/{ipaddress.ip_network(subnet.cidr).prefixlen}"
        for subnet in served(plan)
    }
    return frozenset(own | {f"{METADATA_ADDRESS}/32"}) if own else frozenset()


@dataclass(frozen=True)
class Namespace:
    """What there is of a network's namespace."""

    has_name: bool = False
    is_alive: bool = False  # a name alone may be left of a namespace whose making was cut off
    inner: Inner | None = None  # the DHCP device inside


NO_NAMESPACE = Namespace()


def network_commands(plan: NetworkPlan, links: Links, namespace: Namespace, *, owner: str) -> list[str]:
    """Lines for `ip -batch` outside the namespace; none when all is as it should be."""
    if served(plan):
        dhcp = _dhcp_commands(plan, links, namespace, owner)
    else:
        dhcp = _no_dhcp_commands(plan.id, links, namespace)
    return [*_bridge_commands(plan, links, owner), *dhcp]


def _bridge_commands(plan: NetworkPlan, links: Links, owner: str) -> Iterator[str]:
    name = bridge_name(plan.id)
    found = links.get(name)
    if found is None:
        yield (
            f"link add name {name} address {_bridge_mac(plan.id)} type bridge"
            " stp_state 0 forward_delay 0 mcast_snooping 0"
        )
    if found is None or not _bridge_is_right(found, plan, owner):
        yield f"link set dev {name} mtu {plan.mtu} addrgenmode none alias {mark(owner, 'network', plan.id)} up"


def _bridge_is_right(link: Link, plan: NetworkPlan, owner: str) -> bool:
    return link.is_up and link.mtu == plan.mtu and link.ifalias == mark(owner, "network", plan.id)


def _bridge_mac(network_id: str) -> str:
    """A fixed address, locally administered: without one a bridge changes it whenever a port comes or goes."""
    digits = network_id.replace("-", "")[:10]
    return ":".join(("02", *(digits[at : at + 2] for at in range(0, 10, 2))))


def _dhcp_commands(plan: NetworkPlan, links: Links, namespace: Namespace, owner: str) -> Iterator[str]:
    name, netns = dhcp_device_name(plan.id), dhcp_namespace(plan.id)
    found = links.get(name)
    if found is not None and namespace.inner is None:  # its other end is in a namespace that has lost its name
        yield f"link del dev {name}"
        found = None
    if namespace.has_name and not namespace.is_alive:
        yield f"netns del {netns}"
    if not namespace.is_alive:
        yield f"netns add {netns}"
    if found is None:
        yield f"link add name {name} type veth peer name {INNER_DEVICE} netns {netns}"
    if found is None or not _dhcp_is_right(found, plan, owner):
        yield (
            f"link set dev {name} mtu {plan.mtu} addrgenmode none alias {mark(owner, 'dhcp', plan.id)}"
            f" master {bridge_name(plan.id)} up"
        )


def _no_dhcp_commands(network_id: str, links: Links, namespace: Namespace) -> Iterator[str]:
    if dhcp_device_name(network_id) in links:
        yield f"link del dev {dhcp_device_name(network_id)}"
    if namespace.has_name:
        yield f"netns del {dhcp_namespace(network_id)}"


def _dhcp_is_right(link: Link, plan: NetworkPlan, owner: str) -> bool:
    return (
        link.is_up
        and link.mtu == plan.mtu
        and link.master == bridge_name(plan.id)
        and link.ifalias == mark(owner, "dhcp", plan.id)
    )


def inner_commands(plan: NetworkPlan, inner: Inner | None) -> list[str]:
    """Lines for `ip -batch` inside the namespace."""
    lines = []
    has_right_mac = inner is not None and plan.dhcp_mac in ("", inner.address)
    if inner is None or not inner.is_up or inner.mtu != plan.mtu or not has_right_mac:
        mac = f" address {plan.dhcp_mac}" if plan.dhcp_mac else ""
        lines += ["link set dev lo up", f"link set dev {INNER_DEVICE} mtu {plan.mtu}{mac} up"]
    wanted, there = inner_addresses(plan), inner.addresses if inner is not None else frozenset()
    lines += [f"addr del {address} dev {INNER_DEVICE}" for address in sorted(there - wanted)]
    for address in sorted(wanted - there):
        lines.append(f"addr add {address} dev {INNER_DEVICE}" + (" nodad" if ":" in address else ""))
    return lines


def network_problems(plan: NetworkPlan, links: Links, inner: Inner | None, *, owner: str) -> Iterator[str]:
    """What the devices of a network lack, in words."""
    bridge = links.get(bridge_name(plan.id))
    if bridge is None:
        yield "no bridge"
    elif not _bridge_is_right(bridge, plan, owner):
        yield "the bridge is not as planned"
    if not served(plan):
        return
    device = links.get(dhcp_device_name(plan.id))
    if device is None:
        yield "no DHCP device"
    elif not _dhcp_is_right(device, plan, owner):
        yield "the DHCP device is not as planned"
    if inner is None:
        yield "no DHCP namespace"
    elif inner_commands(plan, inner):
        yield "the DHCP addresses are not as planned"


def removal_commands(network_id: str, links: Links, namespace: Namespace, *, owner: str) -> list[str]:
    """Lines that remove every device of a network, those of its ports included, and the namespace."""
    bridge = bridge_name(network_id)
    taps = [link.ifname for kind, _, link in marked(links, owner) if kind == "port" and link.master == bridge]
    lines = [f"link del dev {name}" for name in taps]
    lines += _no_dhcp_commands(network_id, links, namespace)
    lines += [f"link del dev {name}" for name in (tunnel_name(network_id), bridge) if name in links]
    return lines


def bridge_settings(bridge: str) -> dict[str, str]:
    """Kernel settings that keep a bridge's guests from the host itself: it has no address there and wants none.

    Without them the host would take an IPv6 address on every network, and answer for its other addresses there too.
    """
    return {
        f"ipv6/conf/{bridge}/disable_ipv6": "1",
        f"ipv4/conf/{bridge}/arp_ignore": "1",
        f"ipv4/conf/{bridge}/rp_filter": "1",
        f"ipv4/conf/{bridge}/forwarding": "0",
    }


# -- ports --------------------------------------------------------------------------------------------------------
def port_commands(port: PortPlan, network: NetworkPlan, links: Links, *, owner: str) -> list[str]:
    """Lines for `ip -batch` that make the port's tap; none when it is as it should be."""
    name = tap_name(port.id)
    found = links.get(name)
    lines = []
    if found is None:
        lines.append(f"tuntap add dev {name} mode tap vnet_hdr")
    if found is None or not _tap_is_right(found, port, network, owner):
        state = "up" if port.is_up else "down"
        lines.append(
            f"link set dev {name} mtu {network.mtu} addrgenmode none alias {mark(owner, 'port', port.id)}"
            f" master {bridge_name(network.id)} {state}"
        )
    return lines


def port_problems(port: PortPlan, network: NetworkPlan | None, links: Links, *, owner: str) -> Iterator[str]:
    """What the port's device lacks, in words."""
    found = links.get(tap_name(port.id))
    if found is None:
        yield "no tap"
    elif network is None:
        yield "its network is not here"
    elif not _tap_is_right(found, port, network, owner):
        yield "the tap is not as planned"


def _tap_is_right(link: Link, port: PortPlan, network: NetworkPlan, owner: str) -> bool:
    return (
        link.is_up == port.is_up
        and link.mtu == network.mtu
        and link.master == bridge_name(network.id)
        and link.ifalias == mark(owner, "port", port.id)
    )


def unplug_commands(port_id: str, links: Links, *, owner: str) -> list[str]:
    """Lines that remove the port's tap, unless another cloud's device has that name."""
    found = links.get(tap_name(port_id))
    is_ours = found is not None and found.ifalias in ("", mark(owner, "port", port_id))
    return [f"link del dev {tap_name(port_id)}"] if is_ours else []
