"""Networks: make, change, delete."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import alone, removal
from pileus.network.app.quotas import admit_all
from pileus.network.app.revisions import expect, next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.errors import (
    AvailabilityZoneNotFound,
    ExternalNetworkInUse,
    InvalidSharedSetting,
    NetworkInUse,
    NetworkNotFound,
    NoNetworkAvailable,
)
from pileus.network.domain.moment import written
from pileus.network.domain.network import (
    MOST_TUNNEL,
    TUNNELS,
    Network,
    Segment,
    check_mtu,
    check_segment,
    segment_taken,
)
from pileus.network.domain.port import FLOATING_IP, ROUTER_GATEWAY
from pileus.network.store import networks, ports, subnets

TUNNEL_TRIES = 32


class NewNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for; None leaves the choice to the operator's settings."""

    project_id: str
    name: str = ""
    admin_state_up: bool = True
    shared: bool = False
    is_external: bool = False
    mtu: int | None = None
    description: str = ""
    port_security_enabled: bool = True
    zone_hints: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    segment: Segment | None = None


async def find(service: NetworkService, network_id: str) -> Network | None:
    return await networks.find(service.database, network_id)


async def create(service: NetworkService, wanted: Sequence[NewNetwork]) -> list[Network]:
    """Make these networks, all or none.

    Raises: InvalidInput (400), AvailabilityZoneNotFound (404), OverQuota, FlatNetworkInUse, VlanIdInUse,
    TunnelIdInUse (409).
    """
    for new in wanted:
        check_zones(service, new.zone_hints)
        if new.segment is not None:
            check_segment(new.segment, service.settings.physical_networks)
        if new.mtu is not None:
            check_mtu("new network", new.mtu, ())

    async def work(tx: Transaction) -> list[Network]:
        await admit_all(tx, service, [new.project_id for new in wanted], "network")
        return [await _insert(tx, service, new) for new in wanted]

    return await service.transact(work)


def check_zones(service: NetworkService, hints: Sequence[str]) -> None:
    """Raises: AvailabilityZoneNotFound (404)."""
    for hint in hints:
        if hint != service.settings.availability_zone:
            raise AvailabilityZoneNotFound(zone=hint)


async def _insert(tx: Transaction, service: NetworkService, new: NewNetwork) -> Network:
    now = service.runtime.now()
    segment = await _free_segment(tx, service, new.segment)
    is_tunnelled = segment.type in TUNNELS
    network = Network(
        id=service.runtime.uuid(),
        name=new.name,
        project_id=new.project_id,
        tenant_id=new.project_id,
        admin_state_up=new.admin_state_up,
        mtu=new.mtu or (service.settings.mtu if is_tunnelled else service.settings.physical_mtu),
        shared=new.shared,
        availability_zone_hints=new.zone_hints,
        is_external=new.is_external,
        description=new.description,
        port_security_enabled=new.port_security_enabled,
        tags=new.tags,
        created_at=written(now),
        updated_at=written(now),
        network_type=segment.type,
        physical_network=segment.physical,
        segmentation_id=segment.number,
    )
    await networks.insert(tx, network, now)
    return network


async def _free_segment(tx: Transaction, service: NetworkService, asked: Segment | None) -> Segment:
    segment = asked or Segment(service.settings.network_type)
    if segment.type not in TUNNELS or segment.number is not None:
        if await networks.is_segment_taken(tx, segment):
            raise segment_taken(segment)
        return segment
    for _ in range(TUNNEL_TRIES):
        number = 1 + int(service.runtime.random() * MOST_TUNNEL)
        segment = Segment(segment.type, segment.physical, number)
        if not await networks.is_segment_taken(tx, segment):
            return segment
    raise NoNetworkAvailable()


async def update(
    service: NetworkService, network_id: str, change: dict[str, Any], *, revision: int | None = None
) -> Network:
    """Change fields of a network by their names in `Network`.

    Raises: NetworkNotFound (404), InvalidSharedSetting, ExternalNetworkInUse, NetworkMTUSubnetConflict (409),
    RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> Network:
        await alone.in_network(tx, network_id)
        old = await networks.find(tx, network_id)
        if old is None:
            raise NetworkNotFound(id=network_id)
        expect(old, revision)
        now = service.runtime.now()
        new = next_revision(old, msgspec.structs.replace(old, **change), now)
        await _check_change(tx, old, new)
        await networks.update(tx, old, new, now)
        if old.is_external != new.is_external:
            await _tell_subnets(tx, new, now)
        return new

    return await service.transact(work)


async def _check_change(tx: Transaction, old: Network, new: Network) -> None:
    if old.shared and not new.shared and await networks.has_foreign_ports(tx, old):
        raise InvalidSharedSetting(network=old.name)
    if (
        old.is_external
        and not new.is_external
        and await networks.has_ports_of(tx, old.id, (ROUTER_GATEWAY, FLOATING_IP))
    ):
        raise ExternalNetworkInUse(network_id=old.id)
    if old.mtu != new.mtu:
        check_mtu(old.id, new.mtu, {subnet.ip_version for subnet in await subnets.of_network(tx, old.id)})


async def _tell_subnets(tx: Transaction, network: Network, now: int) -> None:
    for subnet in await subnets.of_network(tx, network.id):
        new = msgspec.structs.replace(subnet, is_external=network.is_external)
        await subnets.update(tx, subnet, next_revision(subnet, new, now), now)


async def delete(service: NetworkService, network_id: str, *, revision: int | None = None) -> None:
    """Delete a network with its subnets, its DHCP ports, and floating IPs that point to nothing.

    Raises: NetworkNotFound (404), NetworkInUse (409), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> set[str]:
        await alone.in_network(tx, network_id)
        network = await networks.find(tx, network_id)
        if network is None:
            raise NetworkNotFound(id=network_id)
        expect(network, revision)
        if network.is_external:
            await removal.remove_loose_floating_ips(tx, network_id)
        in_use = await ports.in_use(tx, network_id)
        if in_use:
            raise NetworkInUse(network_id=network_id, ports=",".join(in_use))
        plugged = await ports.dhcp_of_networks(tx, [network_id])
        for stored in plugged:
            await removal.remove_port(tx, stored)
        for subnet in await subnets.of_network(tx, network_id):
            await removal.remove_subnet(tx, subnet)
        await networks.delete(tx, network)
        return {stored.port.host for stored in plugged if stored.port.host}

    for host in await service.transact(work):
        service.hosts.network_changed(host, network_id)
