"""What the image service asks of a place for bytes: four methods, so that files, S3 and RBD are alike to it.

A store knows neither images nor hashes. What it was given whole it keeps whole, through a power cut; what was begun and
not finished is nobody's, and is listed so that it can be deleted.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """Something that lies in the store. `is_whole` False: the rest of an upload that never finished."""

    location: str
    size: int
    is_whole: bool


class Writing(Protocol):
    """One upload on its way into the store. It ends with `finish` or `discard`, exactly one of them."""

    async def write(self, data: bytes) -> None:
        """Append. Raises: StoreFull (413), StoreUnavailable (503)."""
        ...

    async def finish(self) -> None:
        """Make what was written durable and visible under its location, whole.

        Raises: StoreFull (413), StoreUnavailable (503).
        """
        ...

    async def discard(self) -> None:
        """Leave nothing behind. Never raises for want of something to remove."""
        ...


class ImageStore(Protocol):
    """Where the bytes of images are kept."""

    id: str  # shown to users as the store's name

    async def begin(self, location: str) -> Writing:
        """Start an upload to a location that was never used before.

        Raises: StoreFull (413), StoreUnavailable (503).
        """
        ...

    async def open(self, location: str, first: int, count: int) -> AsyncIterator[bytes]:
        """The bytes from `first` on, in chunks; they are there once this returns, whoever deletes meanwhile.

        Raises: NotStored when there are not so many.
        """
        ...

    async def delete(self, location: str) -> None:
        """Remove it, whole or not; nothing there is fine. Raises: StoreUnavailable (503)."""
        ...

    async def list(self) -> Sequence[Stored]:
        """Everything that lies here."""
        ...
