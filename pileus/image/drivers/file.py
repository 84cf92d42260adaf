"""Images as files in one directory: the default store.

A file appears under its name only when it is whole and on disk. While it grows it is called `NAME.part`, and is flushed
every now and then, so that the disk is never asked for everything at once and the database's small writes get through.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pileus.foundation.runtime import Runtime
from pileus.image.domain.errors import NotStored, StoreFull, StoreUnavailable
from pileus.image.drivers.base import Stored

T = TypeVar("T")

CHUNK = 1 << 20
FLUSH_EVERY = 32 << 20
PART = ".part"
POOL = "image-files"
FLUSHES = "image-flushes"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileStore:
    """A directory of image files, 0600 in a directory 0700."""

    id = "file"

    def __init__(self, directory: Path, runtime: Runtime):
        self._directory = directory
        self._runtime = runtime
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def begin(self, location: str) -> "FileWriting":
        writing = FileWriting(self._path(location), self._runtime)
        try:
            await writing.create()
        except BaseException:
            await writing.discard()
            raise
        return writing

    async def open(self, location: str, first: int, count: int) -> AsyncIterator[bytes]:
        source = await self._runtime.in_thread(_open_at, self._path(location), first, count, pool=POOL)
        return self._chunks(source, count)

    async def delete(self, location: str) -> None:
        path = self._path(location)
        await _guarded(self._runtime, _remove, path, path.with_name(path.name + PART))

    async def list(self) -> Sequence[Stored]:
        return await _guarded(self._runtime, _listed, self._directory)

    async def _chunks(self, source: Any, count: int) -> AsyncIterator[bytes]:
        with source:
            while count > 0:
                chunk = await self._runtime.in_thread(source.read, min(CHUNK, count), pool=POOL)
                if not chunk:
                    raise NotStored(f"{source.name} ended {count} bytes early")
                count -= len(chunk)
                yield chunk

    def _path(self, location: str) -> Path:
        if not location or "/" in location or location.startswith(".") or location.endswith(PART):
            raise NotStored(f"{location!r} is no location of this store")
        return self._directory / location


class FileWriting:
    """A file that grows."""

    def __init__(self, path: Path, runtime: Runtime):
        self._path = path
        self._part = path.with_name(path.name + PART)
        self._runtime = runtime
        self._descriptor = -1
        self._size = 0
        self._flushed = 0
        self._busy: set[asyncio.Future[None]] = set()  # the descriptor stays open while a thread may use it
        self._flushing: asyncio.Future[None] | None = None

    async def create(self) -> None:
        await self._in_thread(POOL, self._create)

    async def write(self, data: bytes) -> None:
        await self._in_thread(POOL, _write_all, self._descriptor, data)
        self._size += len(data)
        if self._size - self._flushed >= FLUSH_EVERY:
            if self._flushing is not None:
                await asyncio.shield(self._flushing)
            self._flushing = self._start(FLUSHES, flush, self._descriptor, self._flushed, self._size)
            self._flushed = self._size

    async def finish(self) -> None:
        if self._flushing is not None:
            await asyncio.shield(self._flushing)
        await self._in_thread(FLUSHES, flush, self._descriptor, self._flushed, self._size)
        descriptor, self._descriptor = self._descriptor, -1
        await self._in_thread(POOL, _publish, descriptor, self._part, self._path)

    async def discard(self) -> None:
        await asyncio.gather(*self._busy, return_exceptions=True)
        descriptor, self._descriptor = self._descriptor, -1
        await self._in_thread(POOL, _give_up, descriptor, self._part, self._path)

    def _create(self) -> None:
        self._descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    async def _in_thread(self, pool: str, work: Callable[..., None], *args: Any) -> None:
        """Wait for work on the descriptor; who is cancelled while waiting leaves it running, and known."""
        await asyncio.shield(self._start(pool, work, *args))

    def _start(self, pool: str, work: Callable[..., None], *args: Any) -> asyncio.Future[None]:
        future = asyncio.ensure_future(_guarded(self._runtime, work, *args, pool=pool))
        self._busy.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: asyncio.Future[None]) -> None:
        self._busy.discard(future)
        if not future.cancelled():
            future.exception()  # who waited has it; a flush that nobody waited for fails again with the next one


async def _guarded(runtime: Runtime, work: Callable[..., T], *args: Any, pool: str = POOL) -> T:
    """Run `work` in a thread; what the file system refuses becomes an answer that names the mend.

    Raises: StoreFull (413), StoreUnavailable (503).
    """
    try:
        return await runtime.in_thread(work, *args, pool=pool)
    except OSError as failure:
        if failure.errno in FULL:
            raise StoreFull(log=str(failure)) from failure
        raise StoreUnavailable(log=str(failure)) from failure


# -- in a thread -------------------------------------------------------------------------------------------------
def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def flush(descriptor: int, first: int, end: int) -> None:
    """Bring a stretch to disk and let its memory go: an upload takes no more of the machine's than its next stretch."""
    os.fdatasync(descriptor)
    os.posix_fadvise(descriptor, first, end - first, os.POSIX_FADV_DONTNEED)


def _publish(descriptor: int, part: Path, path: Path) -> None:
    os.close(descriptor)
    part.rename(path)
    _sync_directory(path.parent)


def _give_up(descriptor: int, part: Path, path: Path) -> None:
    if descriptor >= 0:
        os.close(descriptor)
    _remove(part, path)


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_at(path: Path, first: int, count: int) -> Any:
    try:
        source = path.open("rb", buffering=0)
    except FileNotFoundError as missing:
        raise NotStored(f"{path} is missing") from missing
    if os.fstat(source.fileno()).st_size < first + count:
        source.close()
        raise NotStored(f"{path} is shorter than it was")
    source.seek(first)
    return source


def _listed(directory: Path) -> list[Stored]:
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                is_whole = not entry.name.endswith(PART)
                size = entry.stat(follow_symlinks=False).st_size
                found.append(Stored(entry.name.removesuffix(PART), size, is_whole))
    return sorted(found, key=lambda stored: stored.location)
