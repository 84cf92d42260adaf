"""Floating IPs: make, point, delete."""

from collections.abc import Sequence

import msgspec

from pileus.foundation.database import Transaction
from pileus.foundation.errors import ConcurrentChange
from pileus.network.app import alone, removal, server_news
from pileus.network.app import ports as port_cases
from pileus.network.app.allocation import AddressRequest
from pileus.network.app.ports import Actor, NewPort
from pileus.network.app.quotas import admit_all
from pileus.network.app.revisions import expect, next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.address import parse
from pileus.network.domain.errors import (
    BadRequest,
    ExternalGatewayForFloatingIPNotFound,
    ExternalIpAddressExhausted,
    FloatingIPNotFound,
    FloatingIPPortAlreadyAssociated,
    InvalidIpForNetwork,
    IpAddressGenerationFailure,
    NetworkNotFound,
    PortNotFound,
    SubnetNotFound,
)
from pileus.network.domain.floating_ip import FloatingIp, associated, choose_fixed
from pileus.network.domain.moment import written
from pileus.network.domain.port import FLOATING_IP, Port
from pileus.network.domain.subnet import Subnet
from pileus.network.store import floating_ips, networks, ports, routers, subnets
from pileus.network.store.ports import StoredPort


class NewFloatingIp(msgspec.Struct, frozen=True, kw_only=True):
    project_id: str
    network_id: str
    subnet_id: str | None = None
    address: str | None = None
    port_id: str | None = None
    fixed_address: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


class FloatingIpChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants changed; UNSET means as it was, a port of None lets it point to nothing."""

    port_id: str | msgspec.UnsetType | None = msgspec.UNSET
    fixed_address: str | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET


def _refused(reason: str) -> BadRequest:
    return BadRequest(resource="floatingip", reason=reason)


async def find(service: NetworkService, floating_id: str) -> FloatingIp | None:
    found = await floating_ips.find(service.database, floating_id)
    return found[0] if found else None


async def port_document(service: NetworkService, port_id: str | None) -> Port | None:
    """The port a floating IP points to: answers tell some of it."""
    stored = await ports.find(service.database, port_id) if port_id else None
    return stored.port if stored else None


async def create(service: NetworkService, wanted: Sequence[NewFloatingIp], actor: Actor) -> list[FloatingIp]:
    """Make these floating IPs, all or none.

    Raises: BadRequest, ExternalIpAddressExhausted (400), NetworkNotFound, PortNotFound, SubnetNotFound,
    ExternalGatewayForFloatingIPNotFound (404), OverQuota, IpAddressAlreadyAllocated,
    FloatingIPPortAlreadyAssociated (409).
    """

    async def work(tx: Transaction) -> list[FloatingIp]:
        await admit_all(tx, service, [new.project_id for new in wanted], "floatingip")
        return [await _insert(tx, service, new, actor) for new in wanted]

    made = await service.transact(work)
    server_news.tell(service, [floating.port_id for floating in made])
    return made


async def _insert(tx: Transaction, service: NetworkService, new: NewFloatingIp, actor: Actor) -> FloatingIp:
    await alone.in_network(tx, new.network_id)
    network = await networks.find(tx, new.network_id)
    if network is None:
        raise NetworkNotFound(id=new.network_id)
    if not network.is_external:
        raise _refused(f"Network {network.id} is not a valid external network")
    floating_id = service.runtime.uuid()
    held = await _reserve(tx, service, floating_id, new, actor)
    now = service.runtime.now()
    floating = FloatingIp(
        id=floating_id,
        project_id=new.project_id,
        tenant_id=new.project_id,
        floating_ip_address=held.port.fixed_ips[0].ip_address,
        floating_network_id=network.id,
        description=new.description,
        tags=new.tags,
        created_at=written(now),
        updated_at=written(now),
    )
    if new.port_id is not None:
        floating = await _point(tx, floating, new.port_id, new.fixed_address, actor)
    elif new.fixed_address is not None:
        raise _refused("fixed_ip_address cannot be specified without a port_id")
    await floating_ips.insert(tx, floating, held.port.id, now)
    return floating


async def _reserve(
    tx: Transaction, service: NetworkService, floating_id: str, new: NewFloatingIp, actor: Actor
) -> StoredPort:
    """The port on the external network that holds the address; it belongs to nobody."""
    for wish in await _wishes(tx, new):
        port = NewPort(
            project_id="", network_id=new.network_id, device_id=floating_id, device_owner=FLOATING_IP, wishes=(wish,)
        )
        try:
            return await port_cases.insert(tx, service, port, actor)
        except IpAddressGenerationFailure:
            continue
    raise ExternalIpAddressExhausted(network_id=new.network_id)


async def _wishes(tx: Transaction, new: NewFloatingIp) -> list[AddressRequest]:
    """Where to look for an address, one after the other: in the IPv4 subnets of the external network."""
    offered = [subnet for subnet in await subnets.of_network(tx, new.network_id) if subnet.ip_version == 4]
    if not offered:
        raise _refused(f"Network {new.network_id} does not contain any IPv4 subnet")
    if new.subnet_id is not None:
        offered = [subnet for subnet in offered if subnet.id == new.subnet_id]
        if not offered:
            raise SubnetNotFound(id=new.subnet_id)
    if new.address is None:
        return [AddressRequest(subnet.id) for subnet in offered]
    return [AddressRequest(_home(offered, new.address).id, new.address)]


def _home(offered: Sequence[Subnet], text: str) -> Subnet:
    for subnet in offered:
        if subnet.block.holds(parse(text)):
            return subnet
    raise InvalidIpForNetwork(address=text)


async def _point(
    tx: Transaction, floating: FloatingIp, port_id: str, fixed_address: str | None, actor: Actor
) -> FloatingIp:
    """Let a floating IP point to a port's address."""
    stored = await ports.find(tx, port_id)
    if stored is None:
        raise PortNotFound(id=port_id)
    port = stored.port
    if port.project_id != floating.project_id and not actor.is_admin:
        raise _refused(
            f"Cannot process floating IP association with Port {port_id}, since that port is owned by a different "
            "project"
        )
    if port.is_of_network:
        raise _refused(f"Port {port_id} is unable to be assigned a floating IP")
    fixed = choose_fixed(port, fixed_address)
    router_id = await routers.between(tx, fixed.subnet_id, floating.floating_network_id)
    if router_id is None:
        raise ExternalGatewayForFloatingIPNotFound(
            network_id=floating.floating_network_id, subnet_id=fixed.subnet_id, port_id=port_id
        )
    await _hold_way(tx, stored, fixed.subnet_id, floating.floating_network_id, router_id)
    pointing = associated(floating, port_id=port_id, fixed_address=fixed.ip_address, router_id=router_id)
    other = await floating_ips.same_target(tx, pointing)
    if other is not None:
        raise FloatingIPPortAlreadyAssociated(
            floating_address=other.floating_ip_address, floatingip_id=other.id, port_id=port_id,
            fixed_address=fixed.ip_address, network_id=floating.floating_network_id,
        )  # fmt: skip
    return pointing


