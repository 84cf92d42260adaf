"""What a host must have, read from committed rows: its ports, their networks, and what DHCP tells there."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import tunnels
from pileus.network.app.service import NetworkService
from pileus.network.domain import data_plane
from pileus.network.domain.network import TUNNELS, Network
from pileus.network.domain.port import DHCP, OF_ROUTERS, Port
from pileus.network.domain.subnet import Subnet
from pileus.network.store import networks, ports, subnets
from pileus.network.store.ports import StoredPort


class Asker(NamedTuple):
    """The host that asks, with the address of its end of the tunnels; "" means that networks end there."""

    host: str
    tunnel: str = ""


async def host_plan(service: NetworkService, asker: Asker) -> data_plane.HostPlan:
    """Everything that is bound to the host."""
    return await _plan(service, asker, lambda db: ports.of_host(db, asker.host))


async def port_plan(service: NetworkService, asker: Asker, port_id: str) -> data_plane.HostPlan:
    """One port with its network; empty when it is not bound to the host."""

    async def bound(db: Transaction) -> list[StoredPort]:
        stored = await ports.find(db, port_id)
        return [stored] if stored is not None and stored.port.host == asker.host else []

    return await _plan(service, asker, bound)


async def network_plan(service: NetworkService, asker: Asker, network_id: str) -> data_plane.HostPlan:
    """A network without its ports; empty when none of them is bound to the host."""
    plan = await _plan(service, asker, lambda db: ports.of_network_on_host(db, network_id, asker.host))
    return msgspec.structs.replace(plan, ports=())


class _Wires(NamedTuple):
    """The ports that are asked about, and all that their host must know of their networks, as of one moment."""

    guests: Sequence[StoredPort]
    networks: Sequence[Network] = ()
    subnets: Sequence[Subnet] = ()
    dhcp: Mapping[str, Port] = {}


Bound = Callable[[Transaction], Awaitable[Sequence[StoredPort]]]


async def _wires(db: Transaction, host: str, bound: Bound) -> _Wires:
    guests = [stored for stored in await bound(db) if stored.port.device_owner not in (DHCP, *OF_ROUTERS)]
    ids = sorted({stored.port.network_id for stored in guests})
    if not ids:
        return _Wires(())
    dhcp = {stored.port.network_id: stored.port for stored in await ports.dhcp_on_host(db, ids, host)}
    return _Wires(guests, await networks.find_many(db, ids), await subnets.of_networks(db, ids), dhcp)


async def _plan(service: NetworkService, asker: Asker, bound: Bound) -> data_plane.HostPlan:
    guests, found, offered, dhcp = await service.database.snapshot(lambda db: _wires(db, asker.host, bound))
    if not guests:
        return data_plane.HostPlan()
    tunnelled = [network.id for network in found if network.network_type in TUNNELS]
    peers = await tunnels.peers(service, asker.host, asker.tunnel, tunnelled)
    return data_plane.HostPlan(
        networks=tuple(
            _network_plan(
                service, network, [item for item in offered if item.network_id == network.id], dhcp.get(network.id),
                peers.get(network.id, ()),
            )
            for network in found
        ),
        ports=tuple(_port_plan(stored) for stored in guests),
    )  # fmt: skip


def _network_plan(
    service: NetworkService,
    network: Network,
    offered: Sequence[Subnet],
    dhcp: Port | None,
    peers: Sequence[data_plane.Peer],
) -> data_plane.NetworkPlan:
    return data_plane.NetworkPlan(
        id=network.id,
        mtu=network.mtu,
        segment=network.segmentation_id or 0 if network.network_type in TUNNELS else 0,
        peers=tuple(peers),
        subnets=tuple(_subnet_plan(subnet, dhcp) for subnet in offered),
        dhcp_mac=dhcp.mac_address if dhcp else "",
        dns_domain=service.settings.dns_domain,
    )


def _subnet_plan(subnet: Subnet, dhcp: Port | None) -> data_plane.SubnetPlan:
    held = [item.ip_address for item in dhcp.fixed_ips if item.subnet_id == subnet.id] if dhcp else []
    return data_plane.SubnetPlan(
        id=subnet.id,
        cidr=subnet.cidr,
        gateway=subnet.gateway_ip or "",
        dns_servers=subnet.dns_nameservers,
        host_routes=tuple(
            data_plane.HostRoute(destination=route.destination, nexthop=route.nexthop) for route in subnet.host_routes
        ),
        dhcp_address=held[0] if held else "",
        address_mode=subnet.ipv6_address_mode or "",
    )


def _port_plan(stored: StoredPort) -> data_plane.PortPlan:
    port = stored.port
    return data_plane.PortPlan(
        id=port.id,
        network_id=port.network_id,
        mac=port.mac_address,
        fixed_ips=tuple(
            data_plane.FixedIp(subnet_id=item.subnet_id, address=item.ip_address) for item in port.fixed_ips
        ),
        dhcp_options=tuple(
            data_plane.DhcpOption(name=option.opt_name, value=option.opt_value, ip_version=option.ip_version)
            for option in port.extra_dhcp_opts
        ),
        is_up=port.admin_state_up,
        epoch=stored.fence.number,
    )
