"""The network service on the bus: what its hosts ask and report."""

from typing import Any

import msgspec

from pileus.foundation.bus import Delivery
from pileus.network.app import plans, wiring_reports
from pileus.network.app.service import NetworkService
from pileus.network.peers.service import TOPIC, PortReport


def serve(service: NetworkService) -> None:
    """Answer hosts: `desired` {host, port_id?} with a HostPlan, `report` {host, ports} with the ids that changed."""

    async def desired(delivery: Delivery) -> Any:
        host, port_id = delivery.args["host"], delivery.args.get("port_id")
        service.hosts.heard_of(host)
        plan = await (plans.port_plan(service, host, port_id) if port_id else plans.host_plan(service, host))
        return msgspec.to_builtins(plan)

    async def report(delivery: Delivery) -> Any:
        reports = msgspec.convert(delivery.args["ports"], list[PortReport])
        return await wiring_reports.take(service, delivery.args["host"], reports)

    service.bus.serve(TOPIC, {"desired": desired, "report": report})
