"""Carries out repairs one by one: each is tried, and what fails is told and does not stop the others."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from pileus.foundation.errors import Error
from pileus.network.domain.data_plane import Failure, NetworkPlan, Outcome, PluggedPort
from pileus.network.drivers.base import NetworkBackend
from pileus.network.host.metadata import MetadataService
from pileus.network.host.repairs import Repairs

log = logging.getLogger(__name__)
T = TypeVar("T")


class Work:
    """One plan being carried out. What `leave_alone` says yes to, asked right before it is its turn, is skipped."""

    def __init__(
        self,
        backend: NetworkBackend,
        metadata: MetadataService,
        leave_alone: Callable[[str], bool] = lambda _: False,
    ):
        self._backend = backend
        self._metadata = metadata
        self._leave_alone = leave_alone
        self._plugged: list[PluggedPort] = []
        self._removed: list[str] = []
        self._failures: list[Failure] = []

    def outcome(self) -> Outcome:
        return Outcome(plugged=tuple(self._plugged), removed=tuple(self._removed), failures=tuple(self._failures))

    async def do(self, repairs: Repairs) -> Outcome:
        for port_id, epoch in repairs.remove_ports.items():
            await self._attempt(port_id, self._remove_port, port_id, epoch)
        for network_id in repairs.remove_networks:
            await self._attempt(network_id, self._remove_network, network_id)
        for network in repairs.networks:
            await self._attempt(network.id, self._make_network, network)
        for port in repairs.ports:
            plugged = await self._attempt(port.id, self._backend.ensure_port, port)
            if plugged is not None:
                self._plugged.append(plugged)
        return self.outcome()

    async def listen(self, network_ids: Iterable[str]) -> None:
        """Answer guests of these networks, and of no others: sockets end with the process, devices do not."""
        wanted = set(network_ids)
        for network_id in sorted(wanted):
            await self._attempt(network_id, self._listen, network_id)
        for network_id in self._metadata.networks() - wanted:
            if not self._leave_alone(network_id):
                self._metadata.ensure_no_listener(network_id)

    async def _remove_port(self, port_id: str, epoch: int | None) -> None:
        await self._backend.ensure_no_port(port_id, epoch=epoch)
        self._removed.append(port_id)

    async def _remove_network(self, network_id: str) -> None:
        self._metadata.ensure_no_listener(network_id)
        await self._backend.ensure_no_network(network_id)
        self._removed.append(network_id)

    async def _make_network(self, network: NetworkPlan) -> None:
        await self._backend.ensure_network(network)
        await self._listen(network.id)

    async def _listen(self, network_id: str) -> None:
        await self._metadata.ensure_listener(network_id, self._backend.metadata_namespace(network_id))

    async def _attempt(self, id: str, work: Callable[..., Awaitable[T]], *args: object) -> T | None:
        """What the work returns; None when it was skipped or failed. A failure is kept for the outcome."""
        if self._leave_alone(id):
            return None
        try:
            return await work(*args)
        except (Error, OSError, TimeoutError) as failure:
            known = failure if isinstance(failure, Error) else Error(log=repr(failure))
            log.error("%s: %s (%s)", id, known.text, known.log or known.code)
            self._failures.append(Failure(id=id, code=known.code, text=known.text))
            return None
