"""Audit finds what is planted, and names the mend."""

from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.database import SqliteDatabase, sql
from pileus.foundation.runtime import Runtime
from pileus.image.app.audit import audit
from pileus.image.app.downloads import download, verify
from pileus.image.app.repair import Repaired, Repairer
from pileus.image.domain.errors import DataMissing, HashMismatch
from pileus.image.drivers.file import FileStore
from pileus.image.service import ImageService, ImageSettings
from pileus.image.store.tables import SCHEMA
from tests.conftest import Run
from tests.unit.image.app.test_uploads import ALICE, IMAGE, anybody, put, queued, show

DATA = b"\x5a" * 10_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def told(run: Run, database: SqliteDatabase, runtime: Runtime, place: Path) -> Any:
    """Runs a story about a service that has one active image."""

    def tell(work: Any) -> Any:
        service = ImageService(database, FileStore(place, runtime), runtime, ImageSettings())

        async def story() -> Any:
            await database.migrate(SCHEMA)
            await queued(service)
            await put(service, DATA)
            assert await audit(service, read_bytes=True) == []
            return await work(service)

        return run(story)

    return tell


async def invariants(service: ImageService, **how: bool) -> list[str]:
    found = await audit(service, **how)
    assert all(finding["mend"] and finding["found"] and finding["subject"] for finding in found)
    return [finding["invariant"] for finding in found]


def test_bytes_that_are_nobodys_are_found_and_removed(told: Any, place: Path) -> None:
    async def work(service: ImageService) -> None:
        (place / "stray.1").write_bytes(b"1")
        (place / "stray.2.part").write_bytes(b"1")
        assert await invariants(service) == ["no bytes without an image"] * 2
        assert await Repairer(service).repair() == Repaired(0, 2)
        assert await invariants(service) == []
        assert [path.name for path in place.iterdir()] == [(await show(service)).location]

    told(work)


@pytest.mark.parametrize("damage", ["gone", "short", "long"])
def test_an_image_without_its_bytes_is_found_and_never_served(told: Any, place: Path, damage: str) -> None:
    async def work(service: ImageService) -> None:
        file = next(place.iterdir())
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(DATA[:-1] if damage == "short" else DATA + b"1")
        assert await invariants(service) == ["every active image has its bytes"]
        if damage != "long":
            with pytest.raises(DataMissing) as refused:
                await download(service, ALICE, IMAGE, anybody)
            assert refused.value.status == 503
            assert str(place) not in refused.value.text

    told(work)


def test_tampered_bytes_are_found_by_their_hash(told: Any, place: Path) -> None:
    async def work(service: ImageService) -> None:
        next(place.iterdir()).write_bytes(b"\x5b" + DATA[1:])
        assert await invariants(service) == []
        assert await invariants(service, read_bytes=True) == ["bytes are those that were uploaded"]
        with pytest.raises(HashMismatch):
            await verify(service, await show(service))

    told(work)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("status = 'saving', location = ''", ["no bytes without an image", "an accepted upload is not lost"]),
        ("status = 'queued'", ["an image without bytes names none"]),
    ],
)
def test_states_that_cannot_be_are_found(told: Any, change: str, found: list[str]) -> None:
    async def work(service: ImageService) -> None:
        await service.database.transact(lambda tx: tx.run(sql(f"UPDATE image_images SET {change}")))
        assert await invariants(service) == found

    told(work)
