"""What was done with a server, as its owner may read it; of a deleted server too, while history has it."""

from pileus.compute.domain.errors import ActionNotFound
from pileus.compute.domain.instance_action import ServerAction, ServerEvent
from pileus.compute.service import Compute
from pileus.compute.store import actions
from pileus.foundation.errors import BadRequest


class UnknownActionMarker(BadRequest):
    code = "compute.server-action.marker-not-found"
    message = "marker [{marker}] not found"


async def listed(
    compute: Compute, server_id: str, *, since: int | None, before: int | None, marker: str | None, limit: int
) -> list[ServerAction]:
    """The server's actions, the newest first. Raises: UnknownActionMarker (400)."""
    after = None
    if marker is not None:
        after = await actions.find(compute.database, server_id, marker)
        if after is None:
            raise UnknownActionMarker(marker=marker)
    return await actions.listed(compute.database, server_id, since=since, before=before, after=after, limit=limit)


async def get(compute: Compute, server_id: str, request_id: str) -> tuple[ServerAction, list[ServerEvent]]:
    """One action with its events. Raises: ActionNotFound (404)."""
    found = await actions.find(compute.database, server_id, request_id)
    if found is None:
        raise ActionNotFound(request_id=request_id, server_id=server_id)
    return found, await actions.events(compute.database, server_id, request_id)
