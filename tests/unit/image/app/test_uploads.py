"""Bytes come in whole and hashed, or nothing of them stays; whoever dies meanwhile is mended."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.context import Caller, Context
from pileus.foundation.database import SqliteDatabase
from pileus.foundation.errors import BadRequest, Error
from pileus.foundation.runtime import Crashed, Runtime
from pileus.image.app import images, uploads
from pileus.image.app.audit import audit
from pileus.image.app.downloads import download, verify
from pileus.image.app.repair import Repaired, Repairer
from pileus.image.domain import errors
from pileus.image.domain.image import Image, Limits
from pileus.image.domain.patch import Change, apply
from pileus.image.drivers.base import ImageStore
from pileus.image.drivers.file import FileStore
from pileus.image.drivers.memory import MemoryStore
from pileus.image.service import ImageService, ImageSettings
from pileus.image.service.receiving import BATCH
from pileus.image.store import uploads as upload_rows
from pileus.image.store.tables import SCHEMA
from tests.conftest import Run
from tests.databases import database_at
from tests.unit.image.domain import samples

MIB = 1 << 20
IMAGE = "11111111-2222-3333-4444-555555555555"
ALICE = Context("req-1", Caller(user_id="u", project_id="alice", roles=frozenset({"member", "reader"})))
Work = Callable[[ImageService], Any]


def anybody(seen: images.Seen) -> None:
    """Policy lets everybody pass."""


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def queued(service: ImageService, **facts: Any) -> None:
    facts = {"id": IMAGE, "disk_format": "raw", "container_format": "bare", **facts}
    now = service.runtime.now()
    await images.create(service, Image(owner="alice", created_at=now, updated_at=now, **facts))


async def put(service: ImageService, *chunks: bytes, **options: Any) -> Image:
    return await uploads.upload(service, ALICE, IMAGE, stream(*chunks), anybody, **options)


async def show(service: ImageService) -> Image:
    return (await images.get(service, ALICE, IMAGE)).image


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, runtime: Runtime) -> ImageStore:
    return FileStore(tmp_path / "images", runtime) if request.param == "file" else MemoryStore(runtime)


@pytest.fixture
def told(run: Run, database: SqliteDatabase, runtime: Runtime, store: ImageStore) -> Callable[..., Any]:
    """Runs a story about a service that has one queued image."""

    def tell(work: Work, limits: Limits | None = None, **facts: Any) -> Any:
        service = ImageService(database, store, runtime, ImageSettings(limits=limits or Limits()))

        async def story() -> Any:
            await database.migrate(SCHEMA)
            await queued(service, **facts)
            return await work(service)

        return run(story)

    return tell


async def nothing_happened(service: ImageService) -> None:
    """The image waits for bytes as before, and nobody holds any."""
    image = await show(service)
    assert (image.status, image.size, image.checksum, image.location) == ("queued", None, None, "")
    assert await service.store.list() == []
    assert await upload_rows.all_(service.database) == []
    assert await audit(service) == []


def test_an_upload_is_hashed_measured_and_stored(told: Any) -> None:
    data = os.urandom(3 * MIB + 5)

    async def work(service: ImageService) -> None:
        image = await put(service, data[:100], data[100:70_000], data[70_000:])
        assert image == await show(service)
        assert (image.status, image.size, image.virtual_size) == ("active", len(data), len(data))
        assert image.checksum == hashlib.md5(data).hexdigest()
        assert (image.os_hash_algo, image.os_hash_value) == ("sha512", hashlib.sha512(data).hexdigest())
        found = await download(service, ALICE, IMAGE, anybody)
        assert found.chunks is not None
        assert b"".join([chunk async for chunk in found.chunks]) == data
        await verify(service, image)
        assert await audit(service, read_bytes=True) == []

    told(work)


def test_the_size_of_the_disk_inside_is_told(told: Any) -> None:
    async def work(service: ImageService) -> None:
        raw = samples.qcow2(virtual_size=7 * MIB)
        image = await put(service, raw)
        assert (image.size, image.virtual_size) == (len(raw), 7 * MIB)

    told(work, disk_format="qcow2")


def test_an_image_without_bytes_becomes_active_too(told: Any) -> None:
    async def work(service: ImageService) -> None:
        image = await put(service)
        assert (image.status, image.size, image.virtual_size) == ("active", 0, 0)
        assert image.checksum == hashlib.md5(b"").hexdigest()

    told(work, disk_format="qcow2")


class Cut(BadRequest):
    pass


async def cut_off() -> AsyncIterator[bytes]:
    yield bytes(3 * MIB)
    raise Cut()


@pytest.mark.parametrize(
    ("chunks", "facts", "limits", "error"),
    [
        (lambda: stream(samples.qcow2(backing=512)), {"disk_format": "qcow2"}, {}, errors.UnsafeImage),
        (lambda: stream(samples.qcow2()), {}, {}, errors.FormatMismatch),
        (lambda: stream(samples.qcow2()[:4097]), {"disk_format": "qcow2"}, {}, errors.TruncatedImage),
        (lambda: stream(samples.fixed_vhd(bytes(3 * MIB))), {}, {}, errors.FormatMismatch),
        (lambda: stream(bytes(2 * MIB), bytes(MIB)), {}, {"size_bytes": 2 * MIB}, errors.TooLarge),
        (lambda: stream(bytes(2 * MIB), bytes(MIB)), {}, {"project_bytes": 2 * MIB}, errors.TooLarge),
        (lambda: stream(bytes(2 * MIB)), {}, {"virtual_size_bytes": MIB}, errors.VirtualSizeTooLarge),
        (cut_off, {}, {}, Cut),
    ],
)
def test_a_refused_upload_leaves_nothing_and_may_be_tried_again(
    told: Any, chunks: Any, facts: dict[str, Any], limits: dict[str, int], error: type[Error]
) -> None:
    async def work(service: ImageService) -> None:
        with pytest.raises(error):
            await uploads.upload(service, ALICE, IMAGE, chunks(), anybody)
        await nothing_happened(service)
        good = samples.qcow2() if facts else bytes(MIB)
        assert (await put(service, good)).status == "active"

    told(work, limits=Limits(**limits), **facts)


def test_a_full_store_is_told_and_nothing_stays(told: Any, run: Run, database: SqliteDatabase) -> None:
    async def work(service: ImageService) -> None:
        full = ImageService(database, MemoryStore(service.runtime, capacity=MIB), service.runtime, service.settings)
        with pytest.raises(errors.StoreFull):
            await put(full, bytes(2 * MIB))
        await nothing_happened(full)

    told(work)


def test_too_much_is_refused_before_the_first_byte_when_it_is_announced(told: Any) -> None:
    async def work(service: ImageService) -> None:
        async def never() -> AsyncIterator[bytes]:
            raise AssertionError("asked for bytes")
            yield b""

        with pytest.raises(errors.TooLarge):
            await uploads.upload(service, ALICE, IMAGE, never(), anybody, length=MIB + 1)
        await nothing_happened(service)

    told(work, limits=Limits(size_bytes=MIB))


def test_the_bytes_of_all_a_projects_images_count(told: Any) -> None:
    async def work(service: ImageService) -> None:
        await put(service, bytes(600))
        other = "21111111-2222-3333-4444-555555555555"
        await queued(service, id=other)
        with pytest.raises(errors.TooLarge) as refused:
            await uploads.upload(service, ALICE, other, stream(bytes(401)), anybody)
        assert "at most 400 bytes" in refused.value.text
        await uploads.upload(service, ALICE, other, stream(bytes(400)), anybody)

    told(work, limits=Limits(project_bytes=1000))


class Gate:
    """A stream that waits in its middle."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield bytes(2 * MIB)
        self.reached.set()
        await self.open.wait()
        yield bytes(2 * MIB)


