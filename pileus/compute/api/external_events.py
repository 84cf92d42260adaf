"""What other services tell of servers. Each event is answered for itself, with a code of its own.

Source: Compute API reference, "Run Events".
"""

from typing import Any

from pileus.compute.app import external_events
from pileus.compute.domain.errors import NoServerOfEvents
from pileus.compute.service import Compute
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import Body, Field, array, object_, text, uuid, word

_FIRST = ("network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted")
_SINCE_2_51 = (*_FIRST, "volume-extended")
_SINCE_2_76 = (*_SINCE_2_51, "power-update")
_SINCE_2_82 = (*_SINCE_2_76, "accelerator-request-bound")
_SINCE_2_93 = (*_SINCE_2_82, "volume-reimaged")
EVENTS = Body(
    "events",
    value=array(
        object_(
            Field("name", word(*_FIRST), required=True, until="2.50"),
            Field("name", word(*_SINCE_2_51), required=True, since="2.51", until="2.75"),
            Field("name", word(*_SINCE_2_76), required=True, since="2.76", until="2.81"),
            Field("name", word(*_SINCE_2_82), required=True, since="2.82", until="2.92"),
            Field("name", word(*_SINCE_2_93), required=True, since="2.93"),
            Field("server_uuid", uuid, required=True),
            Field("status", word("failed", "completed", "in-progress")),
            Field("tag", text(0, 255)),
        ),
        minimum=1,
    ),
)


async def take_events(request: Request[Compute]) -> Response:
    """200 when all went well, 207 when some did; 404 when none found its server."""
    asked = request.body["events"]
    codes = await external_events.take(request.service, [(one["name"], one["server_uuid"]) for one in asked])
    if not any(code == external_events.DONE for code in codes):
        raise NoServerOfEvents
    shown = [_view(one, code) for one, code in zip(asked, codes, strict=True)]
    return answer({"events": shown}, 200 if set(codes) == {external_events.DONE} else 207)


def _view(asked: dict[str, Any], code: int) -> dict[str, Any]:
    status = asked.get("status", "completed") if code == external_events.DONE else "failed"
    return {**asked, "status": status, "code": code}
