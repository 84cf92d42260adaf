"""How a network reaches its other hosts: one VXLAN device on its bridge, and who is behind which host.

Pure decisions, as in `devices`. There is a device exactly while the plan names peers. Where to send is not learned from
what comes in: broadcasts and unknown addresses go to every peer, known ones to their own, as the plan says.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from pileus.network.domain.data_plane import NetworkPlan
from pileus.network.drivers.base import bridge_name, tunnel_name
from pileus.network.drivers.linux.devices import Inner, Link, Links, mark

PORT = 4789
EVERYBODY = "00:00:00:00:00:00"  # the entries by which broadcasts and unknown addresses go


@dataclass(frozen=True)
class Endpoint:
    """This host's end of its tunnels."""

    address: str
    port: int = PORT


class Entry(msgspec.Struct, frozen=True, order=True):
    """Frames for `mac` go to the host at `dst`."""

    mac: str = ""
    dst: str = ""


class _Shown(Entry, frozen=True):
    ifname: str = ""


class _Data(msgspec.Struct, frozen=True):
    id: int = 0
    local: str = ""
    local6: str = ""
    port: int = 0
    learning: bool = True


class _Kind(msgspec.Struct, frozen=True):
    info_kind: str = ""
    info_data: msgspec.Raw = msgspec.Raw(b"{}")


Entries = frozenset[Entry]


def parse_entries(raw: bytes, device: str = "") -> dict[str, Entries]:
    """The forwarding entries to other hosts in the answer of `bridge -json fdb`, by device.

    Asked for one `device`, the tool does not repeat its name.
    """
    found: dict[str, set[Entry]] = defaultdict(set)
    for shown in msgspec.json.decode(raw or b"[]", type=list[_Shown]):
        if shown.dst:
            found[shown.ifname or device].add(Entry(shown.mac, shown.dst))
    return {name: frozenset(entries) for name, entries in found.items()}


def has_address(raw: bytes, address: str) -> bool:
    """Whether a device in the answer of `ip -json address` has the address."""
    wanted = ipaddress.ip_address(address)
    shown = (found for device in msgspec.json.decode(raw or b"[]", type=list[Inner]) for found in device.addr_info)
    return any(found.local and ipaddress.ip_address(found.local) == wanted for found in shown)


# -- the device ---------------------------------------------------------------------------------------------------
def is_needed(plan: NetworkPlan, endpoint: Endpoint | None) -> bool:
    return endpoint is not None and bool(plan.peers)


def device_commands(plan: NetworkPlan, links: Links, endpoint: Endpoint | None, *, owner: str) -> list[str]:
    """Lines for `ip -batch`; none when all is as it should be."""
    name = tunnel_name(plan.id)
    found = links.get(name)
    if endpoint is None or not plan.peers:
        return [f"link del dev {name}"] if found is not None else []
    lines = []
    if found is not None and not _leads_right(found, plan, endpoint):  # its nature cannot be changed
        lines.append(f"link del dev {name}")
        found = None
    if found is None:
        lines.append(
            f"link add name {name} type vxlan id {plan.segment} local {endpoint.address}"
            f" dstport {endpoint.port} nolearning"
        )
    if found is None or not _is_right(found, plan, owner):
        lines.append(
            f"link set dev {name} mtu {plan.mtu} addrgenmode none alias {mark(owner, 'tunnel', plan.id)}"
            f" master {bridge_name(plan.id)} up"
        )
    return lines


def _leads_right(link: Link, plan: NetworkPlan, endpoint: Endpoint) -> bool:
    kind = msgspec.json.decode(link.linkinfo, type=_Kind)
    if kind.info_kind != "vxlan":
        return False
    data = msgspec.json.decode(kind.info_data, type=_Data)
    shown = data.local or data.local6
    is_local = bool(shown) and ipaddress.ip_address(shown) == ipaddress.ip_address(endpoint.address)
    return is_local and (data.id, data.port, data.learning) == (plan.segment, endpoint.port, False)


def _is_right(link: Link, plan: NetworkPlan, owner: str) -> bool:
    return (
        link.is_up
        and link.mtu == plan.mtu
        and link.master == bridge_name(plan.id)
        and link.ifalias == mark(owner, "tunnel", plan.id)
    )


# -- who is where -------------------------------------------------------------------------------------------------
def entries(plan: NetworkPlan) -> Entries:
    """What the device should know."""
    flood = {Entry(EVERYBODY, peer.address) for peer in plan.peers}
    return frozenset(flood | {Entry(mac, peer.address) for peer in plan.peers for mac in peer.macs})


def entry_commands(plan: NetworkPlan, there: Entries) -> list[str]:
    """Lines for `bridge -batch`; what is no longer so goes first, for an address may have moved."""
    name, wanted = tunnel_name(plan.id), entries(plan)
    lines = [f"fdb del {entry.mac} dev {name} dst {entry.dst} self" for entry in sorted(there - wanted)]
    for entry in sorted(wanted - there):
        verb = "append" if entry.mac == EVERYBODY else "replace"  # everybody is behind several hosts
        lines.append(f"fdb {verb} {entry.mac} dev {name} dst {entry.dst} self permanent")
    return lines


def problems(
    plan: NetworkPlan, links: Links, known: Mapping[str, Entries], endpoint: Endpoint | None, *, owner: str
) -> Iterator[str]:
    """What the way to other hosts lacks, in words."""
    name = tunnel_name(plan.id)
    if not is_needed(plan, endpoint):
        if name in links:
            yield "a tunnel that nobody needs"
    elif name not in links:
        yield "no tunnel"
    elif device_commands(plan, links, endpoint, owner=owner):
        yield "the tunnel is not as planned"
    elif entry_commands(plan, known.get(name, frozenset())):
        yield "the tunnel does not know who is where"
