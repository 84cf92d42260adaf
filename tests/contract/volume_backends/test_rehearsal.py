"""The fake back end fails when a user asks for it, and forgets nothing when its process dies."""

from pathlib import Path

import pytest

from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime
from pileus.volume.domain.errors import BackendFailed, BackendFull, BackendUnavailable, BackendUnusable
from pileus.volume.drivers.base import VolumeSpec
from pileus.volume.drivers.fake import FILE, FakeBackend
from pileus.volume.drivers.rehearsal import DELAY, FAIL, BadRehearsal, parse
from tests.conftest import Run
from tests.contract.volume_backends.test_promises import spec


@pytest.fixture
def backend(tmp_path: Path, runtime: Runtime, run: Run) -> FakeBackend:
    found = FakeBackend(tmp_path, runtime)
    run(found.open)
    return found


@pytest.mark.parametrize(
    ("word", "kind"),
    [("create", BackendFailed), ("disk-full", BackendFull), ("unavailable", BackendUnavailable)],
)
def test_a_word_is_a_failure(backend: FakeBackend, run: Run, word: str, kind: type[Error]) -> None:
    with pytest.raises(kind):
        run(backend.ensure_volume, spec(**{FAIL: word}))
    assert run(backend.list_volumes) == []


def test_a_number_is_how_often(backend: FakeBackend, run: Run) -> None:
    wanted = spec(**{FAIL: "create:2"})
    for _ in range(2):
        with pytest.raises(BackendFailed):
            run(backend.ensure_volume, wanted)
    run(backend.ensure_volume, wanted)
    assert len(run(backend.list_volumes)) == 1


def test_every_operation_can_fail(backend: FakeBackend, run: Run) -> None:
    wanted = spec()
    run(backend.ensure_volume, wanted)

    def telling(word: str) -> VolumeSpec:
        return spec(volume_id=wanted.volume_id, **{FAIL: word})

    with pytest.raises(BackendFailed, match="extend"):
        run(backend.extend, telling("extend"))
    with pytest.raises(BackendFailed, match="attach"):
        run(backend.connect, telling("attach"), {"host": "h"})
    run(backend.connect, wanted, {"host": "h"})
    with pytest.raises(BackendFailed, match="detach"):
        run(backend.disconnect, telling("detach"), {"host": "h"})
    with pytest.raises(BackendFailed, match="delete"):
        run(backend.ensure_no_volume, wanted.volume_id, {FAIL: "delete"})
    run(backend.ensure_no_volume, wanted.volume_id, {})
    assert run(backend.list_volumes) == []


def test_a_percentage_is_chance(tmp_path: Path, run: Run) -> None:
    class Loaded(Runtime):
        draws = iter([0.05, 0.5])

        def random(self) -> float:
            return next(self.draws)

    backend = FakeBackend(tmp_path, Loaded("loaded"))
    run(backend.open)
    with pytest.raises(BackendFailed):
        run(backend.ensure_volume, spec(**{FAIL: "create:10%"}))
    run(backend.ensure_volume, spec(**{FAIL: "create:10%"}))


def test_a_delay_is_slept(tmp_path: Path, run: Run) -> None:
    class Dozing(Runtime):
        slept: list[float] = []

        async def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)

    runtime = Dozing("dozing")
    backend = FakeBackend(tmp_path, runtime, delay="2")
    run(backend.open)
    run(backend.ensure_volume, spec(**{DELAY: "create:30,delete:5"}))
    assert runtime.slept == [2.0, 30.0]


def test_the_whole_back_end_can_be_told_to_fail(tmp_path: Path, runtime: Runtime, run: Run) -> None:
    backend = FakeBackend(tmp_path, runtime, fail="create:1")
    run(backend.open)
    wanted = spec()
    with pytest.raises(BackendFailed):
        run(backend.ensure_volume, wanted)
    run(backend.ensure_volume, wanted)


@pytest.mark.parametrize(
    ("fail", "delay"),
    [("explode", ""), ("create:often", ""), ("create:101%", ""), ("", "soon"), ("", "explode:3"), ("", "create:-1")],
)
def test_what_cannot_be_read_is_refused(fail: str, delay: str) -> None:
    with pytest.raises(BadRehearsal):
        parse(fail, delay)


def test_a_torn_end_is_forgotten_and_the_rest_is_kept(tmp_path: Path, runtime: Runtime, run: Run) -> None:
    first = FakeBackend(tmp_path, runtime)
    run(first.open)
    wanted = [spec(), spec()]
    for one in wanted:
        run(first.ensure_volume, one)
    run(first.close)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-7])
    second = FakeBackend(tmp_path, runtime)
    run(second.open)
    assert [volume.volume_id for volume in run(second.list_volumes)] == [wanted[0].volume_id]
    run(second.ensure_volume, wanted[1])
    assert len(run(second.list_volumes)) == 2


def test_the_file_does_not_grow_with_what_is_gone(tmp_path: Path, runtime: Runtime, run: Run) -> None:
    backend = FakeBackend(tmp_path, runtime)
    run(backend.open)

    async def many() -> None:
        for _ in range(6000):
            one = spec()
            await backend.ensure_volume(one)
            await backend.ensure_no_volume(one.volume_id)

    run(many)
    assert (tmp_path / FILE).stat().st_size < 1 << 20
    kept = spec()
    run(backend.ensure_volume, kept)
    run(backend.close)
    again = FakeBackend(tmp_path, runtime)
    run(again.open)
    assert [volume.volume_id for volume in run(again.list_volumes)] == [kept.volume_id]


def test_a_file_of_somebody_else_stops_the_start_and_says_so(tmp_path: Path, runtime: Runtime, run: Run) -> None:
    (tmp_path / FILE).write_bytes(b"not ours\n")
    with pytest.raises(BackendUnusable, match="not written by this program"):
        run(FakeBackend(tmp_path, runtime).open)
