"""Router interfaces: plug a router into a subnet, and out again."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import alone, removal
from pileus.network.app import ports as port_cases
from pileus.network.app.allocation import AddressRequest, Seat, reassign
from pileus.network.app.ports import Actor, NewPort
from pileus.network.app.quotas import admit
from pileus.network.app.revisions import next_revision
from pileus.network.app.routers import Held, held, legs, save
from pileus.network.app.service import NetworkService
from pileus.network.domain.address import parse
from pileus.network.domain.errors import (
    BadRequest,
    NotAuthorized,
    PortInUse,
    PortNotFound,
    RouterInterfaceInUseByFloatingIP,
    RouterInterfaceInUseByRoute,
    RouterInterfaceNotFound,
    RouterInterfaceNotFoundForSubnet,
    SubnetMismatchForPort,
    SubnetNotFound,
)
from pileus.network.domain.port import ACTIVE, ROUTER_INTERFACE
from pileus.network.domain.router import check_new_leg
from pileus.network.domain.subnet import Subnet
from pileus.network.store import floating_ips, networks, ports, subnets
from pileus.network.store.ports import StoredPort


class Interface(NamedTuple):
    """What the answer to both requests tells."""

    router_id: str
    project_id: str
    port_id: str
    network_id: str
    subnet_ids: Sequence[str]


def _refused(reason: str) -> BadRequest:
    return BadRequest(resource="router", reason=reason)


# -- plug in ------------------------------------------------------------------------------------------------------
def check_one_named(subnet_id: str | None, port_id: str | None) -> None:
    """Raises: BadRequest (400) unless exactly one of the two is named."""
    if subnet_id is None and port_id is None:
        raise _refused("Either subnet_id or port_id must be specified")
    if subnet_id is not None and port_id is not None:
        raise _refused("Cannot specify both subnet-id and port-id")


async def add(
    service: NetworkService, router_id: str, *, subnet_id: str | None, port_id: str | None, actor: Actor
) -> Interface:
    """Plug a router into a subnet at its gateway address, or by a port that the caller made.

    Raises: BadRequest (400), NotAuthorized (403), RouterNotFound, SubnetNotFound, PortNotFound (404), PortInUse,
    IpAddressAlreadyAllocated, OverQuota (409).
    """
    check_one_named(subnet_id, port_id)

    async def work(tx: Transaction) -> Interface:
        router = await held(tx, router_id)
        if port_id is not None:
            stored, joined = await _by_port(tx, service, router, port_id)
        else:
            stored, joined = await _by_subnet(tx, service, router, subnet_id or "", actor)
        await save(tx, router, router, service.runtime.now())
        return Interface(router_id, stored.port.project_id, stored.port.id, stored.port.network_id, joined)

    return await service.transact(work)


async def _by_port(
    tx: Transaction, service: NetworkService, router: Held, port_id: str
) -> tuple[StoredPort, Sequence[str]]:
    stored = await ports.find(tx, port_id)
    if stored is None:
        raise PortNotFound(id=port_id)
    port = stored.port
    if port.device_id:
        raise PortInUse(port_id=port.id, network_id=port.network_id, device_id=port.device_id)
    if not port.fixed_ips:
        raise _refused("Router port must have at least one fixed IP")
    known = await subnets.find_many(tx, [item.subnet_id for item in port.fixed_ips])
    if sum(subnet.ip_version == 4 for subnet in known.values()) > 1:
        raise _refused("Cannot have multiple IPv4 subnets on router port")
    inside = await legs(tx, router.router.id)
    for subnet in known.values():
        check_new_leg(subnet.block, subnet.id, inside)
    now = service.runtime.now()
    new = msgspec.structs.replace(
        port, device_id=router.router.id, device_owner=ROUTER_INTERFACE, security_groups=(), status=ACTIVE,
        port_security_enabled=False, allowed_address_pairs=(),
    )  # fmt: skip
    linked = stored._replace(port=next_revision(port, new, now), router_id=router.router.id)
    await ports.update(tx, stored, linked, now)
    return linked, [item.subnet_id for item in port.fixed_ips]


async def _by_subnet(
    tx: Transaction, service: NetworkService, router: Held, subnet_id: str, actor: Actor
) -> tuple[StoredPort, Sequence[str]]:
    subnet = await subnets.find(tx, subnet_id)
    if subnet is None:
        raise SubnetNotFound(id=subnet_id)
    if subnet.gateway_ip is None:
        raise _refused("Subnet for router interface must have a gateway IP")
    network = await networks.find(tx, subnet.network_id)
    if network is None or not (actor.is_admin or network.project_id == actor.project_id):
        raise NotAuthorized()  # a shared network's gateway address is its owner's to give
    check_new_leg(subnet.block, subnet.id, await legs(tx, router.router.id))
    if subnet.ip_version == 6:
        sibling = await _ipv6_port(tx, router, subnet.network_id)
        if sibling is not None:
            return await _widen(tx, service, sibling, subnet), [subnet.id]
    await admit(tx, service, router.router.project_id, "port")
    new = NewPort(
        project_id=router.router.project_id, network_id=subnet.network_id, device_id=router.router.id,
        device_owner=ROUTER_INTERFACE, router_id=router.router.id, status=ACTIVE,
        wishes=(AddressRequest(subnet.id, subnet.gateway_ip),),
    )  # fmt: skip
    return await port_cases.insert(tx, service, new, actor), [subnet.id]


async def _ipv6_port(tx: Transaction, router: Held, network_id: str) -> StoredPort | None:
    """The router's port for IPv6 in a network: one MAC serves all its IPv6 subnets."""
    for stored in await ports.of_router(tx, router.router.id):
        is_ours = stored.port.network_id == network_id and stored.port.id != router.gateway_port_id
        if is_ours and any(":" in item.ip_address for item in stored.port.fixed_ips):
            return stored
    return None


