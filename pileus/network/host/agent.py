"""The network wing's agent on a host: carries out what it is told, and repairs what it was not told of.

Being told (`plug`, `unplug`) is only the quick way. `reconcile` asks what should be and makes it so, so a lost message
costs time and nothing else. Both may run at once: a pass leaves alone what was told of since it began to look.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pileus.network.domain.data_plane import HostPlan, Outcome
from pileus.network.drivers.base import NetworkBackend
from pileus.network.host.metadata import MetadataService
from pileus.network.host.repairs import Repairs, findings, plan_repairs
from pileus.network.host.work import Work
from pileus.network.peers.ports import DesiredPorts


class NetworkHost:
    """The agent of one host."""

    def __init__(self, host: str, backend: NetworkBackend, ports: DesiredPorts, metadata: MetadataService):
        self._host = host
        self._backend = backend
        self._ports = ports
        self._metadata = metadata
        self._told: set[str] = set()  # ids that were told of since the last pass began to look
        self._at_work: Counter[str] = Counter()  # ids that are being worked on because of a telling
        self._pass = asyncio.Lock()

    async def start(self) -> None:
        """Find what is there. A first `reconcile` should follow. Raises BackendUnavailable."""
        await self._backend.open()

    async def stop(self) -> None:
        """Stop answering guests; their networks go on."""
        self._metadata.close()
        await self._backend.close()

    # -- being told -----------------------------------------------------------------------------------------------
    async def plug(self, plan: HostPlan) -> Outcome:
        """Make these networks and plug these ports; one that fails does not stop the others."""
        with self.telling([*(network.id for network in plan.networks), *(port.id for port in plan.ports)]):
            return await Work(self._backend, self._metadata).do(Repairs(networks=plan.networks, ports=plan.ports))

    async def unplug(self, ports: Mapping[str, int | None], networks: Iterable[str] = ()) -> Outcome:
        """Remove ports, given with the epoch of the binding that ends (None: any), and networks."""
        repairs = Repairs(remove_ports=ports, remove_networks=tuple(networks))
        with self.telling([*repairs.remove_ports, *repairs.remove_networks]):
            return await Work(self._backend, self._metadata).do(repairs)

    @contextlib.contextmanager
    def telling(self, ids: list[str]) -> Iterator[None]:
        """Keep a pass that runs meanwhile, on older knowledge, away from these; for who asks first: from then on."""
        self._told.update(ids)
        self._at_work.update(ids)
        try:
            yield
        finally:
            self._at_work.subtract(ids)
            self._at_work = +self._at_work

    # -- looking --------------------------------------------------------------------------------------------------
    async def reconcile(self) -> Outcome:
        """Make this host what the network service says it should be. Raises Unavailable, and touches nothing then."""
        async with self._pass:
            self._told = set(self._at_work)
            facts = await self._backend.observe()
            wanted = await self._ports.host_plan(self._host)
            work = Work(self._backend, self._metadata, leave_alone=lambda wire: wire in self._told)
            await work.do(plan_repairs(wanted, facts))
            await work.listen(network.id for network in wanted.networks)
            return work.outcome()

    async def audit(self) -> list[str]:
        """What is not as it should be, in words; nothing is changed."""
        facts = await self._backend.observe()
        return list(findings(await self._ports.host_plan(self._host), facts))
