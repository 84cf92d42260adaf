"""A process may die at any seam of an import: the next one goes on with it, or takes all of it back."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from pileus.foundation.runtime import Crashed, Runtime
from pileus.image.app import images, imports, uploads
from pileus.image.app.audit import audit
from pileus.image.app.imports import DIRECT, Import
from pileus.image.app.starting import build, start
from pileus.image.drivers.memory import MemoryStore
from pileus.image.service import ImageService, ImageSettings
from pileus.image.store.tables import SCHEMA
from tests.conftest import Run
from tests.databases import database_at
from tests.unit.image.app.test_uploads import ALICE, IMAGE, Mortal, anybody, queued, stream

DATA = os.urandom(100_000)


async def settled(service: ImageService) -> None:
    """Wait until no import is under way, or this process is dead."""
    assert service.imports is not None
    while service.runtime.alive and await service.imports.journal.all_open():
        await asyncio.sleep(0)


async def status(service: ImageService) -> str:
    return (await images.get(service, ALICE, IMAGE)).image.status


@contextlib.asynccontextmanager
async def next_process(place: Path, memory: MemoryStore) -> AsyncIterator[ImageService]:
    runtime = Runtime("next")
    database = database_at(place / "image.sqlite", runtime)
    service = build(database, memory.after_a_restart(runtime), runtime, ImageSettings())
    await start(service)
    yield service
    await database.close()
    await runtime.stop()


def test_a_process_may_die_at_any_seam_of_an_import(tmp_path: Path, run: Run) -> None:
    async def die_at(seam: int) -> bool:
        """Whether the import came to its end before the process died."""
        place = tmp_path / f"{seam}"
        place.mkdir()
        mortal = Mortal(10**9)
        memory = MemoryStore(mortal)
        database = database_at(place / "image.sqlite", mortal)
        await database.migrate(SCHEMA)
        service = build(database, memory, mortal, ImageSettings())
        await queued(service)
        await uploads.stage(service, ALICE, IMAGE, stream(DATA), anybody)
        accepted = ended = False
        mortal.left = seam
        with contextlib.suppress(Crashed):
            await imports.import_image(service, ALICE, IMAGE, Import(DIRECT), anybody)
            accepted = True
            await settled(service)
            ended = mortal.alive
        mortal.crash()
        async with next_process(place, memory) as after:
            await settled(after)
            found = await status(after)
            assert found == "active" if accepted else found in ("uploading", "active"), (seam, found)
            if found == "uploading":
                await imports.import_image(after, ALICE, IMAGE, Import(DIRECT), anybody)
                await settled(after)
            assert await status(after) == "active"
            assert await audit(after, read_bytes=True) == []
            assert len(await after.store.list()) == 1
        return ended

    async def story() -> int:
        for seam in range(500):
            if await die_at(seam):
                return seam
        raise AssertionError("never ends")

    assert run(story) > 10
