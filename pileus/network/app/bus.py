"""The network service on the bus: what its hosts ask and report."""

from typing import Any

import msgspec

from pileus.foundation.bus import Delivery
from pileus.foundation.bus.senders import by_host
from pileus.network.app import agents, plans, wiring_reports
from pileus.network.app.service import NetworkService
from pileus.network.peers.service import TOPIC, PortReport

LIFE_S = 20.0  # an agent that asks more often is noted no more often than this


def serve(service: NetworkService) -> None:
    """Answer hosts: `desired` {host, port_id?} with a HostPlan, `report` {host, ports} with the ids that changed."""

    noted: dict[str, float] = {}

    async def desired(delivery: Delivery) -> Any:
        host, port_id = delivery.args["host"], delivery.args.get("port_id")
        service.hosts.heard_of(host)
        if port_id:
            return msgspec.to_builtins(await plans.port_plan(service, host, port_id))
        now = service.runtime.monotonic()
        if now - noted.get(host, now - LIFE_S) >= LIFE_S:
            noted[host] = now
            await agents.note_life(service, host)
        return msgspec.to_builtins(await plans.host_plan(service, host))

    async def report(delivery: Delivery) -> Any:
        reports = msgspec.convert(delivery.args["ports"], list[PortReport])
        return await wiring_reports.take(service, delivery.args["host"], reports)

    service.bus.serve(TOPIC, {"desired": desired, "report": report}, {"desired": by_host, "report": by_host})
