"""What the file back end promises beyond the others: bytes, and what is left when something fails."""

import asyncio
import errno
import os
import shutil
import struct
import subprocess
import uuid
from pathlib import Path

import pytest

from pileus.foundation.errors import Error
from pileus.foundation.runtime import Completed, Runtime
from pileus.volume.domain.errors import (
    BackendFailed,
    BackendFull,
    BackendUnavailable,
    BackendUnusable,
    ImageDamaged,
    ImageRefused,
)
from pileus.volume.drivers.base import VolumeSpec
from pileus.volume.drivers.file import FileBackend
from tests.conftest import Run
from tests.contract.volume_backends.test_promises import Image, spec

GIB = 1 << 30
needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-utils")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "volumes"


@pytest.fixture
def backend(directory: Path, runtime: Runtime, run: Run) -> FileBackend:
    found = FileBackend(directory, runtime)
    run(found.open)
    return found


def path_of(directory: Path, wanted: VolumeSpec) -> Path:
    return directory / f"volume-{wanted.volume_id}"


def qcow2(path: Path, *options: str, size: str = "8M") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size], check=True)
    return path


class FileImage(Image):
    """An image of another format, in a file."""

    def __init__(self, path: Path, format: str = "qcow2", virtual_size_bytes: int = 8 << 20):
        super().__init__(path.read_bytes())
        self.format, self.virtual_size_bytes = format, virtual_size_bytes


def test_a_new_volume_reads_zeros_and_takes_no_room(backend: FileBackend, directory: Path, run: Run) -> None:
    wanted = spec(100)
    run(backend.ensure_volume, wanted)
    facts = path_of(directory, wanted).stat()
    assert (facts.st_size, facts.st_mode & 0o777) == (100 * GIB, 0o600)
    assert facts.st_blocks * 512 < 1 << 20
    with path_of(directory, wanted).open("rb") as file:
        assert file.read(1 << 20) == bytes(1 << 20)


def test_the_directory_may_be_passed_but_not_listed(backend: FileBackend, directory: Path) -> None:
    assert directory.stat().st_mode & 0o777 == 0o711


def test_what_a_deleted_volume_held_is_in_no_new_one(backend: FileBackend, directory: Path, run: Run) -> None:
    secret = spec()
    run(backend.ensure_volume, secret)
    path_of(directory, secret).write_bytes(b"secret" * 1000)
    run(backend.ensure_no_volume, secret.volume_id)
    again = spec(volume_id=secret.volume_id)
    run(backend.ensure_volume, again)
    with path_of(directory, again).open("rb") as file:
        assert file.read(1 << 16) == bytes(1 << 16)


def test_a_raw_image_is_followed_by_zeros(backend: FileBackend, directory: Path, run: Run) -> None:
    wanted = spec()
    run(backend.ensure_volume, wanted, Image(b"boot" * 1000))
    with path_of(directory, wanted).open("rb") as file:
        assert file.read(4000) == b"boot" * 1000
        assert file.read(4096) == bytes(4096)
    assert path_of(directory, wanted).stat().st_size == GIB


@needs_qemu_img
def test_a_qcow2_image_becomes_raw(backend: FileBackend, directory: Path, run: Run, tmp_path: Path) -> None:
    image = qcow2(tmp_path / "image.qcow2")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 65 1M 4k", str(image)], check=True, capture_output=True)
    wanted = spec()
    run(backend.ensure_volume, wanted, FileImage(image))
    with path_of(directory, wanted).open("rb") as file:
        assert file.read(4) == bytes(4)
        file.seek(1 << 20)
        assert file.read(4096) == b"A" * 4096
    assert path_of(directory, wanted).stat().st_size == GIB
    assert sorted(os.listdir(directory)) == [f"volume-{wanted.volume_id}"]


