"""The network service on the bus: what its hosts ask and report."""

from typing import Any

import msgspec

from pileus.foundation.bus import Delivery
from pileus.foundation.bus.senders import by_host
from pileus.network.app import agents, plans, wiring_reports
from pileus.network.app.plans import Asker
from pileus.network.app.service import NetworkService
from pileus.network.peers.service import TOPIC, PortReport

LIFE_S = 20.0  # an agent that asks more often is noted no more often than this


def serve(service: NetworkService) -> None:
    """Answer hosts: `desired` {host, tunnel?, port_id?, network_id?} with a HostPlan, `report` {host, ports} with the
    ids that changed."""

    noted: dict[tuple[str, str], float] = {}

    async def note(asker: Asker) -> None:
        now = service.runtime.monotonic()
        if asker not in noted or now - noted[asker] >= LIFE_S:
            await agents.note_life(service, asker.host, asker.tunnel)
            noted[asker] = now

    async def desired(delivery: Delivery) -> Any:
        args = delivery.args
        asker = Asker(args["host"], args.get("tunnel", ""))
        service.hosts.heard_of(asker.host)
        if args.get("port_id"):
            return msgspec.to_builtins(await plans.port_plan(service, asker, args["port_id"]))
        if args.get("network_id"):
            return msgspec.to_builtins(await plans.network_plan(service, asker, args["network_id"]))
        await note(asker)
        return msgspec.to_builtins(await plans.host_plan(service, asker))

    async def report(delivery: Delivery) -> Any:
        reports = msgspec.convert(delivery.args["ports"], list[PortReport])
        return await wiring_reports.take(service, delivery.args["host"], reports)

    service.bus.serve(TOPIC, {"desired": desired, "report": report}, {"desired": by_host, "report": by_host})
