"""The image service, as block storage needs it."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pileus.foundation.errors import NotFound, Unavailable
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import Answer, Peer, refusal
from pileus.volume.domain.errors import ImageNotFound
from pileus.volume.domain.image import Image

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

    async def get(self, image_id: str, authority: Authority) -> Image:
        """Raises: ImageNotFound, Unavailable."""
        try:
            found = await self._peer.ask("GET", f"/v2/images/{image_id}", authority=authority)
        except NotFound as missing:
            raise ImageNotFound(image_id=image_id) from missing
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
        checksum=found.get("checksum") or "",
        hash_algo=found.get("os_hash_algo") or "",
        hash_value=found.get("os_hash_value") or "",
        properties={key: value for key, value in found.items() if key not in _BASE and isinstance(value, str)},
    )