def test_only_one_brings_bytes_at_a_time(told: Any) -> None:
    async def work(service: ImageService) -> None:
        gate = Gate()
        first = asyncio.ensure_future(uploads.upload(service, ALICE, IMAGE, gate.chunks(), anybody))
        await gate.reached.wait()
        assert (await show(service)).status == "saving"
        with pytest.raises(errors.WrongStatus):
            await put(service, b"x")
        gate.open.set()
        assert (await first).size == 4 * MIB

    told(work)


def test_an_image_deleted_meanwhile_is_gone_and_so_are_its_bytes(told: Any) -> None:
    async def work(service: ImageService) -> None:
        gate = Gate()
        upload = asyncio.ensure_future(uploads.upload(service, ALICE, IMAGE, gate.chunks(), anybody))
        await gate.reached.wait()
        await images.delete(service, ALICE, IMAGE, anybody)
        gate.open.set()
        with pytest.raises(errors.DataGone):
            await upload
        assert await service.store.list() == []
        with pytest.raises(errors.ImageNotFound):
            await show(service)
        assert await audit(service) == []

    told(work)


def test_what_was_changed_meanwhile_stays_changed(told: Any) -> None:
    async def work(service: ImageService) -> None:
        gate = Gate()
        upload = asyncio.ensure_future(uploads.upload(service, ALICE, IMAGE, gate.chunks(), anybody))
        await gate.reached.wait()
        changes = [Change("replace", "name", "new"), Change("add", "os", "linux")]
        await images.change(
            service, ALICE, IMAGE, lambda seen: apply(seen.image, changes, lambda *_: None, is_admin=False)
        )
        gate.open.set()
        await upload
        image = await show(service)
        assert (image.status, image.name, image.properties) == ("active", "new", {"os": "linux"})

    told(work)


def test_a_cancelled_upload_leaves_nothing(told: Any) -> None:
    async def work(service: ImageService) -> None:
        gate = Gate()
        upload = asyncio.ensure_future(uploads.upload(service, ALICE, IMAGE, gate.chunks(), anybody))
        await gate.reached.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        await nothing_happened(service)

    told(work)


