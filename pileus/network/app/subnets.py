"""Subnets: make, change, delete; and what that does to the ports of the network."""

from collections.abc import Sequence

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import alone, dhcp, removal
from pileus.network.app.allocation import Seat, take_automatic
from pileus.network.app.quotas import admit_all
from pileus.network.app.revisions import expect, next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.address import parse
from pileus.network.domain.errors import GatewayIpInUse, NetworkNotFound, SubnetInUse, SubnetNotFound
from pileus.network.domain.moment import written
from pileus.network.domain.network import Network, check_mtu
from pileus.network.domain.port import DHCP, OF_ROUTERS
from pileus.network.domain.subnet import NewSubnet, Subnet, SubnetChange, changed, check_overlap, plan
from pileus.network.store import addresses, networks, ports, subnets
from pileus.network.store.ports import StoredPort


async def find(service: NetworkService, subnet_id: str) -> Subnet | None:
    return await subnets.find(service.database, subnet_id)


async def create(service: NetworkService, wanted: Sequence[tuple[str, NewSubnet]]) -> list[Subnet]:
    """Make these subnets for these projects, all or none.

    Raises: as `domain.subnet.plan`; NetworkNotFound (404), OverQuota, NetworkMTUSubnetConflict (409).
    """

    async def work(tx: Transaction) -> tuple[list[Subnet], set[tuple[str, str]]]:
        await admit_all(tx, service, [project_id for project_id, _ in wanted], "subnet")
        touched: set[tuple[str, str]] = set()
        made = [await _insert(tx, service, project_id, new, touched) for project_id, new in wanted]
        return made, touched

    made, touched = await service.transact(work)
    _nudge(service, touched)
    return made


def _nudge(service: NetworkService, touched: set[tuple[str, str]]) -> None:
    for host, network_id in touched:
        service.hosts.network_changed(host, network_id)


async def _insert(
    tx: Transaction, service: NetworkService, project_id: str, new: NewSubnet, touched: set[tuple[str, str]]
) -> Subnet:
    await alone.in_network(tx, new.network_id)
    network = await networks.find(tx, new.network_id)
    if network is None:
        raise NetworkNotFound(id=new.network_id)
    now = service.runtime.now()
    subnet = plan(new, id=service.runtime.uuid(), project_id=project_id, is_external=network.is_external)
    subnet = msgspec.structs.replace(subnet, created_at=written(now), updated_at=written(now))
    check_mtu(network.id, network.mtu, {subnet.ip_version})
    check_overlap(subnet, await subnets.of_network(tx, network.id))
    await subnets.insert(tx, subnet, network.project_id, now)
    await addresses.open_pools(tx, subnet)
    await _list_in_network(tx, network, (*network.subnets, subnet.id), now)
    touched.update(await _tell_ports(tx, network.id, subnet, now))
    return subnet


async def _list_in_network(tx: Transaction, network: Network, ids: tuple[str, ...], now: int) -> None:
    new = msgspec.structs.replace(network, subnets=ids)
    await networks.update(tx, network, next_revision(network, new, now), now)


async def _tell_ports(tx: Transaction, network_id: str, subnet: Subnet, now: int) -> set[tuple[str, str]]:
    """Give the ports that are there already their address in the new subnet; returns the hosts to be told."""
    hosts: set[tuple[str, str]] = set()
    if subnet.is_automatic:
        for stored in await ports.of_network(tx, network_id):
            if stored.port.device_owner not in OF_ROUTERS and stored.port.device_owner != DHCP:
                await _add_automatic(tx, stored, subnet, now)
                hosts.add((stored.port.host, network_id))
    for stored in await ports.dhcp_of_networks(tx, [network_id]):
        await dhcp.follow_subnet(tx, stored, subnet, now)
        hosts.add((stored.port.host, network_id))
    return {(host, network) for host, network in hosts if host}


async def _add_automatic(tx: Transaction, stored: StoredPort, subnet: Subnet, now: int) -> None:
    port = stored.port
    seat = Seat(port.id, port.network_id, port.mac_address, port.device_owner, (subnet,))
    fixed = await take_automatic(tx, seat, subnet)
    new = msgspec.structs.replace(port, fixed_ips=(*port.fixed_ips, fixed))
    await ports.update(tx, stored, stored._replace(port=next_revision(port, new, now)), now)


# -- change -------------------------------------------------------------------------------------------------------
async def update(
    service: NetworkService, subnet_id: str, change: SubnetChange, *, revision: int | None = None
) -> Subnet:
    """Change a subnet.

    Raises: as `domain.subnet.changed`; SubnetNotFound (404), GatewayIpInUse (409),
    RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> tuple[Subnet, set[tuple[str, str]]]:
        old = await subnets.find(tx, subnet_id)
        if old is None:
            raise SubnetNotFound(id=subnet_id)
        expect(old, revision)
        await alone.in_network(tx, old.network_id)
        now = service.runtime.now()
        new = next_revision(old, changed(old, change), now)
        await _refuse_losing_router(tx, old, new)
        await subnets.update(tx, old, new, now)
        if old.allocation_pools != new.allocation_pools:
            await addresses.rebuild_pools(tx, new)
        touched = set()
        for stored in await ports.dhcp_of_networks(tx, [new.network_id]):
            await dhcp.follow_subnet(tx, stored, new, now)
            touched.add((stored.port.host, new.network_id))
        return new, touched

    new, touched = await service.transact(work)
    _nudge(service, touched)
    return new


async def _refuse_losing_router(tx: Transaction, old: Subnet, new: Subnet) -> None:
    if old.gateway_ip is None or old.gateway_ip == new.gateway_ip:
        return
    port_id = await subnets.router_port_at(tx, old.id, parse(old.gateway_ip).packed)
    if port_id is not None:
        raise GatewayIpInUse(address=old.gateway_ip, port_id=port_id)


# -- delete -------------------------------------------------------------------------------------------------------
async def delete(service: NetworkService, subnet_id: str, *, revision: int | None = None) -> None:
    """Delete a subnet that no port needs.

    DHCP ports lose their address in it; so do all ports whose guests computed it themselves.
    Raises: SubnetNotFound (404), SubnetInUse (409), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> set[tuple[str, str]]:
        subnet = await subnets.find(tx, subnet_id)
        if subnet is None:
            raise SubnetNotFound(id=subnet_id)
        expect(subnet, revision)
        await alone.in_network(tx, subnet.network_id)
        now = service.runtime.now()
        touched = await _release(tx, subnet, now)
        await removal.remove_subnet(tx, subnet)
        network = await networks.find(tx, subnet.network_id)
        if network is not None:
            left = tuple(other for other in network.subnets if other != subnet_id)
            await _list_in_network(tx, network, left, now)
        return touched

    _nudge(service, await service.transact(work))


async def _release(tx: Transaction, subnet: Subnet, now: int) -> set[tuple[str, str]]:
    """Take the subnet's addresses from the ports that can live without; returns the hosts to be told."""
    holders = await ports.find_many(tx, await addresses.ports_of_subnet(tx, subnet.id))
    for stored in holders:
        owner = stored.port.device_owner
        if owner in OF_ROUTERS or (owner != DHCP and not subnet.is_automatic):
            raise SubnetInUse(subnet_id=subnet.id)
    for stored in holders:
        left = tuple(item for item in stored.port.fixed_ips if item.subnet_id != subnet.id)
        new = msgspec.structs.replace(stored.port, fixed_ips=left)
        await ports.update(tx, stored, stored._replace(port=next_revision(stored.port, new, now)), now)
    return {(stored.port.host, subnet.network_id) for stored in holders if stored.port.host}
