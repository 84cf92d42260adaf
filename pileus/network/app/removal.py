"""Taking rows away with what hangs on them, inside a transaction of the caller."""

from pileus.foundation.database import Transaction
from pileus.network.app import alone
from pileus.network.domain.address import parse
from pileus.network.domain.port import FixedIp
from pileus.network.domain.subnet import Subnet
from pileus.network.store import addresses, floating_ips, ports, subnets
from pileus.network.store.ports import StoredPort


async def remove_port(tx: Transaction, stored: StoredPort) -> None:
    """Give a port's addresses back and delete it."""
    await alone.in_network(tx, stored.port.network_id)
    held = await addresses.of_port(tx, stored.port.id)
    if held:
        known = await subnets.find_many(tx, [item.subnet_id for item in held])
        for item in held:
            await addresses.give_back(tx, known[item.subnet_id], item.address, stored.port.id)
    await ports.delete(tx, stored.port)


async def release_address(tx: Transaction, item: FixedIp, port_id: str) -> None:
    """Take one address from a port; the caller is alone in the network."""
    subnet = (await subnets.find_many(tx, [item.subnet_id]))[item.subnet_id]
    await addresses.give_back(tx, subnet, parse(item.ip_address), port_id)


async def remove_loose_floating_ips(tx: Transaction, network_id: str) -> None:
    """Delete the floating IPs of an external network that point to nothing."""
    for floating, port_id in await floating_ips.loose_in(tx, network_id):
        await floating_ips.delete(tx, floating)
        stored = await ports.find(tx, port_id)
        if stored is not None:
            await remove_port(tx, stored)


async def remove_subnet(tx: Transaction, subnet: Subnet) -> None:
    """Delete a subnet whose addresses nobody needs any more; the caller is alone in its network."""
    await addresses.close_pools(tx, subnet.id)
    await subnets.delete(tx, subnet)
