"""What every image store promises, run on each of them."""

import asyncio
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.runtime import Crashed, Runtime
from pileus.image.domain.errors import NotStored, StoreFull, StoreUnavailable
from pileus.image.drivers.base import ImageStore, Stored
from pileus.image.drivers.file import FileStore, flush
from pileus.image.drivers.memory import MemoryStore
from tests.conftest import Run

MIB = 1 << 20
Again = Callable[[Runtime], ImageStore]


@pytest.fixture(params=["file", "memory"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Again:
    """The store as a process finds it; called again, as the next process finds it."""
    memory = MemoryStore(Runtime("first"))

    def open_again(runtime: Runtime) -> ImageStore:
        return FileStore(tmp_path / "images", runtime) if request.param == "file" else memory.after_a_restart(runtime)

    return open_again


@pytest.fixture
def store(again: Again, runtime: Runtime) -> ImageStore:
    return again(runtime)


async def put(store: ImageStore, location: str, *parts: bytes) -> None:
    writing = await store.begin(location)
    for part in parts:
        await writing.write(part)
    await writing.finish()


async def read(store: ImageStore, location: str, first: int, count: int) -> bytes:
    return b"".join([chunk async for chunk in await store.open(location, first, count)])


def test_what_was_finished_is_read_back(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        data = os.urandom(3 * MIB + 17)
        await put(store, "a.1", data[:1000], data[1000:])
        assert await read(store, "a.1", 0, len(data)) == data
        assert await store.list() == [Stored("a.1", len(data), True)]

    run(story)


def test_any_range_is_read(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        data = os.urandom(2 * MIB)
        await put(store, "a.1", data)
        for first, count in ((0, 1), (5, 0), (MIB - 1, 2), (2 * MIB - 1, 1), (7, 2 * MIB - 7)):
            assert await read(store, "a.1", first, count) == data[first : first + count]

    run(story)


def test_more_than_there_is_is_not_stored(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        await put(store, "a.1", b"12345")
        for location, first, count in (("a.1", 0, 6), ("a.1", 5, 1), ("a.2", 0, 1)):
            with pytest.raises(NotStored):
                await store.open(location, first, count)

    run(story)


def test_an_image_may_be_empty(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        await put(store, "a.1")
        assert await read(store, "a.1", 0, 0) == b""
        assert await store.list() == [Stored("a.1", 0, True)]

    run(story)


def test_a_discarded_upload_leaves_nothing(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        writing = await store.begin("a.1")
        await writing.write(bytes(MIB))
        await writing.discard()
        assert await store.list() == []
        with pytest.raises(NotStored):
            await store.open("a.1", 0, 1)

    run(story)


def test_what_is_not_finished_cannot_be_read_and_is_listed_as_a_rest(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        writing = await store.begin("a.1")
        await writing.write(b"12345")
        with pytest.raises(NotStored):
            await store.open("a.1", 0, 1)
        assert await store.list() == [Stored("a.1", 5, False)]
        await writing.discard()

    run(story)


def test_deleting_takes_whole_and_rest_and_nothing(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        await put(store, "a.1", b"1")
        await (await store.begin("a.2")).write(b"2")
        for location in ("a.1", "a.2", "a.3", "a.1"):
            await store.delete(location)
        assert await store.list() == []

    run(story)


def test_a_download_survives_the_deletion_of_its_image(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        data = os.urandom(3 * MIB)
        await put(store, "a.1", data)
        chunks = await store.open("a.1", 0, len(data))
        await store.delete("a.1")
        assert b"".join([chunk async for chunk in chunks]) == data

    run(story)


def test_a_dead_process_leaves_a_rest_and_the_next_one_removes_it(run: Run, again: Again, runtime: Runtime) -> None:
    dying = Runtime("dying")

    async def story() -> None:
        store = again(dying)
        await put(store, "whole", b"123")
        writing = await store.begin("rest")
        await writing.write(b"12345")
        dying.crash()
        for work in (writing.write(b"6"), writing.finish(), writing.discard(), store.delete("whole")):
            with pytest.raises(Crashed):
                await work
        after = again(runtime)
        assert set(await after.list()) == {Stored("rest", 5, False), Stored("whole", 3, True)}
        await after.delete("rest")
        assert await after.list() == [Stored("whole", 3, True)]

    run(story)
    asyncio.run(dying.stop())


def test_many_uploads_at_once_do_not_mix(run: Run, store: ImageStore) -> None:
    async def one(number: int) -> None:
        writing = await store.begin(f"image.{number}")
        for _ in range(20):
            await writing.write(bytes([number]) * 10_000)
        await writing.finish()

    async def story() -> None:
        await asyncio.gather(*(one(number) for number in range(12)))
        for number in range(12):
            assert await read(store, f"image.{number}", 0, 200_000) == bytes([number]) * 200_000

    run(story)


class FullDisk(Runtime):
    """A machine whose disk is full once so many bytes were written."""

    def __init__(self, room: int, failure: int):
        super().__init__("full")
        self.room = room
        self.failure = failure

    async def in_thread(self, work: Callable[..., Any], *args: Any, pool: str = "work") -> Any:
        size = sum(len(arg) for arg in args if isinstance(arg, bytes))
        self.room -= size
        if size and self.room < 0:
            raise OSError(self.failure, os.strerror(self.failure))
        return await super().in_thread(work, *args, pool=pool)


@pytest.fixture
def full() -> Iterator[FullDisk]:
    runtime = FullDisk(MIB, errno.ENOSPC)
    yield runtime
    asyncio.run(runtime.stop())


def fill(run: Run, store: ImageStore) -> None:
    async def story() -> None:
        await put(store, "kept", bytes(MIB // 2))
        writing = await store.begin("a.1")
        with pytest.raises(StoreFull) as refused:
            for _ in range(40):
                await writing.write(bytes(MIB // 8))
        assert refused.value.status == 413
        assert "free space" in refused.value.text
        await writing.discard()
        assert await store.list() == [Stored("kept", MIB // 2, True)]

    run(story)


def test_a_full_disk_is_told_and_nothing_stays(run: Run, tmp_path: Path, full: FullDisk) -> None:
    fill(run, FileStore(tmp_path / "images", full))
    assert os.listdir(tmp_path / "images") == ["kept"]


def test_a_full_memory_is_told_and_nothing_stays(run: Run, runtime: Runtime) -> None:
    fill(run, MemoryStore(runtime, capacity=MIB))


@pytest.mark.machine
def test_a_disk_that_is_really_full_is_told_and_nothing_stays(run: Run, tmp_path: Path, runtime: Runtime) -> None:
    place = tmp_path / "images"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "pileus-test", place], check=True)
    try:
        fill(run, FileStore(place, runtime))
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_broken_disk_is_not_called_full(run: Run, tmp_path: Path) -> None:
    broken = FullDisk(0, errno.EIO)

    async def story() -> None:
        writing = await FileStore(tmp_path / "images", broken).begin("a.1")
        with pytest.raises(StoreUnavailable):
            await writing.write(b"1")
        await writing.discard()

    run(story)
    assert os.listdir(tmp_path / "images") == []
    asyncio.run(broken.stop())


def test_files_are_readable_by_their_owner_alone(run: Run, tmp_path: Path, runtime: Runtime) -> None:
    store = FileStore(tmp_path / "images", runtime)
    run(put, store, "a.1", b"1")
    assert (tmp_path / "images").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "images" / "a.1").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("location", ["", "../a", "a/b", "/etc/passwd", ".hidden", "a.part"])
def test_a_location_never_leads_out_of_the_directory(location: str, run: Run, tmp_path: Path, runtime: Runtime) -> None:
    store = FileStore(tmp_path / "images", runtime)

    async def story() -> None:
        for work in (store.begin(location), store.open(location, 0, 0), store.delete(location)):
            with pytest.raises(NotStored):
                await work

    run(story)


class SlowDisk(Runtime):
    """A machine whose writes wait until they are let go."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()

    async def in_thread(self, work: Callable[..., Any], *args: Any, pool: str = "work") -> Any:
        if any(isinstance(arg, bytes) for arg in args):
            self.waiting.set()
            await self.gate.wait()
        return await super().in_thread(work, *args, pool=pool)


def test_a_cancelled_write_ends_before_its_file_is_closed(run: Run, tmp_path: Path) -> None:
    async def story() -> list[str]:
        slow = SlowDisk()
        writing = await FileStore(tmp_path / "images", slow).begin("a.1")
        write = asyncio.ensure_future(writing.write(b"12345"))
        await slow.waiting.wait()
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        discard = asyncio.ensure_future(writing.discard())
        await asyncio.sleep(0)
        assert not discard.done()
        slow.gate.set()
        await discard
        await slow.stop()
        return os.listdir(tmp_path / "images")

    assert run(story) == []


def test_a_long_upload_is_flushed_on_the_way(run: Run, tmp_path: Path) -> None:
    class Counting(Runtime):
        flushes = 0

        async def in_thread(self, work: Callable[..., Any], *args: Any, pool: str = "work") -> Any:
            self.flushes += work is flush
            return await super().in_thread(work, *args, pool=pool)

    async def story() -> int:
        counting = Counting("counting")
        await put(FileStore(tmp_path / "images", counting), "a.1", *[bytes(MIB)] * 100)
        await counting.stop()
        return counting.flushes

    assert run(story) == 4
