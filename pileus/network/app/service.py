"""The network wing's own objects, made once by the wiring and handed to every use case and bus method."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import msgspec

from pileus.foundation.bus import Bus
from pileus.foundation.config import decided_by, meaning
from pileus.foundation.database import BrokenReference, Database, Duplicate, Transaction
from pileus.foundation.errors import ConcurrentChange
from pileus.foundation.http.hosts import Whereabouts
from pileus.foundation.runtime import Runtime
from pileus.network.domain.quota import DEFAULTS
from pileus.network.peers.hosts import BusHosts, Hosts
from pileus.network.peers.servers import NoServers, Servers
from pileus.network.store import agents

T = TypeVar("T")

TRIES = 10


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about networks."""

    mtu: Annotated[int, meaning("The MTU of tunnelled networks.")] = 1450
    physical_mtu: Annotated[int, meaning("The MTU of networks on a wire of their own.")] = 1500
    network_type: Annotated[str, meaning("The type of networks for which the caller names none.")] = "vxlan"
    physical_networks: Annotated[tuple[str, ...], meaning("The wires that networks may be put on.")] = ("public",)
    availability_zone: Annotated[str, decided_by("cloud.zone")] = "nova"
    dns_domain: Annotated[str, meaning("The domain of ports' names.")] = ""
    quotas: Annotated[dict[str, int], meaning("Quotas of projects that have none of their own; -1: no limit.")] = (
        msgspec.field(default_factory=lambda: dict(DEFAULTS))
    )


@dataclass
class TunnelUse:
    """What this process knows of tunnels between hosts: that some host has one, or when to look again."""

    are_used: bool = False
    look_at: float = 0.0  # monotonic seconds


@dataclass(frozen=True)
class NetworkService:
    """Everything a use case of the network wing may need."""

    database: Database
    runtime: Runtime
    bus: Bus
    hosts: Hosts
    settings: NetworkSettings
    servers: Servers
    whereabouts: Whereabouts
    tunnel_use: TunnelUse = field(default_factory=TunnelUse)

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction, again when somebody else was faster.

        `work` checks before it writes, so a key that was taken meanwhile, or a row that went, becomes the right error
        on the next try.
        Raises: ConcurrentChange (409) when that goes on.
        """
        for _ in range(TRIES):
            try:
                return await self.database.transact(work)
            except (Duplicate, BrokenReference):
                continue
        raise ConcurrentChange()


def network_service(
    database: Database,
    runtime: Runtime,
    bus: Bus,
    settings: NetworkSettings | None = None,
    servers: Servers | None = None,
) -> NetworkService:
    """The service over a bus that reaches the hosts."""
    servers = servers or NoServers()

    async def has_agent(host: str) -> bool:
        return await agents.of_host(database, host) is not None

    return NetworkService(
        database, runtime, bus, BusHosts(bus, has_agent), settings or NetworkSettings(), servers,
        Whereabouts(servers.host_of, runtime),
    )  # fmt: skip
