"""Compute, as block storage needs it: whether a server has a volume, and news for it."""

from typing import Protocol
from urllib.parse import quote

from pileus.foundation.errors import NotFound
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import Peer

VERSION = {"openstack-api-version": "compute 2.89"}


class Servers(Protocol):
    async def has_attachment(self, server_id: str, volume_id: str, attachment_id: str, authority: Authority) -> bool:
        """Whether compute says that the server has the volume by this attachment. Raises: Unavailable."""
        ...

    async def volume_extended(self, server_id: str, volume_id: str, authority: Authority) -> None:
        """Let the guest see the new size of a volume it has."""
        ...

    async def host_of(self, server_id: str, authority: Authority) -> str:
        """The host that the server's row names; '' when there is none. Raises: Unavailable."""
        ...


class RestServers:
    """Compute behind its API."""

    def __init__(self, peer: Peer):
        self._peer = peer

    async def has_attachment(self, server_id: str, volume_id: str, attachment_id: str, authority: Authority) -> bool:
        path = f"/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}"
        try:
            found = await self._peer.ask("GET", path, headers=VERSION, authority=authority)
        except NotFound:
            return False
        held = found["volumeAttachment"].get("attachment_id")
        return held is None or bool(held == attachment_id)

    async def volume_extended(self, server_id: str, volume_id: str, authority: Authority) -> None:
        event = {"name": "volume-extended", "server_uuid": server_id, "tag": volume_id}
        await self._peer.ask(
            "POST", "/v2.1/os-server-external-events", body={"events": [event]}, expect=(200, 207),
            headers=VERSION, authority=authority,
        )  # fmt: skip

    async def host_of(self, server_id: str, authority: Authority) -> str:
        path = f"/v2.1/servers/{quote(server_id, safe='')}"
        try:
            found = await self._peer.ask("GET", path, headers=VERSION, authority=authority)
        except NotFound:
            return ""
        return str(found["server"].get("OS-EXT-SRV-ATTR:host") or "")
