"""Audit of the network service's own books: addresses, gaps, documents, routers and floating IPs agree.

What is on the hosts, and whether a port's server is still there, others compare: hosts with their plans, compute with
`ports_of_servers`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pileus.foundation.database import Transaction
from pileus.network.app.service import NetworkService
from pileus.network.domain.address import free_ranges, unpack
from pileus.network.domain.document import read
from pileus.network.domain.network import Network
from pileus.network.domain.port import FLOATING_IP, ROUTER_GATEWAY, ROUTER_INTERFACE, Port
from pileus.network.domain.subnet import Subnet
from pileus.network.store import books

COMPUTE = "compute:"


async def findings(service: NetworkService) -> list[str]:
    """Everything that contradicts something else, in words; nothing is changed."""
    return await service.database.snapshot(_compared)


async def _compared(db: Transaction) -> list[str]:
    ports = await books.ports(db)
    subnets = {row["id"]: read(row["document"], Subnet) for row in await books.subnets(db)}
    held = await books.addresses(db)
    routers = {row["id"]: row["gateway_port_id"] for row in await books.routers(db)}
    return [
        *_addresses(ports, held),
        *_gaps(subnets, held, await books.free(db)),
        *_groups(ports, await books.groups_of_ports(db)),
        *_lists(await books.networks(db), subnets.values()),
        *_router_ports(ports, routers),
        *_floating_ips(ports, await books.floating_ips(db)),
    ]


async def ports_of_servers(service: NetworkService) -> dict[str, list[str]]:
    """The ports that servers hold, by server: an auditor who knows the servers compares."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in await books.ports(service.database):
        if row["device_owner"].startswith(COMPUTE) and row["device_id"]:
            found[row["device_id"]].append(row["id"])
    return dict(found)


def _addresses(ports: Sequence[Any], held: Sequence[Any]) -> Iterator[str]:
    """What ports say they have is what the table of addresses says."""
    booked: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in held:
        booked[row["port_id"]].add((row["subnet_id"], str(unpack(row["family"], row["address"]))))
    for row in ports:
        shown = {(fixed.subnet_id, fixed.ip_address) for fixed in read(row["document"], Port).fixed_ips}
        own = booked.pop(row["id"], set())
        if shown != own:
            yield f"port {row['id']} shows {_told(shown)} and holds {_told(own)}"
    for port_id, own in booked.items():
        yield f"{_told(own)} held by port {port_id}, which is not there"


def _told(addresses: Iterable[tuple[str, str]]) -> str:
    return ", ".join(sorted(address for _, address in addresses)) or "no address"


def _gaps(subnets: Mapping[str, Subnet], held: Sequence[Any], free: Sequence[Any]) -> Iterator[str]:
    """What is free in a subnet is exactly what its pools hold and nobody has."""
    taken, gaps = defaultdict(list), defaultdict(list)
    for row in held:
        taken[row["subnet_id"]].append(int.from_bytes(row["address"], "big"))
    for row in free:
        first, last = (int.from_bytes(row[name], "big") for name in ("first_address", "last_address"))
        gaps[row["subnet_id"]].append((first, last))
    for subnet_id, subnet in subnets.items():
        if gaps.pop(subnet_id, []) != free_ranges(subnet.pools, taken[subnet_id]):
            yield f"subnet {subnet_id}: what is free is not what its pools hold and nobody has"
    for subnet_id in gaps:
        yield f"free addresses of subnet {subnet_id}, which is not there"


def _groups(ports: Sequence[Any], groups: Sequence[Any]) -> Iterator[str]:
    booked: dict[str, set[str]] = defaultdict(set)
    for row in groups:
        booked[row["port_id"]].add(row["group_id"])
    for row in ports:
        if set(read(row["document"], Port).security_groups) != booked[row["id"]]:
            yield f"port {row['id']} shows other security groups than it has"


def _lists(networks: Sequence[Any], subnets: Iterable[Subnet]) -> Iterator[str]:
    """A network lists its subnets, and they know whether it is external."""
    own: dict[str, set[str]] = defaultdict(set)
    external: dict[str, set[bool]] = defaultdict(set)
    for subnet in subnets:
        own[subnet.network_id].add(subnet.id)
        external[subnet.network_id].add(subnet.is_external)
    for row in networks:
        network = read(row["document"], Network)
        if set(network.subnets) != own[network.id]:
            yield f"network {network.id} lists other subnets than it has"
        if external[network.id] - {network.is_external}:
            yield f"network {network.id}: its subnets disagree whether it is external"


def _router_ports(ports: Sequence[Any], routers: Mapping[str, str | None]) -> Iterator[str]:
    known = {row["id"]: row for row in ports}
    for row in ports:
        if row["router_id"] is None:
            continue
        if row["router_id"] not in routers:
            yield f"port {row['id']} belongs to router {row['router_id']}, which is not there"
        elif row["device_owner"] not in (ROUTER_INTERFACE, ROUTER_GATEWAY) or row["device_id"] != row["router_id"]:
            yield f"port {row['id']} of router {row['router_id']} shows another device"
    for router_id, port_id in routers.items():
        if port_id is not None and (port_id not in known or known[port_id]["router_id"] != router_id):
            yield f"router {router_id} has gateway port {port_id}, which is not its own"


def _floating_ips(ports: Sequence[Any], floating: Sequence[Any]) -> Iterator[str]:
    known = {row["id"]: row for row in ports}
    holders = set()
    for row in floating:
        holder = known.get(row["floating_port_id"])
        holders.add(row["floating_port_id"])
        if holder is None or holder["device_id"] != row["id"]:
            yield f"floating IP {row['id']} has no port that holds its address"
        if row["port_id"] is not None:
            target = read(known[row["port_id"]]["document"], Port) if row["port_id"] in known else None
            if target is None or row["fixed_address"] not in {item.ip_address for item in target.fixed_ips}:
                yield f"floating IP {row['id']} points to {row['fixed_address']}, which its port does not have"
    for row in ports:
        is_holder = row["device_owner"] == FLOATING_IP and read(row["document"], Port).project_id == ""
        if is_holder and row["id"] not in holders:
            yield f"port {row['id']} holds the address of a floating IP that is not there"
