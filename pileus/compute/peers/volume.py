"""The volume service, as compute needs it: volumes to boot from, attachments."""

from collections.abc import Mapping
from typing import Any

from pileus.compute.domain.errors import VolumeNotFound
from pileus.foundation.errors import NotFound
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import Answer, Peer
from pileus.foundation.trace import Trace

VERSION = {"openstack-api-version": "volume 3.71"}
Steps = tuple[int, int, int]


class Volumes:
    """Volumes and attachments in somebody's name."""

    def __init__(self, peer: Peer):
        self._peer = peer

    async def _ask(self, method: str, path: str, authority: Authority, **options: Any) -> Any:
        return await self._peer.ask(method, f"/v3{path}", headers=VERSION, authority=authority, **options)

    async def get(
        self,
        volume_id: str,
        authority: Authority,
        *,
        record: Trace | None = None,
        steps: Steps = (0, 0, 0),
        sub: str = "",
    ) -> Any:
        """Raises: VolumeNotFound."""
        try:
            found = await self._ask("GET", f"/volumes/{volume_id}", authority, record=record, steps=steps, sub=sub)
        except NotFound as missing:
            raise VolumeNotFound(volume_id=volume_id) from missing
        return found["volume"]

    async def create(
        self,
        *,
        size_gib: int,
        name: str,
        zone: str | None,
        image_id: str | None,
        snapshot_id: str | None,
        volume_type: str | None,
        metadata: Mapping[str, str],
        authority: Authority,
    ) -> Any:
        body = {
            "size": size_gib, "name": name, "availability_zone": zone, "imageRef": image_id,
            "snapshot_id": snapshot_id, "volume_type": volume_type, "metadata": dict(metadata),
        }  # fmt: skip
        wanted = {key: value for key, value in body.items() if value is not None}
        return (await self._ask("POST", "/volumes", authority, body={"volume": wanted}, expect=(202,)))["volume"]

    async def marked(self, marks: Mapping[str, str], authority: Authority) -> list[Any]:
        """The volumes that carry our marks, those on their way out too: how a repeated step finds what it made."""
        query = {"metadata": str(dict(marks)), "all_tenants": "1"}
        found = await self._ask("GET", "/volumes/detail", Authority(authority.service), query=query)
        return list(found["volumes"])

    async def delete(self, volume_id: str, authority: Authority) -> None:
        await self._ask("DELETE", f"/volumes/{volume_id}", authority, expect=(202, 204, 404))

    async def reserve(self, volume_id: str, server_id: str, authority: Authority) -> str:
        """Reserve the volume for the server and return the attachment's id; repeated, the one there is."""
        held = await self.attachment_of(volume_id, server_id, authority)
        if held is not None:
            return str(held["id"])
        body = {"attachment": {"volume_uuid": volume_id, "instance_uuid": server_id}}
        return str((await self._ask("POST", "/attachments", authority, body=body))["attachment"]["id"])

    async def attachment_of(self, volume_id: str, server_id: str, authority: Authority) -> Any | None:
        query = {"instance_id": server_id, "volume_id": volume_id, "all_tenants": "1"}
        found = await self._ask("GET", "/attachments/detail", Authority(authority.service), query=query)
        return next((a for a in found["attachments"] if a["volume_id"] == volume_id and a["instance"] == server_id),
                    None)  # fmt: skip

    async def connect(
        self,
        attachment_id: str,
        *,
        host: str,
        device: str,
        epoch: int,
        authority: Authority,
        record: Trace | None = None,
        steps: Steps = (0, 0, 0),
    ) -> Mapping[str, Any]:
        """Tell the volume service where the volume goes, and return how to reach it (connection_info)."""
        connector = {
            "host": host, "mountpoint": device, "platform": "x86_64", "os_type": "linux", "multipath": False,
            "pileus_epoch": epoch,
        }  # fmt: skip

        def describe(answer: Answer) -> dict[str, object]:
            attachment = answer.json()["attachment"]
            kind = attachment.get("connection_info", {}).get("driver_volume_type")
            return {"attachment": attachment["id"], "volume": attachment.get("volume_id"), "kind": kind}

        found = await self._ask(
            "PUT", f"/attachments/{attachment_id}", Authority(authority.service),
            body={"attachment": {"connector": connector}}, record=record, steps=steps, describe=describe,
        )  # fmt: skip
        info: Mapping[str, Any] = found["attachment"]["connection_info"]
        return info

    async def complete(self, attachment_id: str, authority: Authority) -> None:
        """The guest has the volume: it is in use."""
        await self._ask(
            "POST", f"/attachments/{attachment_id}/action", Authority(authority.service), body={"os-complete": {}},
            expect=(204,),
        )  # fmt: skip

    async def begin_detaching(self, volume_id: str, authority: Authority) -> None:
        await self._act(volume_id, "os-begin_detaching", authority)

    async def roll_detaching(self, volume_id: str, authority: Authority) -> None:
        await self._act(volume_id, "os-roll_detaching", authority)

    async def _act(self, volume_id: str, action: str, authority: Authority) -> None:
        path = f"/volumes/{volume_id}/action"
        await self._ask("POST", path, Authority(authority.service), body={action: {}}, expect=(202, 400, 404))

    async def drop(self, attachment_id: str, authority: Authority) -> None:
        """Give the volume back; nothing there is fine."""
        await self._ask("DELETE", f"/attachments/{attachment_id}", Authority(authority.service), expect=(200, 404))

    async def attachments_of_server(self, server_id: str, authority: Authority) -> list[Any]:
        query = {"instance_id": server_id, "all_tenants": "1"}
        found = await self._ask("GET", "/attachments/detail", Authority(authority.service), query=query)
        return [attachment for attachment in found["attachments"] if attachment["instance"] == server_id]
