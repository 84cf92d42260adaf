"""Bytes on their way out, and whether they are still those that came in."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pileus.foundation.context import Context
from pileus.image.app.images import see
from pileus.image.app.uploads import Allow
from pileus.image.domain import byte_range
from pileus.image.domain.errors import DataMissing, Deactivated, HashMismatch, NotStored
from pileus.image.domain.image import Image
from pileus.image.domain.status import Status
from pileus.image.service import ImageService
from pileus.image.service.receiving import HASHES, batches


@dataclass(frozen=True, slots=True)
class Download:
    """`count` bytes from `first` on; `chunks` None when the image has no bytes yet."""

    image: Image
    first: int
    count: int
    chunks: AsyncIterator[bytes] | None

    @property
    def is_partial(self) -> bool:
        return self.count != (self.image.size or 0)


async def download(
    service: ImageService, context: Context, image_id: str, allow: Allow, *, asked: str = ""
) -> Download:
    """An image's bytes, or the range of them that `asked` (a Range header) names.

    Raises: ImageNotFound (404), Deactivated (403), BadRange (416), DataMissing (503), and what `allow` raises.
    """
    seen = await see(service.database, context, image_id)
    allow(seen)
    image = seen.image
    if image.status == Status.DEACTIVATED and not context.is_admin:
        raise Deactivated()
    if not image.location:
        return Download(image, 0, 0, None)
    size = image.size or 0
    first, count = (byte_range.parse(asked, size) if asked else None) or (0, size)
    return Download(image, first, count, await _open(service, image, first, count))


async def verify(service: ImageService, image: Image) -> None:
    """Read all of an image's bytes and compare them with its hash.

    Raises: HashMismatch (409), DataMissing (503).
    """
    strong = hashlib.new(image.os_hash_algo or "sha512")
    try:
        async for batch in batches(await _open(service, image, 0, image.size or 0)):
            await service.runtime.in_thread(strong.update, batch, pool=HASHES)
    except NotStored as missing:
        raise DataMissing(image_id=image.id, log=str(missing)) from missing
    if strong.hexdigest() != image.os_hash_value:
        raise HashMismatch(image_id=image.id)


async def _open(service: ImageService, image: Image, first: int, count: int) -> AsyncIterator[bytes]:
    try:
        return await service.store.open(image.location, first, count)
    except (NotStored, OSError) as missing:
        raise DataMissing(image_id=image.id, log=str(missing)) from missing
