"""Base images on a host: fetched once, checked by hash, shared by the overlays of many guests, never written."""

import asyncio
import hashlib
from pathlib import Path

from pileus.compute.domain.image import Image
from pileus.compute.drivers.base import ImageRoot
from pileus.compute.peers.image import Images
from pileus.foundation.errors import Error
from pileus.foundation.http.authority import Authority
from pileus.foundation.runtime import Runtime

BLOCK = 1 << 20


class ImageDamaged(Error):
    """What arrived, or lies in the cache, is not what the image service promised."""

    code = "compute.build.aborted"
    message = "The data of image {image_id} does not match its hash; upload the image again."


class ImageCache:
    """Files named by their content's hash, in one directory."""

    def __init__(self, directory: Path, images: Images, runtime: Runtime):
        self._directory = directory
        self._images = images
        self._runtime = runtime
        self._fetching: dict[str, asyncio.Lock] = {}
        self._trusted: set[str] = set()  # hashes that this process has checked

    async def ensure(self, image: Image, authority: Authority) -> Path:
        """The base image's file; fetched when it is not there. Raises: ImageDamaged, NotFound, Unavailable."""
        name = image.hash_value or image.id
        lock = self._fetching.setdefault(name, asyncio.Lock())
        async with lock:
            path = self._directory / f"{name}.{image.disk_format}"
            if name in self._trusted and path.exists():
                return path
            if path.exists() and await self._is_sound(path, image):
                self._trusted.add(name)
                return path
            await self._fetch(image, authority, path)
            self._trusted.add(name)
        self._fetching.pop(name, None)
        return path

    async def _is_sound(self, path: Path, image: Image) -> bool:
        """A file kept from before is believed only after its hash was computed again."""
        if not image.hash_value:
            return False
        found = await self._runtime.in_thread(_hash_file, path, image.hash_algo, pool="files")
        return found == image.hash_value

    async def _fetch(self, image: Image, authority: Authority, path: Path) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        partial = path.with_name(f".{path.name}.{self._runtime.hex_id()[:8]}")
        digest = hashlib.new(image.hash_algo or "sha512")
        try:
            with partial.open("xb") as target:
                async with self._images.data(image.id, authority) as chunks:
                    async for chunk in chunks:
                        await self._runtime.in_thread(_write, target, digest, chunk, pool="files")
            if image.hash_value and digest.hexdigest() != image.hash_value:
                raise ImageDamaged(image_id=image.id)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)

    def root(self, path: Path, image: Image, disk_gib: int) -> ImageRoot:
        return ImageRoot(
            base_path=str(path), base_format=image.disk_format,
            base_size_bytes=image.virtual_size_bytes or image.size_bytes, disk_gib=disk_gib,
        )  # fmt: skip


def _write(target: object, digest: object, chunk: bytes) -> None:
    target.write(chunk)  # type: ignore[attr-defined]
    digest.update(chunk)  # type: ignore[attr-defined]


def _hash_file(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with path.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
