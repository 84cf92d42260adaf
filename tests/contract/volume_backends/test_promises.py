"""What every back end promises, run on each of them."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime
from pileus.volume.domain.errors import BackendFull, NoSuchVolumeThere
from pileus.volume.drivers.base import VolumeBackend, VolumeSpec
from pileus.volume.drivers.fake import FakeBackend
from pileus.volume.drivers.file import FileBackend
from tests.conftest import Run

Again = Callable[[], VolumeBackend]
CONNECTOR = {"host": "h1", "attachment_id": "a1"}


@pytest.fixture(params=["file", "fake"])
def again(request: pytest.FixtureRequest, tmp_path: Path, runtime: Runtime) -> Again:
    """The back end as a process finds it; called again, as the next process finds it."""
    kind = {"file": FileBackend, "fake": FakeBackend}[request.param]
    return lambda: kind(tmp_path / "volumes", runtime)


@pytest.fixture
def backend(again: Again, run: Run) -> VolumeBackend:
    found = again()
    run(found.open)
    return found


class Image:
    """An image whose data are these bytes, or cannot be had."""

    def __init__(self, data: bytes = b"", failure: Error | None = None):
        self.image_id, self.format = str(uuid.uuid4()), "raw"
        self.virtual_size_bytes = len(data)
        self._data, self._failure = data, failure

    async def fetch(self, target: Path) -> None:
        target.write_bytes(self._data)
        if self._failure is not None:
            raise self._failure


def spec(size_gib: int = 1, volume_id: str = "", **metadata: str) -> VolumeSpec:
    return VolumeSpec(volume_id=volume_id or str(uuid.uuid4()), size_gib=size_gib, metadata=metadata)


def held(run: Run, backend: VolumeBackend) -> dict[str, int]:
    found = run(backend.list_volumes)
    assert all(volume.is_whole for volume in found)
    return {volume.volume_id: volume.size_gib for volume in found}


def test_a_volume_is_there_once_however_often_it_is_asked_for(backend: VolumeBackend, run: Run) -> None:
    wanted = spec(2)
    run(backend.ensure_volume, wanted)
    run(backend.ensure_volume, wanted)
    assert held(run, backend) == {wanted.volume_id: 2}


def test_a_removed_volume_is_gone_and_removing_nothing_is_fine(backend: VolumeBackend, run: Run) -> None:
    wanted, other = spec(), spec()
    run(backend.ensure_volume, wanted)
    run(backend.ensure_volume, other)
    run(backend.ensure_no_volume, wanted.volume_id)
    run(backend.ensure_no_volume, wanted.volume_id)
    assert held(run, backend) == {other.volume_id: 1}


def test_a_volume_grows_and_never_shrinks(backend: VolumeBackend, run: Run) -> None:
    wanted = spec(2)
    run(backend.ensure_volume, wanted)
    for asked, then in ((3, 3), (3, 3), (1, 3)):
        run(backend.extend, VolumeSpec(volume_id=wanted.volume_id, size_gib=asked))
        assert held(run, backend) == {wanted.volume_id: then}


def test_what_is_not_there_cannot_grow_be_connected_or_copied(backend: VolumeBackend, run: Run) -> None:
    for method, args in (
        (backend.extend, (spec(),)),
        (backend.connect, (spec(), CONNECTOR)),
        (backend.ensure_copy, (spec(), str(uuid.uuid4()))),
    ):
        with pytest.raises(NoSuchVolumeThere):
            run(method, *args)
    assert held(run, backend) == {}


def test_a_connection_is_the_same_however_often_it_is_asked_for(backend: VolumeBackend, run: Run) -> None:
    wanted = spec()
    run(backend.ensure_volume, wanted)
    first: dict[str, Any] = run(backend.connect, wanted, CONNECTOR)
    assert run(backend.connect, wanted, CONNECTOR) == first
    assert (first["driver_volume_type"], first["data"]["format"]) == ("file", "raw")
    assert first["data"]["path"].startswith("/")
    other = spec()
    run(backend.ensure_volume, other)
    assert run(backend.connect, other, CONNECTOR)["data"]["path"] != first["data"]["path"]


def test_disconnecting_may_be_repeated_and_needs_no_volume(backend: VolumeBackend, run: Run) -> None:
    wanted = spec()
    run(backend.ensure_volume, wanted)
    run(backend.connect, wanted, CONNECTOR)
    for _ in range(2):
        run(backend.disconnect, wanted, CONNECTOR)
    run(backend.disconnect, spec(), CONNECTOR)


def test_a_copy_is_as_large_as_asked_for(backend: VolumeBackend, run: Run) -> None:
    source, copy = spec(1), spec(2)
    run(backend.ensure_volume, source)
    run(backend.ensure_copy, copy, source.volume_id)
    run(backend.ensure_copy, copy, source.volume_id)
    assert held(run, backend) == {source.volume_id: 1, copy.volume_id: 2}


def test_a_volume_comes_from_an_image(backend: VolumeBackend, run: Run) -> None:
    wanted = spec()
    run(backend.ensure_volume, wanted, Image(b"x" * 1000))
    assert held(run, backend) == {wanted.volume_id: 1}


def test_the_next_process_finds_the_volumes(again: Again, run: Run) -> None:
    first, wanted = again(), spec(3)
    run(first.open)
    run(first.ensure_volume, wanted)
    run(first.close)
    second = again()
    run(second.open)
    assert held(run, second) == {wanted.volume_id: 3}
    run(second.ensure_volume, wanted)
    assert held(run, second) == {wanted.volume_id: 3}


def test_what_is_too_large_leaves_nothing(backend: VolumeBackend, run: Run) -> None:
    with pytest.raises(BackendFull):
        run(backend.ensure_volume, spec(0x7FFFFFFF))
    assert held(run, backend) == {}


def test_many_at_once_are_all_there(backend: VolumeBackend, run: Run) -> None:
    wanted = [spec() for _ in range(40)]

    async def all_at_once() -> None:
        await asyncio.gather(*(backend.ensure_volume(one) for one in wanted))
        await asyncio.gather(*(backend.ensure_no_volume(one.volume_id) for one in wanted[::2]))

    run(all_at_once)
    assert set(held(run, backend)) == {one.volume_id for one in wanted[1::2]}


def test_capacity_is_told(backend: VolumeBackend, run: Run) -> None:
    capacity = run(backend.capacity)
    assert 0 <= capacity.free_gib <= capacity.total_gib
