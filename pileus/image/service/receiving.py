"""A stream on its way into the store: looked at, hashed and written while it flows, in memory that does not grow."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pileus.foundation.errors import Error
from pileus.image.domain.errors import TooLarge
from pileus.image.domain.image import HASH_ALGORITHM, Image, Received
from pileus.image.domain.inspector import Inspector
from pileus.image.drivers.base import Writing
from pileus.image.service import ImageService

log = logging.getLogger("pileus.image")

BATCH = 1 << 20
HASHES = "image-hashes"

Beat = Callable[[], Awaitable[None]]
"""Called for each batch; it raises when nobody waits for the rest."""


async def store(
    service: ImageService,
    location: str,
    chunks: AsyncIterator[bytes],
    inspector: Inspector | None,
    most: int,
    beat: Beat,
) -> Received:
    """Bring a stream into the store, whole and durable, or leave nothing of it.

    Raises: what `receive` raises.
    """
    writing = await service.store.begin(location)
    try:
        received = await receive(service, writing, chunks, inspector, most, beat)
        await writing.finish()
    except BaseException:
        try:
            await writing.discard()
        except Error as failure:
            log.warning("bytes at %s stay for now: %s", location, failure.log or failure.text)
        raise
    return received


async def receive(
    service: ImageService,
    writing: Writing,
    chunks: AsyncIterator[bytes],
    inspector: Inspector | None,
    most: int,
    beat: Beat,
) -> Received:
    """Look at, hash and write a stream; while one batch is hashed and written, the next one comes in, no more.

    Raises: UnsafeImage (415), TooLarge and StoreFull (413), StoreUnavailable (503).
    """
    in_thread = service.runtime.in_thread
    checksum, strong = hashlib.md5(usedforsecurity=False), hashlib.new(HASH_ALGORITHM)
    size = 0
    busy: asyncio.Future[Any] | None = None
    try:
        async for batch in batches(chunks):
            size += len(batch)
            if size > most:
                raise TooLarge(most=most)
            if inspector is not None:
                inspector.feed(batch)
            if busy is not None:
                await busy
            await beat()
            busy = asyncio.gather(
                in_thread(checksum.update, batch, pool=HASHES),
                in_thread(strong.update, batch, pool=HASHES),
                writing.write(batch),
            )
        if busy is not None:
            await busy
    finally:
        if busy is not None:
            await asyncio.gather(busy, return_exceptions=True)
    virtual_size = inspector.finish().virtual_size if inspector is not None else size
    return Received(size=size, virtual_size=virtual_size, checksum=checksum.hexdigest(), hash_value=strong.hexdigest())


async def batches(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of about a MiB: a thread is worth its price only for many bytes at once."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= BATCH:
            yield parts[0] if len(parts) == 1 else b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


async def discard(service: ImageService, location: str) -> None:
    """Remove bytes that are nobody's any more; what cannot be removed now, `repair` removes later."""
    try:
        await service.store.delete(location)
    except Error as failure:
        log.warning("bytes at %s stay for now: %s", location, failure.log or failure.text)


def inspector_of(service: ImageService, image: Image) -> Inspector:
    """The judge of an image's bytes, by the formats that it declares."""
    return Inspector(
        image.disk_format or "",
        image.container_format or "",
        most_virtual_bytes=service.limits.virtual_size_bytes,
    )
