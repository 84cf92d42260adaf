"""What the bus brings to a host's network agent: a port or a network of yours has changed, look.

A message only nudges. Missing one costs time: the agent looks by itself now and then.
"""

import logging

from pileus.foundation.bus import Bus, Delivery
from pileus.foundation.errors import Error, Unavailable
from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import HostPlan
from pileus.network.host.agent import NetworkHost
from pileus.network.peers.hosts import host_topic
from pileus.network.peers.service import NetworkService, PortReport

log = logging.getLogger("pileus.network.host")

LOOK_S = 30.0


class Messages:
    """Carries what the network service says to the agent of one host, and what came of it back."""

    def __init__(self, host: str, agent: NetworkHost, service: NetworkService, runtime: Runtime, bus: Bus):
        self._host = host
        self._agent = agent
        self._service = service
        self._runtime = runtime
        self._bus = bus

    async def start(self) -> None:
        """Find what is there, make it what it should be, then listen."""
        await self._agent.start()
        await self._reconcile()
        methods = {
            "port_changed": self.port_changed, "network_changed": self.network_changed, "audit": self.audit,
        }  # fmt: skip
        self._bus.serve(host_topic(self._host), methods)
        self._runtime.spawn(self._look_now_and_then(), f"network look {self._host}")

    async def port_changed(self, delivery: Delivery) -> None:
        """Plug the port, or remove it when it is no longer bound here; returns once that is done and reported."""
        port_id = delivery.args["port_id"]
        plan = await self._service.port_plan(self._host, port_id)
        if plan.ports:
            await self._plug(plan)
        else:
            await self._agent.unplug({port_id: None})

    async def network_changed(self, delivery: Delivery) -> None:
        """What guests of a network are told has changed: DHCP, routes, name servers."""
        network_id = delivery.args["network_id"]
        plan = await self._service.host_plan(self._host)
        networks = tuple(network for network in plan.networks if network.id == network_id)
        if networks:
            ports = tuple(port for port in plan.ports if port.network_id == network_id)
            await self._plug(HostPlan(networks=networks, ports=ports))
        else:
            await self._agent.unplug({}, [network_id])

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
