"""What a host asks of the network service: everything it should have right now."""

from typing import Protocol

from pileus.network.domain.data_plane import HostPlan


class DesiredPorts(Protocol):
    """The network service's view of one host. Answers are read from committed rows, never from memory."""

    async def host_plan(self, host: str) -> HostPlan:
        """The ports bound to `host`, and their networks. Raises Unavailable: then nothing on the host is touched."""
