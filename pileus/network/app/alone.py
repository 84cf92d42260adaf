"""Whom nobody disturbs: locks under which this wing reads what it decides by.

Rows are guarded by their revisions, but what a port may have is in other rows: the subnets of its network, the gaps in
their pools, the DHCP ports beside it, the routers on the way out. A router's lock is taken before a network's.
"""

from pileus.foundation.database import Transaction


async def in_network(tx: Transaction, network_id: str) -> None:
    """Until the transaction ends, nobody else changes the network's subnets or gives or takes addresses in it."""
    await tx.lock("network", network_id)


async def with_router(tx: Transaction, router_id: str) -> None:
    """Until the transaction ends, nobody else changes the router, its legs, or what it translates."""
    await tx.lock("network-router", router_id)