async def _widen(tx: Transaction, service: NetworkService, stored: StoredPort, subnet: Subnet) -> StoredPort:
    port = stored.port
    await alone.in_network(tx, port.network_id)
    offered = await subnets.of_network(tx, port.network_id)
    seat = Seat(port.id, port.network_id, port.mac_address, port.device_owner, offered)
    wishes = [AddressRequest(item.subnet_id, item.ip_address) for item in port.fixed_ips]
    fixed = await reassign(tx, seat, port.fixed_ips, [*wishes, AddressRequest(subnet.id, subnet.gateway_ip)])
    return await _write(tx, service, stored, fixed)


async def _write(
    tx: Transaction, service: NetworkService, stored: StoredPort, fixed: tuple[msgspec.Struct, ...]
) -> StoredPort:
    now = service.runtime.now()
    new = next_revision(stored.port, msgspec.structs.replace(stored.port, fixed_ips=fixed), now)
    changed = stored._replace(port=new)
    await ports.update(tx, stored, changed, now)
    return changed


# -- pull out -----------------------------------------------------------------------------------------------------
async def remove(service: NetworkService, router_id: str, *, subnet_id: str | None, port_id: str | None) -> Interface:
    """Pull a router out of a subnet; its port there is deleted.

    Raises: BadRequest, SubnetMismatchForPort (400), RouterNotFound, RouterInterfaceNotFound,
    RouterInterfaceNotFoundForSubnet (404), RouterInterfaceInUseByFloatingIP, RouterInterfaceInUseByRoute (409).
    """
    if subnet_id is None and port_id is None:
        raise _refused("Either subnet_id or port_id must be specified")

    async def work(tx: Transaction) -> Interface:
        router = await held(tx, router_id)
        stored = await _interface(tx, router, subnet_id, port_id)
        leaving = [item.subnet_id for item in stored.port.fixed_ips]
        if port_id is None and subnet_id is not None:
            leaving = [subnet_id]
        await _check_unused(tx, router, leaving)
        rest = tuple(item for item in stored.port.fixed_ips if item.subnet_id not in leaving)
        if rest:
            await _narrow(tx, service, stored, leaving)
        else:
            await removal.remove_port(tx, stored)
        await save(tx, router, router, service.runtime.now())
        return Interface(router_id, stored.port.project_id, stored.port.id, stored.port.network_id, leaving)

    return await service.transact(work)


async def _interface(tx: Transaction, router: Held, subnet_id: str | None, port_id: str | None) -> StoredPort:
    interfaces = [
        stored for stored in await ports.of_router(tx, router.router.id) if stored.port.id != router.gateway_port_id
    ]
    for stored in interfaces:
        joined = [item.subnet_id for item in stored.port.fixed_ips]
        if stored.port.id == port_id:
            if subnet_id is not None and subnet_id not in joined:
                raise SubnetMismatchForPort(port_id=port_id, subnet_id=subnet_id)
            return stored
        if port_id is None and subnet_id in joined:
            return stored
    if port_id is not None:
        raise RouterInterfaceNotFound(router_id=router.router.id, port_id=port_id)
    raise RouterInterfaceNotFoundForSubnet(router_id=router.router.id, subnet_id=subnet_id)


async def _check_unused(tx: Transaction, router: Held, subnet_ids: Sequence[str]) -> None:
    if await floating_ips.any_through(tx, router.router.id, subnet_ids):
        raise RouterInterfaceInUseByFloatingIP(router_id=router.router.id, subnet_id=subnet_ids[0])
    known = await subnets.find_many(tx, subnet_ids)
    for route in router.router.routes:
        for subnet in known.values():
            if subnet.block.holds(parse(route.nexthop)):
                raise RouterInterfaceInUseByRoute(router_id=router.router.id, subnet_id=subnet.id)


async def _narrow(tx: Transaction, service: NetworkService, stored: StoredPort, leaving: Sequence[str]) -> None:
    await alone.in_network(tx, stored.port.network_id)
    for item in stored.port.fixed_ips:
        if item.subnet_id in leaving:
            await removal.release_address(tx, item, stored.port.id)
    rest = tuple(item for item in stored.port.fixed_ips if item.subnet_id not in leaving)
    await _write(tx, service, stored, rest)
