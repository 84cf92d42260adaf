"""Compute, as the network service needs it: somebody to tell that addresses of servers have changed."""

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

from pileus.foundation.errors import NotFound
from pileus.foundation.http.authority import Authority, OwnToken
from pileus.foundation.http.client import Peer


class Servers(Protocol):
    """News for servers, never the truth: compute also looks by itself now and then."""

    async def addresses_changed(self, server_ids: Sequence[str]) -> None:
        """Let compute look at the ports of these servers again. Raises what compute refuses, Unavailable."""
        ...

    async def host_of(self, server_id: str) -> str:
        """The host that the server's row names; '' when there is none. Raises Unavailable."""
        ...


class NoServers:
    """A network service that stands alone."""

    async def addresses_changed(self, server_ids: Sequence[str]) -> None:
        """Nobody wants to know."""

    async def host_of(self, server_id: str) -> str:
        return ""


class RestServers:
    """Compute behind its API."""

    def __init__(self, peer: Peer, token: OwnToken):
        self._peer = peer
        self._authority = Authority(token)

    async def addresses_changed(self, server_ids: Sequence[str]) -> None:
        events = [{"name": "network-changed", "server_uuid": server_id} for server_id in server_ids]
        await self._peer.ask(
            "POST", "/v2.1/os-server-external-events", body={"events": events}, expect=(200, 207, 404),
            authority=self._authority,
        )  # fmt: skip

    async def host_of(self, server_id: str) -> str:
        try:
            found = await self._peer.ask("GET", f"/v2.1/servers/{quote(server_id, safe='')}", authority=self._authority)
        except NotFound:
            return ""
        return str(found["server"].get("OS-EXT-SRV-ATTR:host") or "")
