"""One at a time, by key: who comes second about the same thing waits, others go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Alone:
    """Locks by key, kept only while somebody holds or awaits them. Within one process."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}  # with how many hold or await it

    @asynccontextmanager
    async def with_(self, key: str) -> AsyncIterator[None]:
        """Be the only one inside with this key."""
        lock, count = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, count + 1)
        try:
            async with lock:
                yield
        finally:
            lock, count = self._locks[key]
            if count > 1:
                self._locks[key] = (lock, count - 1)
            else:
                del self._locks[key]