async def _hold_way(tx: Transaction, stored: StoredPort, subnet_id: str, network_id: str, router_id: str) -> None:
    """Until the transaction ends, port and router stay as they were read. Raises: ConcurrentChange if they did not."""
    await alone.with_router(tx, router_id)
    await alone.in_network(tx, stored.port.network_id)
    if await ports.find(tx, stored.port.id) != stored or await routers.between(tx, subnet_id, network_id) != router_id:
        raise ConcurrentChange()


async def update(
    service: NetworkService, floating_id: str, change: FloatingIpChange, actor: Actor, *, revision: int | None = None
) -> FloatingIp:
    """Point a floating IP elsewhere, to nothing, or describe it.

    Raises: as `create`; FloatingIPNotFound (404), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> tuple[FloatingIp, FloatingIp]:
        found = await floating_ips.find(tx, floating_id)
        if found is None:
            raise FloatingIPNotFound(id=floating_id)
        old = found[0]
        expect(old, revision)
        new = old
        if change.description is not msgspec.UNSET:
            new = msgspec.structs.replace(new, description=change.description)
        new = await _repoint(tx, new, change, actor)
        now = service.runtime.now()
        new = next_revision(old, new, now)
        await floating_ips.update(tx, old, new, now)
        return old, new

    old, new = await service.transact(work)
    if (old.port_id, old.fixed_ip_address) != (new.port_id, new.fixed_ip_address):
        server_news.tell(service, [old.port_id, new.port_id])
    return new


async def _repoint(tx: Transaction, old: FloatingIp, change: FloatingIpChange, actor: Actor) -> FloatingIp:
    port_id = old.port_id if change.port_id is msgspec.UNSET else change.port_id
    fixed = None if change.fixed_address is msgspec.UNSET else change.fixed_address
    if change.port_id is msgspec.UNSET and change.fixed_address is msgspec.UNSET:
        return old
    if port_id is not None:
        return await _point(tx, old, port_id, fixed, actor)
    if fixed is not None:
        raise _refused("fixed_ip_address cannot be specified without a port_id")
    return associated(old, port_id=None, fixed_address=None, router_id=None)


async def delete(service: NetworkService, floating_id: str, *, revision: int | None = None) -> None:
    """Delete a floating IP; its address is free again.

    Raises: FloatingIPNotFound (404), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> FloatingIp:
        found = await floating_ips.find(tx, floating_id)
        if found is None:
            raise FloatingIPNotFound(id=floating_id)
        floating, port_id = found
        expect(floating, revision)
        await floating_ips.delete(tx, floating)
        stored = await ports.find(tx, port_id)
        if stored is not None:
            await removal.remove_port(tx, stored)
        return floating

    gone = await service.transact(work)
    server_news.tell(service, [gone.port_id])
