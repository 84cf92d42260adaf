"""DHCP ports: the address on each host from which a network's guests get theirs.

One is made when the first port of a network is bound to a host; it goes with the network, and blocks nothing.
"""

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import macs
from pileus.network.app.allocation import AddressRequest, Seat, reassign
from pileus.network.app.revisions import next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.errors import IpAddressGenerationFailure
from pileus.network.domain.moment import written
from pileus.network.domain.network import Network
from pileus.network.domain.port import ACTIVE, DHCP, VIF_BRIDGE, FixedIp, Port
from pileus.network.domain.subnet import Subnet
from pileus.network.store import addresses, networks, ports, subnets
from pileus.network.store.ports import StoredPort


def is_served(subnet: Subnet) -> bool:
    """Whether a DHCP server answers here: not where guests compute everything themselves."""
    return subnet.enable_dhcp and not (subnet.ip_version == 6 and subnet.ipv6_address_mode is None)


async def ensure_port(tx: Transaction, service: NetworkService, network_id: str, host: str, now: int) -> None:
    """Have a DHCP port for the network on the host, if any of its subnets wants one; the caller is alone in it."""
    if await ports.dhcp_on_host(tx, [network_id], host):
        return
    served = [subnet for subnet in await subnets.of_network(tx, network_id) if is_served(subnet)]
    network = await networks.find(tx, network_id)
    if network is None or not served:
        return
    port = await _new_port(tx, service, network, host, now)
    fixed = [item for subnet in served if (item := await _take_in(tx, port, subnet)) is not None]
    port = msgspec.structs.replace(port, fixed_ips=tuple(fixed))
    await ports.insert(tx, StoredPort(port, network.project_id), now)


async def _new_port(tx: Transaction, service: NetworkService, network: Network, host: str, now: int) -> Port:
    return Port(
        id=service.runtime.uuid(),
        network_id=network.id,
        project_id=network.project_id,
        tenant_id=network.project_id,
        mac_address=await macs.free(tx, service, network.id),
        device_id=f"dhcp-{host}-{network.id}"[:255],
        device_owner=DHCP,
        port_security_enabled=False,
        status=ACTIVE,
        host=host,
        vif_type=VIF_BRIDGE,
        created_at=written(now),
        updated_at=written(now),
    )


async def _take_in(tx: Transaction, port: Port, subnet: Subnet) -> FixedIp | None:
    """An address for the DHCP server; without one (the pool is exhausted) the subnet's guests get no DHCP here."""
    seat = Seat(port.id, port.network_id, port.mac_address, port.device_owner, (subnet,))
    try:
        return (await reassign(tx, seat, (), (AddressRequest(subnet.id),)))[0]
    except IpAddressGenerationFailure:
        return None


async def follow_subnet(tx: Transaction, stored: StoredPort, subnet: Subnet, now: int) -> None:
    """Let a DHCP port have an address in the subnet exactly when DHCP serves there."""
    port = stored.port
    held = [item for item in port.fixed_ips if item.subnet_id == subnet.id]
    if bool(held) == is_served(subnet):
        return
    if held:
        for item in await addresses.of_port(tx, port.id):
            if item.subnet_id == subnet.id:
                await addresses.give_back(tx, subnet, item.address, port.id)
        left = tuple(item for item in port.fixed_ips if item.subnet_id != subnet.id)
    else:
        taken = await _take_in(tx, port, subnet)
        if taken is None:
            return
        left = (*port.fixed_ips, taken)
    new = next_revision(port, msgspec.structs.replace(port, fixed_ips=left), now)
    await ports.update(tx, stored, stored._replace(port=new), now)
