"""What the network service asks of the agent on a host, over the bus: every method may be repeated."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from pileus.network.domain.data_plane import HostPlan, Outcome


class PlugsPorts(Protocol):
    """One host's agent."""

    async def plug(self, plan: HostPlan) -> Outcome:
        """Make the plan's networks and plug its ports; what the plan does not name stays as it is."""

    async def unplug(self, ports: Mapping[str, int | None], networks: Iterable[str] = ()) -> Outcome:
        """Remove ports, given with the epoch of the binding that ends (None: any), and networks."""

    async def reconcile(self) -> Outcome:
        """Ask for the whole plan of the host and make it so. Raises Unavailable, and touches nothing then."""