def test_an_upload_holds_no_more_than_a_few_batches(run: Run, database: SqliteDatabase, runtime: Runtime) -> None:
    class Measured(MemoryStore):
        def __init__(self) -> None:
            super().__init__(runtime)
            self.in_flight = self.most = 0

        async def begin(self, location: str) -> Any:
            outer, inner = self, await super().begin(location)

            class Writing:
                async def write(self, data: bytes) -> None:
                    outer.in_flight += len(data)
                    outer.most = max(outer.most, outer.in_flight)
                    await asyncio.sleep(0)
                    outer.in_flight -= len(data)

                finish, discard = staticmethod(inner.finish), staticmethod(inner.discard)

            return Writing()

    async def many() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(65_536)

    async def story() -> None:
        await database.migrate(SCHEMA)
        store = Measured()
        service = ImageService(database, store, runtime, ImageSettings())
        await queued(service)
        await uploads.upload(service, ALICE, IMAGE, many(), anybody)
        assert 0 < store.most <= BATCH

    run(story)


class Clock(Runtime):
    """A machine whose monotonic clock stands until it is moved."""

    def __init__(self) -> None:
        super().__init__("clock")
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


def test_an_upload_that_stands_still_is_given_up_and_one_that_lives_is_not(tmp_path: Path, run: Run) -> None:
    async def story() -> None:
        clock = Clock()
        database = database_at(tmp_path / "image.sqlite", clock)
        await database.migrate(SCHEMA)
        service = ImageService(database, MemoryStore(clock), clock, ImageSettings(abandoned_after_s=60, beat_s=10))
        await queued(service)
        more: asyncio.Queue[bytes | None] = asyncio.Queue()

        async def chunks() -> AsyncIterator[bytes]:
            while (chunk := await more.get()) is not None:
                yield chunk

        upload = asyncio.ensure_future(uploads.upload(service, ALICE, IMAGE, chunks(), anybody))
        while not await upload_rows.all_(database):
            await asyncio.sleep(0)
        repairer = Repairer(service)
        for beat in range(1, 10):  # it lives for ten minutes
            assert await repairer.repair() == Repaired(0, 0)
            clock.at += 50
            more.put_nowait(bytes(MIB))
            while (await upload_rows.all_(database))[0].beat < beat:
                await asyncio.sleep(0)
        assert (await repairer.repair()).given_up == 0
        clock.at += 61
        assert (await repairer.repair()).given_up == 1  # and stands still for one
        assert (await show(service)).status == "queued"
        more.put_nowait(bytes(MIB))
        more.put_nowait(None)
        with pytest.raises(errors.DataGone):
            await upload
        await nothing_happened(service)
        await database.close()
        await clock.stop()

    run(story)


class Mortal(Runtime):
    """A process that dies at its n-th seam."""

    def __init__(self, seams: int):
        super().__init__("mortal")
        self.left = seams

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.crash()
        super().check()


async def after_a_crash(service: ImageService, data: bytes) -> None:
    """The next process mends what is left: the image is whole or waits, and nothing else is there."""
    await Repairer(service).repair(alone=True)
    assert await audit(service, read_bytes=True) == []
    image = await show(service)
    assert image.status in ("queued", "active")
    if image.status == "queued":
        await nothing_happened(service)
        assert (await put(service, data)).status == "active"


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_process_may_die_at_any_seam_of_an_upload(tmp_path: Path, run: Run, kind: str) -> None:
    data = os.urandom(2 * MIB + 1)

    async def die_at(seam: int) -> bool:
        """Whether the upload came to its end before the process died."""
        place = tmp_path / f"{seam}"
        place.mkdir()
        mortal, next_one = Mortal(10**9), Runtime("next")
        memory = MemoryStore(mortal)
        database = database_at(place / "image.sqlite", mortal)
        await database.migrate(SCHEMA)
        store = FileStore(place / "images", mortal) if kind == "file" else memory
        service = ImageService(database, store, mortal, ImageSettings())
        await queued(service)
        mortal.left = seam
        ended = False
        with contextlib.suppress(Crashed):
            await put(service, data)
            ended = True
        mortal.crash()
        again = database_at(place / "image.sqlite", next_one)
        store = FileStore(place / "images", next_one) if kind == "file" else memory.after_a_restart(next_one)
        after = ImageService(again, store, next_one, ImageSettings())
        if ended:
            assert (await show(after)).status == "active"
        await after_a_crash(after, data)
        await again.close()
        await next_one.stop()
        return ended

    async def story() -> int:
        for seam in range(500):
            if await die_at(seam):
                return seam
        raise AssertionError("never ends")

    assert run(story) > 10


def test_deleting_makes_the_row_s_end_durable_before_the_bytes_go(tmp_path: Path, runtime: Runtime, run: Run) -> None:
    order: list[str] = []

    class Database(SqliteDatabase):
        async def durable(self) -> None:
            order.append("durable")
            await super().durable()

    class Store(MemoryStore):
        async def delete(self, location: str) -> None:
            order.append("delete")
            await super().delete(location)

    async def story() -> None:
        database = Database(tmp_path / "image.sqlite", runtime)
        await database.migrate(SCHEMA)
        service = ImageService(database, Store(runtime), runtime, ImageSettings())
        await queued(service)
        await put(service, b"1")
        order.clear()
        await images.delete(service, ALICE, IMAGE, anybody)
        assert order == ["durable", "delete"]
        await database.close()

    run(story)