@needs_qemu_img
def test_an_image_that_reaches_for_another_file_is_refused(
    backend: FileBackend, directory: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "base").write_bytes(bytes(1 << 20))
    backed = qcow2(tmp_path / "backed.qcow2", "-b", str(tmp_path / "base"), "-F", "raw")
    outside = qcow2(tmp_path / "outside.qcow2", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    for image in (backed, outside):
        with pytest.raises(ImageRefused):
            run(backend.ensure_volume, spec(), FileImage(image))
    assert os.listdir(directory) == []


@pytest.mark.parametrize(
    "header",
    [b"", b"QFI\xfb", b"not an image at all" * 10, struct.pack(">4sI", b"QFI\xfb", 9) + bytes(96)],
    ids=["empty", "cut", "nonsense", "version 9"],
)
def test_what_only_says_that_it_is_qcow2_is_refused(
    backend: FileBackend, directory: Path, run: Run, tmp_path: Path, header: bytes
) -> None:
    (tmp_path / "x").write_bytes(header)
    with pytest.raises(ImageRefused):
        run(backend.ensure_volume, spec(), FileImage(tmp_path / "x"))
    assert os.listdir(directory) == []


@needs_qemu_img
def test_an_image_larger_than_the_volume_is_refused(
    backend: FileBackend, directory: Path, run: Run, tmp_path: Path
) -> None:
    honest = FileImage(qcow2(tmp_path / "large", size="2G"), virtual_size_bytes=2 * GIB)
    liar = FileImage(tmp_path / "large", virtual_size_bytes=1 << 20)
    for image in (honest, liar):
        with pytest.raises((ImageRefused, BackendFull)):
            run(backend.ensure_volume, spec(1), image)
    assert os.listdir(directory) == []


def test_an_unknown_format_is_refused(backend: FileBackend, directory: Path, run: Run) -> None:
    image = Image(b"x")
    image.format = "ploop"
    with pytest.raises(ImageRefused, match="ploop"):
        run(backend.ensure_volume, spec(), image)
    assert os.listdir(directory) == []


def test_a_damaged_image_leaves_nothing(backend: FileBackend, directory: Path, run: Run) -> None:
    image = Image(b"x" * 100, ImageDamaged(image_id="i"))
    with pytest.raises(ImageDamaged):
        run(backend.ensure_volume, spec(), image)
    assert os.listdir(directory) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, BackendFull), (errno.EDQUOT, BackendFull), (errno.EIO, BackendUnavailable)],
)
def test_a_disk_that_refuses_is_an_answer_and_leaves_nothing(
    directory: Path, run: Run, number: int, kind: type[Error]
) -> None:
    class Refusing(Runtime):
        """A machine whose disk refuses the first file that is to be made."""

        refused = False

        async def in_thread(self, work, *args, pool="work"):  # type: ignore[no-untyped-def]
            if work.__name__ == "_make_sparse" and not self.refused:
                self.refused = True
                args[0].touch()
                raise OSError(number, os.strerror(number))
            return await super().in_thread(work, *args, pool=pool)

    runtime = Refusing("refusing")
    backend = FileBackend(directory, runtime)
    run(backend.open)
    with pytest.raises(kind):
        run(backend.ensure_volume, spec())
    assert os.listdir(directory) == []
    run(backend.ensure_volume, spec())
    assert len(os.listdir(directory)) == 1
    run(runtime.stop)


def test_what_was_interrupted_is_removed_at_the_next_start(directory: Path, runtime: Runtime, run: Run) -> None:
    directory.mkdir()
    whole = f"volume-{uuid.uuid4()}"
    for name in (whole, f".volume-{uuid.uuid4()}.part", f".volume-{uuid.uuid4()}.image"):
        (directory / name).touch()
    (directory / "README").write_text("not ours")
    backend = FileBackend(directory, runtime)
    run(backend.open)
    assert sorted(os.listdir(directory)) == sorted(["README", whole])
    assert [volume.volume_id for volume in run(backend.list_volumes)] == [whole.removeprefix("volume-")]


def test_what_is_interrupted_is_told_from_what_is_whole(backend: FileBackend, directory: Path, run: Run) -> None:
    (directory / f".volume-{uuid.uuid4()}.part").touch()
    assert [volume.is_whole for volume in run(backend.list_volumes)] == [False]


def test_a_volume_that_a_power_cut_left_short_is_long_again_before_it_is_used(
    backend: FileBackend, directory: Path, run: Run
) -> None:
    wanted = spec(2)
    run(backend.ensure_volume, wanted)
    os.truncate(path_of(directory, wanted), 0)
    run(backend.connect, wanted, {"host": "h"})
    assert path_of(directory, wanted).stat().st_size == 2 * GIB


def test_a_copy_holds_the_same_bytes_and_is_its_own(backend: FileBackend, directory: Path, run: Run) -> None:
    source, copy = spec(), spec(2)
    run(backend.ensure_volume, source, Image(b"data" * 100))
    run(backend.ensure_copy, copy, source.volume_id)
    with path_of(directory, copy).open("r+b") as file:
        assert file.read(400) == b"data" * 100
        file.seek(0)
        file.write(b"changed")
    assert path_of(directory, source).read_bytes()[:4] == b"data"


def test_names_that_leave_the_directory_are_refused(backend: FileBackend, directory: Path, run: Run) -> None:
    for volume_id in ("../../etc/passwd", "", "x", f"{uuid.uuid4()}/..", str(uuid.uuid4()).upper()):
        with pytest.raises(Error):
            run(backend.ensure_volume, VolumeSpec(volume_id=volume_id, size_gib=1))
    assert os.listdir(directory) == []


