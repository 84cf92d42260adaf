"""What the bus brings to a host's network agent: a port or a network of yours has changed, look.

A message only nudges. Missing one costs time: the agent looks by itself now and then.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from pileus.foundation.bus import Bus, Delivery
from pileus.foundation.errors import Error, Unavailable
from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import HostPlan
from pileus.network.host.agent import NetworkHost
from pileus.network.peers.hosts import host_topic
from pileus.network.peers.service import NetworkService, PortReport

log = logging.getLogger("pileus.network.host")

LOOK_S = 30.0


class _Turn:
    """Whose turn it is to ask about one network."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class Messages:
    """Carries what the network service says to the agent of one host, and what came of it back."""

    def __init__(self, host: str, agent: NetworkHost, service: NetworkService, runtime: Runtime, bus: Bus):
        self._host = host
        self._agent = agent
        self._service = service
        self._runtime = runtime
        self._bus = bus
        self._turns: dict[str, _Turn] = {}
        self._due: dict[str, Delivery] = {}  # by network: who already waits to ask for its peers

    async def start(self) -> None:
        """Find what is there, make it what it should be, then listen."""
        await self._agent.start()
        await self._reconcile()
        methods = {
            "port_changed": self.port_changed, "network_changed": self.network_changed,
            "peers_changed": self.peers_changed, "audit": self.audit,
        }  # fmt: skip
        self._bus.serve(host_topic(self._host), methods)
        self._runtime.spawn(self._look_now_and_then(), f"network look {self._host}")

    async def port_changed(self, delivery: Delivery) -> None:
        """Plug the port, or remove it when it is no longer bound here; returns once that is done and reported."""
        port_id = delivery.args["port_id"]
        async with self._turn(delivery.args["network_id"], port_id):
            plan = await self._service.port_plan(self._host, port_id)
            if plan.ports:
                await self._plug(plan)
            else:
                await self._agent.unplug({port_id: None})

    async def network_changed(self, delivery: Delivery) -> None:
        """What guests of a network are told has changed: DHCP, routes, name servers."""
        network_id = delivery.args["network_id"]
        async with self._turn(network_id):
            plan = await self._service.host_plan(self._host)
            networks = tuple(network for network in plan.networks if network.id == network_id)
            if networks:
                ports = tuple(port for port in plan.ports if port.network_id == network_id)
                await self._plug(HostPlan(networks=networks, ports=ports))
            else:
                await self._agent.unplug({}, [network_id])

    async def peers_changed(self, delivery: Delivery) -> None:
        """Guests of a network came to other hosts or left them; many such messages at once are one question."""
        network_id = delivery.args["network_id"]
        if network_id in self._due:
            return
        self._due[network_id] = delivery
        try:
            async with self._turn(network_id):
                del self._due[network_id]
                plan = await self._service.network_plan(self._host, network_id)
                if plan.networks:
                    await self._agent.plug(plan)
                else:
                    await self._agent.unplug({}, [network_id])
        finally:
            if self._due.get(network_id) is delivery:  # it never was our turn
                del self._due[network_id]

    @contextlib.asynccontextmanager
    async def _turn(self, network_id: str, *port_ids: str) -> AsyncIterator[None]:
        """Ask and act on one network one after the other, so that an older answer is never carried out last."""
        turn = self._turns.setdefault(network_id, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                with self._agent.telling([network_id, *port_ids]):
                    yield
        finally:
            turn.users -= 1
            if turn.users == 0:
                del self._turns[network_id]

    async def audit(self, delivery: Delivery) -> list[str]:
        return await self._agent.audit()

    async def _plug(self, plan: HostPlan) -> None:
        outcome = await self._agent.plug(plan)
        failed = {failure.id for failure in outcome.failures}
        for failure in outcome.failures:
            log.error("%s: %s", failure.id, failure.text)
        reports = [PortReport(port_id=port.id, epoch=port.epoch, is_wired=port.id not in failed) for port in plan.ports]
        await self._service.report(self._host, reports)

    async def _look_now_and_then(self) -> None:
        while True:
            await self._runtime.sleep(LOOK_S)
            await self._reconcile()

    async def _reconcile(self) -> None:
        try:
            plan = await self._service.host_plan(self._host)
            outcome = await self._agent.reconcile()
            failed = {failure.id for failure in outcome.failures}
            reports = [
                PortReport(port_id=port.id, epoch=port.epoch, is_wired=port.id not in failed) for port in plan.ports
            ]
            if reports:
                await self._service.report(self._host, reports)
        except Unavailable as error:
            log.warning("network of %s: %s", self._host, error)
        except Error as error:
            log.error("network of %s: %s", self._host, error)
