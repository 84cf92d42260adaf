"""The moment in which an image gets its bytes: within the project's quota, in the caller's transaction."""

import msgspec

from pileus.foundation.database import Transaction
from pileus.image.domain.errors import TooLarge
from pileus.image.domain.image import HASH_ALGORITHM, Image, Limits, Received
from pileus.image.domain.status import Status, move
from pileus.image.store import images


async def allowance(tx: Transaction, limits: Limits, owner: str | None) -> int:
    """How many bytes one more image of a project may have."""
    if not limits.project_bytes or owner is None:
        return limits.size_bytes
    return min(limits.size_bytes, max(0, limits.project_bytes - await images.bytes_of(tx, owner)))


async def lock_allowance(tx: Transaction, limits: Limits, owner: str | None, size: int) -> None:
    """Make sure that `size` bytes fit, until the transaction ends. Raises: TooLarge (413)."""
    if not limits.project_bytes or owner is None:
        return
    await tx.lock("image.bytes", owner)
    most = await allowance(tx, limits, owner)
    if size > most:
        raise TooLarge(most=most)


async def activate(tx: Transaction, image: Image, location: str, received: Received, now: int) -> Image:
    """Write the image as active with the bytes at `location`. Raises: ConcurrentChange (409)."""
    image = msgspec.structs.replace(
        move(image, Status.ACTIVE),
        size=received.size,
        virtual_size=received.virtual_size,
        checksum=received.checksum,
        os_hash_algo=HASH_ALGORITHM,
        os_hash_value=received.hash_value,
        location=location,
        updated_at=now,
    )
    return await images.update(tx, image, indexed=False)