def test_a_link_in_the_place_of_a_volume_is_not_followed(
    backend: FileBackend, directory: Path, run: Run, tmp_path: Path
) -> None:
    wanted = spec()
    (tmp_path / "elsewhere").write_bytes(b"mine")
    path_of(directory, wanted).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Error):
        run(backend.extend, wanted)
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"
    assert run(backend.list_volumes) == []


@needs_qemu_img
def test_conversions_of_large_images_side_by_side_fit_under_their_limits(
    backend: FileBackend, directory: Path, run: Run, tmp_path: Path
) -> None:
    """Compressed data in many clusters keep all of qemu-img's threads at work."""
    (tmp_path / "raw").write_bytes(b"".join(os.urandom(32_768) + bytes(32_768) for _ in range(1024)))
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", tmp_path / "raw", disk], check=True)
    image = FileImage(disk, virtual_size_bytes=64 << 20)

    async def work() -> None:
        for _ in range(10):
            wanted = [spec() for _ in range(3)]
            await asyncio.gather(*(backend.ensure_volume(each, image) for each in wanted))
            for each in wanted:
                with path_of(directory, each).open("rb") as file:
                    assert file.read(64 << 20) == (tmp_path / "raw").read_bytes()
                await backend.ensure_no_volume(each.volume_id)

    run(work)


def test_a_conversion_that_gave_up_does_not_blame_the_image(directory: Path, run: Run, tmp_path: Path) -> None:
    class GivesUp(Runtime):
        async def run_command(self, argv, **options):  # type: ignore[no-untyped-def]
            return Completed(-6, b"", b"qemu: qemu_thread_create: Resource temporarily unavailable")

    (tmp_path / "v").write_bytes(bytes(512))
    runtime = GivesUp("gives up")
    backend = FileBackend(directory, runtime)
    run(backend.open)
    with pytest.raises(BackendFailed, match="failed to convert volume") as failed:
        run(backend.ensure_volume, spec(1), FileImage(tmp_path / "v", "vhd", 512))
    assert "qemu_thread_create" in failed.value.log
    run(runtime.stop)


def test_a_conversion_runs_under_limits_and_names_its_formats(directory: Path, run: Run, tmp_path: Path) -> None:
    lines: list[list[str]] = []

    class Watching(Runtime):
        async def run_command(self, argv, **options):  # type: ignore[no-untyped-def]
            lines.append(list(argv))
            Path(argv[-1]).write_bytes(bytes(512))
            return Completed(0, b"", b"")

    (tmp_path / "v").write_bytes(bytes(512))
    runtime = Watching("watching")
    backend = FileBackend(directory, runtime)
    run(backend.open)
    run(backend.ensure_volume, spec(3), FileImage(tmp_path / "v", "vhd", 512))
    (line,) = lines
    assert line[0] == "prlimit"
    assert {"--as=1073741824", f"--fsize={3 * GIB}", "--core=0"} <= set(line)
    assert line[line.index("qemu-img") :][:7] == ["qemu-img", "convert", "-q", "-f", "vpc", "-O", "raw"]
    run(runtime.stop)


def test_a_conversion_that_is_stopped_leaves_nothing(directory: Path, run: Run, tmp_path: Path) -> None:
    class Slow(Runtime):
        """A machine on which a conversion goes on until it is let end."""

        async def run_command(self, argv, **options):  # type: ignore[no-untyped-def]
            began.set()
            await end.wait()
            Path(argv[-1]).write_bytes(bytes(512))
            return Completed(0, b"", b"")

    (tmp_path / "v").write_bytes(bytes(512))
    runtime = Slow("slow")
    backend = FileBackend(directory, runtime)

    async def stop_it() -> None:
        await backend.open()
        wanted = spec()
        work = asyncio.ensure_future(backend.ensure_volume(wanted, FileImage(tmp_path / "v", "vmdk", 512)))
        await began.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await backend.ensure_no_volume(wanted.volume_id)
        end.set()
        while tasks := [task for task in asyncio.all_tasks() if "clean up" in task.get_name()]:
            await asyncio.wait(tasks)
        assert os.listdir(directory) == []
        await runtime.stop()

    began, end = asyncio.Event(), asyncio.Event()
    run(stop_it)


def test_a_directory_that_cannot_be_made_stops_the_start_and_says_so(
    tmp_path: Path, runtime: Runtime, run: Run
) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BackendUnusable, match="Volumes cannot be kept in .*taken"):
        run(FileBackend(tmp_path / "taken" / "volumes", runtime).open)
