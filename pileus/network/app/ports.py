"""Ports: make, bind, change, delete."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import alone, default_group, dhcp, macs, removal, server_news, tunnels
from pileus.network.app.allocation import AddressRequest, Seat, assign, reassign
from pileus.network.app.quotas import admit_all
from pileus.network.app.revisions import expect, next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.errors import (
    BadRequest,
    DeviceIDNotOwnedByTenant,
    MacAddressInUse,
    NetworkNotFound,
    PortBound,
    PortNotFound,
    SecurityGroupNotFound,
    ServicePortInUse,
    UnsupportedPortDeviceOwner,
)
from pileus.network.domain.floating_ip import associated
from pileus.network.domain.moment import written
from pileus.network.domain.network import Network
from pileus.network.domain.port import (
    DOWN,
    FLOATING_IP,
    OF_ROUTERS,
    ROUTER_INTERFACE,
    Fence,
    Port,
    bind,
    check_pairs,
    check_security,
    check_security_change,
    merge_dhcp_opts,
)
from pileus.network.store import floating_ips, networks, ports, routers, security_groups, subnets
from pileus.network.store.ports import StoredPort

UNSET = msgspec.UNSET
Unset = msgspec.UnsetType


class Actor(NamedTuple):
    """In whose name a port is made or changed."""

    project_id: str
    is_admin: bool


class NewPort(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for; None leaves the choice to the network."""

    project_id: str
    network_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    mac: str | None = None
    wishes: Sequence[AddressRequest] | None = None
    device_id: str = ""
    device_owner: str = ""
    security_groups: Sequence[str] | None = None
    pairs: Sequence[Mapping[str, Any]] = ()
    dhcp_opts: Sequence[Mapping[str, Any]] = ()
    port_security_enabled: bool | None = None
    host: str = ""
    profile: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: tuple[str, ...] = ()
    router_id: str | None = None  # ours alone: the router that is plugged in by this port
    status: str = DOWN


class PortChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants changed; UNSET means as it was."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    admin_state_up: bool | Unset = UNSET
    mac: str | Unset | None = UNSET  # None: make a new one up
    wishes: Sequence[AddressRequest] | Unset = UNSET
    device_id: str | Unset = UNSET
    device_owner: str | Unset = UNSET
    security_groups: Sequence[str] | Unset = UNSET
    pairs: Sequence[Mapping[str, Any]] | Unset = UNSET
    dhcp_opts: Sequence[Mapping[str, Any]] | Unset = UNSET
    port_security_enabled: bool | Unset = UNSET
    host: str | Unset = UNSET
    profile: dict[str, Any] | Unset = UNSET


async def find(service: NetworkService, port_id: str) -> StoredPort | None:
    return await ports.find(service.database, port_id)


async def bound_to(service: NetworkService, host: str) -> list[StoredPort]:
    """The ports that are bound to a host."""
    return await ports.of_host(service.database, host)


# -- create -------------------------------------------------------------------------------------------------------
async def create(service: NetworkService, wanted: Sequence[NewPort], actor: Actor) -> list[StoredPort]:
    """Make these ports, all or none, and bind those that name a host.

    Raises: as `allocation.assign`; InvalidInput (400), NetworkNotFound, SecurityGroupNotFound (404), OverQuota,
    MacAddressInUse, DeviceIDNotOwnedByTenant ... (409).
    """

    async def work(tx: Transaction) -> list[StoredPort]:
        await admit_all(tx, service, [new.project_id for new in wanted], "port")
        return [await insert(tx, service, new, actor) for new in wanted]

    made = await service.transact(work)
    for network_id, host in sorted({(stored.port.network_id, stored.port.host) for stored in made if stored.port.host}):
        await tunnels.tell_peers(service, network_id, told=host)
    return [await _wired(service, stored) for stored in made]


