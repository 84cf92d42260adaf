"""What operators ask of placement over the bus. It has no flows: a claim is one transaction."""

from typing import Any

from pileus.foundation.bus import Bus, Delivery
from pileus.placement.app.audit import audit
from pileus.placement.service import Placement

TOPIC = "placement"


def serve(placement: Placement, bus: Bus) -> None:
    """Answer `audit` with the invariants that do not hold, and what is asked about flows with there being none."""

    async def show_audit(delivery: Delivery) -> list[dict[str, Any]]:
        return await audit(placement)

    async def list_flows(delivery: Delivery) -> list[dict[str, Any]]:
        return []

    async def show_flow(delivery: Delivery) -> None:
        return None

    async def change_flow(delivery: Delivery) -> bool:
        return False

    bus.serve(
        TOPIC,
        {
            "audit": show_audit,
            "flows.list": list_flows,
            "flows.show": show_flow,
            "flows.resume": change_flow,
            "flows.abandon": change_flow,
        },
    )
