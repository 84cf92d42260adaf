"""Bytes that a client brings: straight into the image, or into a place where they wait for an import.

The image is `saving`, or `uploading`, meanwhile. Whatever fails, it is `queued` again and nothing of the bytes stays;
when this process dies, `repair` does the same.
"""

from collections.abc import AsyncIterator, Callable

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.image.app.images import Seen, see
from pileus.image.domain.errors import DataGone, StoreUnavailable, TooLarge
from pileus.image.domain.image import Image, Received
from pileus.image.domain.status import Status, move
from pileus.image.service import ImageService
from pileus.image.service.receiving import Beat, discard, inspector_of, store
from pileus.image.store import images, uploads
from pileus.image.store.activation import activate, allowance, lock_allowance
from pileus.image.store.uploads import Stage

Allow = Callable[[Seen], None]


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
    location = new_location(service, image_id)
    image, most = await service.database.transact(
        lambda tx: _begin(service, tx, context, image_id, location, allow, length, Status.SAVING)
    )
    try:
        inspector, beat = inspector_of(service, image), beat_of(service, image_id, location)
        received = await store(service, location, chunks, inspector, most, beat)
        return await service.database.transact(lambda tx: _finish(service, tx, image_id, location, received))
    except BaseException as failure:
        await _give_up(service, image_id, location, failure)
        raise


async def stage(
    service: ImageService,
    context: Context,
    image_id: str,
    chunks: AsyncIterator[bytes],
    allow: Allow,
    *,
    length: int | None = None,
) -> None:
    """Keep bytes of a queued image until they are imported; they are looked at only then.

    Raises: ImageNotFound (404), WrongStatus (409), TooLarge and StoreFull (413), DataGone (410), and what `allow` and
    the stream of chunks raise.
    """
    location = new_location(service, image_id)
    _, most = await service.database.transact(
        lambda tx: _begin(service, tx, context, image_id, location, allow, length, Status.UPLOADING)
    )
    try:
        received = await store(service, location, chunks, None, most, beat_of(service, image_id, location))
        staged = Stage(image_id, location, received.size)
        await service.database.transact(lambda tx: _finish_stage(service, tx, staged))
    except BaseException as failure:
        await _give_up(service, image_id, location, failure)
        raise


def new_location(service: ImageService, image_id: str) -> str:
    """Where the bytes of one attempt go: no two share a place, however late one of them ends."""
    return f"{image_id}.{service.runtime.hex_id()}"


def beat_of(service: ImageService, image_id: str, location: str) -> Beat:
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


async def _begin(
    service: ImageService,
    tx: Transaction,
    context: Context,
    image_id: str,
    location: str,
    allow: Allow,
    length: int | None,
    status: Status,
) -> tuple[Image, int]:
    """The image as it is now, and how many bytes it may have."""
    seen = await see(tx, context, image_id)
    allow(seen)
    image = move(seen.image, status)
    most = await allowance(tx, service.limits, image.owner)
    if length is not None and length > most:
        raise TooLarge(most=most)
    image = msgspec.structs.replace(image, updated_at=service.runtime.now())
    image = await images.update(tx, image, indexed=False)
    await uploads.insert(tx, image_id, location, service.runtime.now())
    return image, most


async def _finish(service: ImageService, tx: Transaction, image_id: str, location: str, received: Received) -> Image:
    """Let the image be active, unless it is gone, or the upload was given up, or the quota is used up by now."""
    image = await images.find(tx, image_id)
    if not await uploads.delete(tx, image_id, location) or image is None:
        raise DataGone(image_id=image_id)
    await lock_allowance(tx, service.limits, image.owner, received.size)
    return await activate(tx, image, location, received, service.runtime.now())


async def _finish_stage(service: ImageService, tx: Transaction, staged: Stage) -> None:
    if not await uploads.delete(tx, staged.image_id, staged.location):
        raise DataGone(image_id=staged.image_id)
    await uploads.insert_stage(tx, staged, service.runtime.now())


async def _give_up(service: ImageService, image_id: str, location: str, failure: BaseException) -> None:
    """Leave nothing of the upload. Raises: DataGone (410) when `repair` had taken the bytes from under it."""
    await discard(service, location)
    was_awaited = await service.database.transact(lambda tx: _restore(service, tx, image_id, location))
    if not was_awaited and isinstance(failure, StoreUnavailable):
        raise DataGone(image_id=image_id) from failure


async def _restore(service: ImageService, tx: Transaction, image_id: str, location: str) -> bool:
    """Let the image be queued again; False when it no longer waits for this upload."""
    image = await images.find(tx, image_id)
    if not await uploads.delete(tx, image_id, location) or image is None:
        return False
    image = msgspec.structs.replace(move(image, Status.QUEUED), updated_at=service.runtime.now())
    await images.update(tx, image, indexed=False)
    return True
