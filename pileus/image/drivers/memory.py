"""Images in memory: the store of simulations and tests. It outlives the process that died, as a disk would."""

from collections.abc import AsyncIterator, Sequence

from pileus.foundation.runtime import Runtime
from pileus.image.domain.errors import NotStored, StoreFull, StoreUnavailable
from pileus.image.drivers.base import Stored

CHUNK = 1 << 20


class MemoryStore:
    """Bytes by location; `capacity` is how many there may be."""

    id = "memory"

    def __init__(self, runtime: Runtime, capacity: int = 1 << 30):
        self._runtime = runtime
        self.capacity = capacity
        self.whole: dict[str, bytes] = {}
        self.parts: dict[str, bytearray] = {}

    def after_a_restart(self, runtime: Runtime) -> "MemoryStore":
        """The same bytes in the hands of another process."""
        again = MemoryStore(runtime, self.capacity)
        again.whole, again.parts = self.whole, self.parts
        return again

    async def begin(self, location: str) -> "MemoryWriting":
        self._runtime.check()
        self.parts[location] = bytearray()
        return MemoryWriting(self, location, self._runtime)

    async def open(self, location: str, first: int, count: int) -> AsyncIterator[bytes]:
        self._runtime.check()
        data = self.whole.get(location)
        if data is None or len(data) < first + count:
            raise NotStored(f"{location} has not so many bytes")
        return self._chunks(data, first, count)

    async def delete(self, location: str) -> None:
        self._runtime.check()
        self.whole.pop(location, None)
        self.parts.pop(location, None)

    async def list(self) -> Sequence[Stored]:
        self._runtime.check()
        whole = [Stored(location, len(data), True) for location, data in self.whole.items()]
        return [*whole, *(Stored(location, len(data), False) for location, data in self.parts.items())]

    def used(self) -> int:
        return sum(map(len, self.whole.values())) + sum(map(len, self.parts.values()))

    async def _chunks(self, data: bytes, first: int, count: int) -> AsyncIterator[bytes]:
        for at in range(first, first + count, CHUNK):
            self._runtime.check()
            yield data[at : min(at + CHUNK, first + count)]


class MemoryWriting:
    """Bytes that are not an image's yet."""

    def __init__(self, store: MemoryStore, location: str, runtime: Runtime):
        self._store = store
        self._location = location
        self._runtime = runtime

    async def write(self, data: bytes) -> None:
        self._runtime.check()
        if self._store.used() + len(data) > self._store.capacity:
            raise StoreFull(log="the simulated disk is full")
        self._part().extend(data)

    async def finish(self) -> None:
        self._runtime.check()
        self._store.whole[self._location] = bytes(self._part())
        del self._store.parts[self._location]

    async def discard(self) -> None:
        self._runtime.check()
        self._store.parts.pop(self._location, None)

    def _part(self) -> bytearray:
        """What was written so far. Raises: StoreUnavailable (503) when somebody else removed it."""
        part = self._store.parts.get(self._location)
        if part is None:
            raise StoreUnavailable(log=f"{self._location} was removed while it was written")
        return part
