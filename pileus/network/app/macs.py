"""A MAC address that nobody in the network has."""

from pileus.foundation.database import Transaction
from pileus.network.app.service import NetworkService
from pileus.network.domain.errors import NoNetworkAvailable
from pileus.network.domain.mac import generated
from pileus.network.store import ports

TRIES = 64


async def free(tx: Transaction, service: NetworkService, network_id: str) -> str:
    """Make up a MAC until one is free. Raises: NoNetworkAvailable (503) when the network is as good as full."""
    for _ in range(TRIES):
        mac = generated(service.runtime.random_bytes(3))
        if not await ports.is_mac_taken(tx, network_id, mac):
            return mac
    raise NoNetworkAvailable()
