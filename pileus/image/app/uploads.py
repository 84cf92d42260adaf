"""Bytes on their way in: looked at, hashed and stored while they stream, in memory that does not grow.

The image is `saving` meanwhile. Whatever fails, it is `queued` again and nothing of the bytes stays; when this process
dies, `repair` does the same.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error
from pileus.image.app.images import Seen, discard, retried, see
from pileus.image.domain.errors import DataGone, StoreUnavailable, TooLarge
from pileus.image.domain.image import HASH_ALGORITHM, Image
from pileus.image.domain.inspector import Inspector
from pileus.image.domain.status import Status, move
from pileus.image.drivers.base import Writing
from pileus.image.service import ImageService
from pileus.image.store import images, uploads

log = logging.getLogger("pileus.image")

BATCH = 1 << 20
HASHES = "image-hashes"

Allow = Callable[[Seen], None]
Beat = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Received:
    """What came in."""

    size: int
    virtual_size: int
    checksum: str
    hash_value: str


async def upload(
    service: ImageService,
    context: Context,
    image_id: str,
    chunks: AsyncIterator[bytes],
    allow: Allow,
    *,
    length: int | None = None,
) -> Image:
    """Give a queued image its bytes; `length` is how many are announced, if any are.

    Raises: ImageNotFound (404), WrongStatus (409), FormatMissing (400), TooLarge and StoreFull (413), UnsafeImage
    (415), DataGone (410) when the image was deleted meanwhile, and what `allow` and the stream of chunks raise.
    """
    location = f"{image_id}.{service.runtime.hex_id()}"
    image, most = await retried(service, lambda tx: _begin(service, tx, context, image_id, location, allow, length))
    inspector = Inspector(
        image.disk_format or "", image.container_format or "",
        most_virtual_bytes=service.limits.virtual_size_bytes,
    )  # fmt: skip
    try:
        received = await store(service, location, chunks, inspector, most, _beat(service, image_id, location))
        return await retried(service, lambda tx: _finish(service, tx, image_id, location, received))
    except BaseException as failure:
        await discard(service, location)
        was_awaited = await retried(service, lambda tx: _restore(service, tx, image_id, location))
        if not was_awaited and isinstance(failure, StoreUnavailable):  # repair took the bytes from under it
            raise DataGone(image_id=image_id) from failure
        raise


async def _begin(
    service: ImageService,
    tx: Transaction,
    context: Context,
    image_id: str,
    location: str,
    allow: Allow,
    length: int | None,
) -> tuple[Image, int]:
    """The image as it is now, `saving`, and how many bytes it may have."""
    seen = await see(tx, context, image_id)
    allow(seen)
    image = move(seen.image, Status.SAVING)
    most = await allowance(service, tx, image.owner)
    if length is not None and length > most:
        raise TooLarge(most=most)
    await uploads.insert(tx, image_id, location, service.runtime.now())
    image = msgspec.structs.replace(image, updated_at=service.runtime.now())
    return await images.update(tx, image, indexed=False), most


async def allowance(service: ImageService, tx: Transaction, owner: str | None) -> int:
    """How many bytes one more image of a project may have."""
    limits = service.limits
    if not limits.project_bytes or owner is None:
        return limits.size_bytes
    return min(limits.size_bytes, max(0, limits.project_bytes - await images.bytes_of(tx, owner)))


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
    return Received(size, virtual_size, checksum.hexdigest(), strong.hexdigest())


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


def _beat(service: ImageService, image_id: str, location: str) -> Beat:
    """Says now and then that the upload lives. Raises: DataGone (410) when it was given up."""
    last = service.runtime.monotonic()

    async def beat() -> None:
        nonlocal last
        now = service.runtime.monotonic()
        if now - last < service.settings.beat_s:
            return
        last = now
        if not await service.database.transact(lambda tx: uploads.beat(tx, image_id, location)):
            raise DataGone(image_id=image_id)

    return beat


async def _finish(service: ImageService, tx: Transaction, image_id: str, location: str, received: Received) -> Image:
    """Let the image be active, unless it is gone, or the upload was given up, or the quota is used up by now."""
    image = await images.find(tx, image_id)
    if not await uploads.delete(tx, image_id, location) or image is None:
        raise DataGone(image_id=image_id)
    if image.owner is not None and service.limits.project_bytes:
        await tx.lock("image.bytes", image.owner)
        most = await allowance(service, tx, image.owner)
        if received.size > most:
            raise TooLarge(most=most)
    return await activate(service, tx, image, location, received)


async def activate(service: ImageService, tx: Transaction, image: Image, location: str, received: Received) -> Image:
    """Write the image as active with the bytes at `location`."""
    image = msgspec.structs.replace(
        move(image, Status.ACTIVE),
        size=received.size,
        virtual_size=received.virtual_size,
        checksum=received.checksum,
        os_hash_algo=HASH_ALGORITHM,
        os_hash_value=received.hash_value,
        location=location,
        updated_at=service.runtime.now(),
    )
    return await images.update(tx, image, indexed=False)


async def _restore(service: ImageService, tx: Transaction, image_id: str, location: str) -> bool:
    """Let the image be queued again; False when it no longer waits for this upload."""
    image = await images.find(tx, image_id)
    if not await uploads.delete(tx, image_id, location) or image is None:
        return False
    image = msgspec.structs.replace(move(image, Status.QUEUED), updated_at=service.runtime.now())
    await images.update(tx, image, indexed=False)
    return True