async def _wired(service: NetworkService, stored: StoredPort) -> StoredPort:
    """The port once its host knows of it: compute's own bindings (they name an epoch) are answered when plugged."""
    port = stored.port
    if not port.host:
        return stored
    if not stored.fence.epoch:
        service.hosts.port_changed(port.host, port.id, port.network_id)
        return stored
    await service.hosts.plug(port.host, port.id, port.network_id)
    return await ports.find(service.database, port.id) or stored


async def insert(tx: Transaction, service: NetworkService, new: NewPort, actor: Actor) -> StoredPort:
    """Make one port in the caller's transaction, its quota already asked for."""
    await alone.in_network(tx, new.network_id)
    network = await networks.find(tx, new.network_id)
    if network is None:
        raise NetworkNotFound(id=new.network_id)
    now = service.runtime.now()
    port, fence = await _planned(tx, service, network, new, actor, now)
    if port.device_owner in OF_ROUTERS and new.router_id is None:
        await _check_router_device(tx, port, actor)
    seat = await _seat(tx, port)
    port = msgspec.structs.replace(port, fixed_ips=await assign(tx, seat, new.wishes))
    stored = StoredPort(port, network.project_id, fence, new.router_id)
    await ports.insert(tx, stored, now)
    if port.host:
        await dhcp.ensure_port(tx, service, network.id, port.host, now)
    return stored


async def _planned(
    tx: Transaction, service: NetworkService, network: Network, new: NewPort, actor: Actor, now: int
) -> tuple[Port, Fence]:
    """The port without addresses."""
    is_own = new.device_owner.startswith("network:")
    secured = new.port_security_enabled
    if secured is None:
        secured = network.port_security_enabled and not is_own
    groups = await _groups(tx, service, new, actor) if secured or new.security_groups else ()
    mac = await _mac(tx, service, network.id, new.mac)
    port = Port(
        id=service.runtime.uuid(),
        name=new.name,
        network_id=network.id,
        project_id=new.project_id,
        tenant_id=new.project_id,
        mac_address=mac,
        admin_state_up=new.admin_state_up,
        status=new.status,
        device_id=new.device_id,
        device_owner=new.device_owner,
        allowed_address_pairs=check_pairs(new.pairs, mac),
        extra_dhcp_opts=merge_dhcp_opts((), new.dhcp_opts),
        security_groups=groups,
        description=new.description,
        port_security_enabled=secured,
        tags=new.tags,
        created_at=written(now),
        updated_at=written(now),
        profile=new.profile,
    )
    check_security(port)
    if not new.host:
        return port, Fence()
    return bind(port, Fence(), host=new.host, profile=new.profile, device_id=new.device_id)


async def _groups(tx: Transaction, service: NetworkService, new: NewPort, actor: Actor) -> tuple[str, ...]:
    if new.security_groups is not None:
        return await _checked_groups(tx, new.security_groups, new.project_id, actor)
    if new.device_owner.startswith("network:") or not new.project_id:
        return ()
    return (await default_group.ensure(tx, service, new.project_id),)


async def _checked_groups(tx: Transaction, ids: Sequence[str], project_id: str, actor: Actor) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(ids))
    if not unique:
        return ()
    known = {stored.group.id: stored.group for stored in await security_groups.find_many(tx, unique)}
    for group_id in unique:
        group = known.get(group_id)
        if group is None or (not actor.is_admin and group.project_id not in (project_id, actor.project_id)):
            raise SecurityGroupNotFound(id=group_id)
    return unique


async def _mac(tx: Transaction, service: NetworkService, network_id: str, asked: str | None) -> str:
    if asked is None:
        return await macs.free(tx, service, network_id)
    if await ports.is_mac_taken(tx, network_id, asked):
        raise MacAddressInUse(network_id=network_id, mac=asked)
    return asked


async def _seat(tx: Transaction, port: Port) -> Seat:
    offered = await subnets.of_network(tx, port.network_id)
    return Seat(port.id, port.network_id, port.mac_address, port.device_owner, offered)


