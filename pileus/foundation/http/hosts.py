"""What hypervisor hosts may ask of a service: what its table names, about servers of their own, and nothing else.

A host's account has the roles `service` and `host`. The second narrows whatever it is shown for, a user's token that it
stands beside included: an operation that is not in the service's table is refused, one that is there is looked at by
its rule first. What a host asks with its own token alone, and its rule lets through, it asks with a service's rights.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pileus.foundation.errors import Forbidden
from pileus.foundation.http.request import Request
from pileus.foundation.runtime import Runtime

HostRule = Callable[[Request[Any], str], Awaitable[None]]
"""Looks at what a host asks; may narrow the request. Raises: NotForThisHost."""

MAX_AGE_S = 5.0
MOST = 10_000

log = logging.getLogger("pileus.http")


class NotForThisHost(Forbidden):
    code = "host.not-yours"
    message = "This is not for the account of host {host}: it may act only for servers that are placed there."


async def with_users_rights(request: Request[Any], host: str) -> None:
    """A rule: what the host asks beside a user's token is that user's to allow; alone it may not ask."""
    if request.context.caller.is_host:
        raise NotForThisHost(host=host)


def refuse(request: Request[Any], host: str) -> NotForThisHost:
    """The refusal of something that is in no table, or is no server's of that host; written into the log."""
    log.error(
        "refused %s %s to the account of host %s", request.method, request.path, host,
        extra={"request_id": request.context.request_id},
    )  # fmt: skip
    return NotForThisHost(host=host)


class Whereabouts:
    """On which host servers are placed, as compute says; remembered for a moment, as long as a token's validation."""

    def __init__(self, ask: Callable[[str], Awaitable[str]], runtime: Runtime):
        self._ask = ask  # the host of a server, '' when there is none
        self._runtime = runtime
        self._known: dict[tuple[str, str], float] = {}

    async def check(self, request: Request[Any], host: str, server_ids: Iterable[str | None]) -> None:
        """Raises: NotForThisHost unless all of these servers, one at least, are placed on the host."""
        ids = list(server_ids)
        if not ids or not all([server_id and await self._is_on(server_id, host) for server_id in ids]):
            raise refuse(request, host)

    async def _is_on(self, server_id: str, host: str) -> bool:
        now = self._runtime.monotonic()
        since = self._known.get((server_id, host))
        if since is not None and now - since < MAX_AGE_S:
            return True
        if await self._ask(server_id) != host:
            return False
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[server_id, host] = now
        return True
