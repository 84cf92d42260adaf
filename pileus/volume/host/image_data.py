"""An image's data on their way into a volume: fetched over REST, believed only with the right hash."""

import hashlib
import os
from pathlib import Path
from typing import Any

from pileus.foundation.http.authority import Authority
from pileus.foundation.runtime import Runtime
from pileus.volume.domain.errors import BackendFull, ImageDamaged
from pileus.volume.domain.image import Image
from pileus.volume.peers.image import Images

POOL = "volume-files"
BLOCK = 1 << 16
_ZEROS = memoryview(bytes(BLOCK))


class ImageData:
    """One image, read in the name of who asked for the volume."""

    def __init__(self, image: Image, images: Images, authority: Authority, runtime: Runtime):
        self.image_id = image.id
        self.format = image.disk_format
        self.virtual_size_bytes = image.virtual_size_bytes or image.size_bytes
        self._image = image
        self._images = images
        self._authority = authority
        self._runtime = runtime

    async def fetch(self, target: Path) -> None:
        """Write the data into the new file `target`, and check their hash.

        Raises: ImageDamaged, BackendFull, NotFound, Forbidden, Unavailable.
        """
        digest = hashlib.new(self._image.hash_algo or "sha512")
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        size = 0
        try:
            async with self._images.data(self.image_id, self._authority) as chunks:
                async for chunk in chunks:
                    await self._runtime.in_thread(_write, descriptor, digest, chunk, size, pool=POOL)
                    size += len(chunk)
            os.ftruncate(descriptor, size)
        except OSError as failure:
            raise BackendFull(volume_id=target.name, log=str(failure)) from failure
        finally:
            os.close(descriptor)
        if self._image.hash_value and digest.hexdigest() != self._image.hash_value:
            raise ImageDamaged(image_id=self.image_id)


def _write(descriptor: int, digest: Any, chunk: bytes, offset: int) -> None:
    """Write a chunk at its offset, but leave holes where it is zero: they read the same and take no room."""
    view = memoryview(chunk)
    for at in range(0, len(view), BLOCK):
        block = view[at : at + BLOCK]
        if block != _ZEROS[: len(block)]:
            while block:
                written = os.pwrite(descriptor, block, offset + at)
                block, at = block[written:], at + written
    digest.update(chunk)