async def _check_router_device(tx: Transaction, port: Port, actor: Actor) -> None:
    """Refuse a port that claims to be another project's router's. Raises: DeviceIDNotOwnedByTenant (409)."""
    found = await routers.find(tx, port.device_id)
    if found is not None and not actor.is_admin and found[0].project_id != actor.project_id:
        raise DeviceIDNotOwnedByTenant(device_id=port.device_id)


# -- change -------------------------------------------------------------------------------------------------------
async def update(
    service: NetworkService, port_id: str, change: PortChange, actor: Actor, *, revision: int | None = None
) -> StoredPort:
    """Change a port; a new binding is refused when a later one is known.

    Raises: as `create`; PortNotFound (404), StaleBinding, PortBound, PortSecurityPortHasSecurityGroup ... (409),
    RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> tuple[StoredPort, StoredPort]:
        old = await ports.find(tx, port_id)
        if old is None:
            raise PortNotFound(id=port_id)
        expect(old.port, revision)
        await alone.in_network(tx, old.port.network_id)
        now = service.runtime.now()
        _check_linked(old, change)
        port, fence = bind(
            old.port, old.fence, host=_or_none(change.host), profile=_or_none(change.profile),
            device_id=_or_none(change.device_id),
        )  # fmt: skip
        port = await _changed(tx, service, port, change, actor)
        check_security_change(old.port, port, groups_given=change.security_groups is not UNSET)
        if port.device_owner in OF_ROUTERS and change.device_id is not UNSET:
            await _check_router_device(tx, port, actor)
        new = StoredPort(next_revision(old.port, port, now), old.network_project_id, fence, old.router_id)
        await ports.update(tx, old, new, now)
        await _drop_lost_floating_ips(tx, old.port, new.port, now)
        if port.host and port.host != old.port.host:
            await dhcp.ensure_port(tx, service, port.network_id, port.host, now)
        return old, new

    old, new = await service.transact(work)
    if new.port.fixed_ips != old.port.fixed_ips:
        server_news.tell(service, [port_id])
    if new.fence.number != old.fence.number:
        if old.port.host != new.port.host:
            await _tell_of_move(service, old.port, new.port.host)
        return await _wired(service, new)
    if new.port.host:
        service.hosts.port_changed(new.port.host, port_id, new.port.network_id)
    return new


async def _tell_of_move(service: NetworkService, old: Port, host: str) -> None:
    """Let the host that lost a port hear of it, and the others of its network; `host` is its new one, if any."""
    if old.host:
        service.hosts.port_changed(old.host, old.id, old.network_id)
    await tunnels.tell_peers(service, old.network_id, told=host, left=old.host)


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


def _check_linked(old: StoredPort, change: PortChange) -> None:
    """Refuse to take a router's port from under it."""
    is_interface = old.port.device_owner == ROUTER_INTERFACE
    touched = [change.device_id, change.device_owner, UNSET if is_interface else change.wishes]
    if old.router_id is not None and any(value is not UNSET for value in touched):
        raise BadRequest(resource="port", reason=f"port {old.port.id} belongs to a router, which alone can change that")


async def _changed(tx: Transaction, service: NetworkService, port: Port, change: PortChange, actor: Actor) -> Port:
    plain = {
        name: value
        for name in ("name", "description", "admin_state_up", "device_owner", "port_security_enabled")
        if (value := getattr(change, name)) is not UNSET
    }
    if plain:
        port = msgspec.structs.replace(port, **plain)
    if change.admin_state_up is False:
        port = msgspec.structs.replace(port, status=DOWN)
    if change.mac is not UNSET:
        port = await _with_mac(tx, service, port, change.mac)
    if change.wishes is not UNSET:
        seat = await _seat(tx, port)
        port = msgspec.structs.replace(port, fixed_ips=await reassign(tx, seat, port.fixed_ips, change.wishes))
    if change.security_groups is not UNSET:
        groups = await _checked_groups(tx, change.security_groups, port.project_id, actor)
        port = msgspec.structs.replace(port, security_groups=groups)
    if change.pairs is not UNSET:
        port = msgspec.structs.replace(port, allowed_address_pairs=check_pairs(change.pairs, port.mac_address))
    if change.dhcp_opts is not UNSET:
        opts = merge_dhcp_opts(port.extra_dhcp_opts, change.dhcp_opts)
        port = msgspec.structs.replace(port, extra_dhcp_opts=opts)
    return port


