"""The image service, as compute needs it."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pileus.compute.domain.image import Image
from pileus.foundation.errors import Unavailable
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import Answer, Peer, refusal
from pileus.foundation.trace import Trace

_BASE = frozenset(
    {
        "id", "name", "status", "size", "virtual_size", "disk_format", "container_format", "min_disk", "min_ram",
        "os_hash_algo", "os_hash_value", "owner", "visibility", "checksum", "created_at", "updated_at", "protected",
        "tags", "self", "file", "schema", "os_hidden", "stores", "direct_url", "locations",
    }
)  # fmt: skip


class Images:
    """Reads images in somebody's name."""

    def __init__(self, peer: Peer):
        self._peer = peer

    async def get(
        self,
        image_id: str,
        authority: Authority,
        *,
        record: Trace | None = None,
        steps: tuple[int, int, int] = (0, 0, 0),
        sub: str = "",
    ) -> Image:
        """Raises: NotFound, Unavailable."""
        found = await self._peer.ask(
            "GET", f"/v2/images/{image_id}", authority=authority,
            record=record, steps=steps, sub=sub, describe=_describe,
        )  # fmt: skip
        return _image(found)

    @contextlib.asynccontextmanager
    async def data(self, image_id: str, authority: Authority) -> AsyncIterator[AsyncIterator[bytes]]:
        """The image's bytes in chunks. Raises: NotFound, Forbidden, Unavailable."""
        async with self._peer.stream("GET", f"/v2/images/{image_id}/file", authority=authority) as (
            status,
            headers,
            chunks,
        ):
            if status == 204:
                raise Unavailable(f"Image {image_id} has no data yet.")
            if status != 200:
                raise refusal(Answer(status, headers, b"".join([chunk async for chunk in chunks])), "image")
            yield chunks

    async def create(self, document: Mapping[str, Any], authority: Authority) -> str:
        """Make an image without data; returns its id."""
        made = await self._peer.ask("POST", "/v2/images", body=document, expect=(201,), authority=authority)
        return str(made["id"])

    async def upload(self, image_id: str, chunks: AsyncIterator[bytes], authority: Authority) -> None:
        """Give an image its data."""
        await self._peer.ask(
            "PUT", f"/v2/images/{image_id}/file", body=chunks, expect=(204,), timeout_s=7200.0,
            authority=authority,
        )  # fmt: skip

    async def status(self, image_id: str, authority: Authority) -> str:
        """Raises: NotFound."""
        found = await self._peer.ask("GET", f"/v2/images/{image_id}", authority=authority)
        return str(found["status"])

    async def delete(self, image_id: str, authority: Authority) -> None:
        """Nothing there is fine."""
        await self._peer.ask("DELETE", f"/v2/images/{image_id}", expect=(204, 404), authority=authority)


def _describe(answer: Answer) -> dict[str, object]:
    found = answer.json()
    return {name: found.get(name) for name in ("id", "disk_format", "size", "os_hash_value")}


def _image(found: Mapping[str, Any]) -> Image:
    return Image(
        id=found["id"],
        name=found.get("name") or "",
        status=found["status"],
        size_bytes=found.get("size") or 0,
        virtual_size_bytes=found.get("virtual_size"),
        disk_format=found.get("disk_format") or "",
        container_format=found.get("container_format") or "",
        min_disk_gib=found.get("min_disk") or 0,
        min_ram_mib=found.get("min_ram") or 0,
        hash_algo=found.get("os_hash_algo") or "",
        hash_value=found.get("os_hash_value") or "",
        owner=found.get("owner") or "",
        visibility=found.get("visibility") or "",
        properties={key: value for key, value in found.items() if key not in _BASE and isinstance(value, str)},
    )
