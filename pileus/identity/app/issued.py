"""Steps 1 and 2 of a launch, for its trace: how the token it used was issued. Asked over the bus, by audit id."""

from typing import Any

import msgspec

from pileus.foundation.bus import Bus, Delivery
from pileus.identity.app.service import Identity

TOPIC = "identity"


def serve_issued(identity: Identity, bus: Bus) -> None:
    """Answer `issued` {audit_id}: the record without the token, None when it is no longer known."""

    async def issued(delivery: Delivery) -> dict[str, Any] | None:
        found = await identity.tokens.find_issue(delivery.args["audit_id"])
        return None if found is None else msgspec.to_builtins(found)

    bus.serve(TOPIC, {"issued": issued})