async def _with_mac(tx: Transaction, service: NetworkService, port: Port, asked: str | None) -> Port:
    """The port with another MAC, and with the addresses that guests compute from it."""
    if asked == port.mac_address:
        return port
    if port.is_of_network:
        raise UnsupportedPortDeviceOwner(operation="mac address update", owner=port.device_owner, port_id=port.id)
    if port.host:
        raise PortBound(
            port_id=port.id, vif_type=port.vif_type, old_mac=port.mac_address, new_mac=asked or "(generated)"
        )
    new = msgspec.structs.replace(port, mac_address=await _mac(tx, service, port.network_id, asked))
    seat = await _seat(tx, new)
    automatic = {subnet.id for subnet in seat.subnets if subnet.is_automatic}
    wishes = [
        AddressRequest(item.subnet_id, None if item.subnet_id in automatic else item.ip_address)
        for item in port.fixed_ips
    ]
    staying = [item for item in port.fixed_ips if item.subnet_id not in automatic]
    if len(staying) == len(wishes):
        return new
    for item in port.fixed_ips:
        if item.subnet_id in automatic:
            await removal.release_address(tx, item, port.id)
    return msgspec.structs.replace(new, fixed_ips=await reassign(tx, seat, staying, wishes))


async def _drop_lost_floating_ips(tx: Transaction, old: Port, new: Port, now: int) -> None:
    """Floating IPs of addresses that the port no longer has point to nothing."""
    lost = {item.ip_address for item in old.fixed_ips} - {item.ip_address for item in new.fixed_ips}
    if lost:
        for floating in await floating_ips.of_port(tx, old.id):
            if floating.fixed_ip_address in lost:
                await _dissociate(tx, floating, now)


async def _dissociate(tx: Transaction, floating: Any, now: int) -> None:
    loose = associated(floating, port_id=None, fixed_address=None, router_id=None)
    await floating_ips.update(tx, floating, next_revision(floating, loose, now), now)


# -- delete -------------------------------------------------------------------------------------------------------
async def delete(service: NetworkService, port_id: str, *, revision: int | None = None, by_user: bool = False) -> None:
    """Delete a port; floating IPs that pointed to it point to nothing. A server that loses it to a user hears of it.

    Raises: PortNotFound (404), ServicePortInUse (409), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> Port:
        stored = await ports.find(tx, port_id)
        if stored is None:
            raise PortNotFound(id=port_id)
        expect(stored.port, revision)
        await alone.in_network(tx, stored.port.network_id)
        if stored.router_id is not None or await _holds_floating_ip(tx, stored.port):
            raise ServicePortInUse(port_id=port_id, owner=stored.port.device_owner)
        now = service.runtime.now()
        for floating in await floating_ips.of_port(tx, port_id):
            await _dissociate(tx, floating, now)
        await removal.remove_port(tx, stored)
        return stored.port

    port = await service.transact(work)
    if port.host:
        await _tell_of_move(service, port, "")
    if by_user and port.device_owner.startswith("compute:"):
        server_news.tell_servers(service, [port.device_id])


async def _holds_floating_ip(tx: Transaction, port: Port) -> bool:
    if port.device_owner != FLOATING_IP:
        return False
    found = await floating_ips.find(tx, port.device_id)
    return found is not None and found[1] == port.id
