"""Volumes as sparse raw files in one directory: the default back end.

A volume appears under its name only when it is whole: what grows has a name that begins with a dot, and is removed
when the back end opens. Files that were renamed or removed are made durable by one sync of the directory that all who
wait share. A new volume is a new file, so that it reads zeros wherever nobody wrote. Every `qemu-img` line names its
formats and runs under limits.
"""

import asyncio
import errno
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pileus.foundation.errors import Error
from pileus.foundation.runtime import Completed, Runtime
from pileus.volume.domain.errors import (
    BackendFailed,
    BackendFull,
    BackendUnavailable,
    BackendUnusable,
    CannotCopyLive,
    ImageRefused,
    NoSuchVolumeThere,
)
from pileus.volume.drivers.base import Capacity, ImageSource, Volume, VolumeSpec
from pileus.volume.drivers.qcow2 import refuse_outside_files

T = TypeVar("T")

GIB = 1 << 30
POOL = "volume-files"
COPIES = "volume-copies"
COPY_LIMIT_S = 3600.0
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FORMATS: Mapping[str, str] = {
    "raw": "raw", "iso": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx",
}  # fmt: skip
"""The image service's formats, in qemu-img's words."""
MEMORY_LIMIT = 1 << 30
STACK_LIMIT = 1 << 20
CPU_LIMIT_S = 1800
FRUGAL = ("env", "MALLOC_ARENA_MAX=1")
"""Up to 64 threads of qemu-img would each reserve an arena and a stack, and sometimes not fit under the limit."""
_NAME = re.compile(r"volume-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")


class FileBackend:
    """A directory of volumes: files 0600 in a directory that others (guests are not root) may pass but not list."""

    def __init__(self, directory: Path, runtime: Runtime):
        self._directory = directory
        self._runtime = runtime
        self._changes = 0
        self._synced = 0
        self._syncing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the directory where there is none, and remove what was interrupted."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._directory.chmod(0o711)
            for path in self._directory.glob(".volume-*"):
                path.unlink()
        except OSError as failure:
            raise BackendUnusable(path=self._directory, reason=failure.strerror) from failure

    async def close(self) -> None:
        """Nothing is held."""

    # -- volumes --------------------------------------------------------------------------------------------------
    async def ensure_volume(self, spec: VolumeSpec, image: ImageSource | None = None) -> None:
        path = self._path(spec.volume_id)
        if await self._guarded(spec.volume_id, path.exists):
            return
        part = _beside(path, "part")
        try:
            if image is None:
                await self._guarded(spec.volume_id, _make_sparse, part, spec.size_gib * GIB)
            else:
                await self._fill(spec, part, image)
            await self._guarded(spec.volume_id, part.rename, path)
        except BaseException:
            await asyncio.shield(self._guarded(spec.volume_id, _remove, part, _beside(path, "image")))
            raise
        await self._sync(spec.volume_id)

    async def _fill(self, spec: VolumeSpec, part: Path, image: ImageSource) -> None:
        """Have the image's data, and zeros behind them, in the file `part`, on the disk."""
        size = spec.size_gib * GIB
        if image.format not in FORMATS:
            raise ImageRefused(image_id=image.image_id, reason=f"its format {image.format!r} is not known here")
        if image.virtual_size_bytes > size:
            raise ImageRefused(image_id=image.image_id, reason="it is larger than the volume")
        if FORMATS[image.format] == "raw":
            await image.fetch(part)
        else:
            source = _beside(self._path(spec.volume_id), "image")
            await image.fetch(source)
            await self._convert(spec, source, part, image)
            await self._guarded(spec.volume_id, _remove, source)
        written = await self._guarded(spec.volume_id, _finish, part, size)
        if written > size:
            raise ImageRefused(image_id=image.image_id, reason="it is larger than the volume")

    async def _convert(self, spec: VolumeSpec, source: Path, part: Path, image: ImageSource) -> None:
        if image.format == "qcow2":
            complaint = await self._guarded(spec.volume_id, refuse_outside_files, source)
            if complaint:
                raise ImageRefused(image_id=image.image_id, reason=complaint)
        limits = [f"--as={MEMORY_LIMIT}", f"--cpu={CPU_LIMIT_S}", f"--fsize={spec.size_gib * GIB}", "--core=0"]
        argv = [
            "prlimit", *limits, f"--stack={STACK_LIMIT}", *FRUGAL, "qemu-img", "convert", "-q",
            "-f", FORMATS[image.format], "-O", "raw", str(source), str(part),
        ]  # fmt: skip
        done = await self._command(spec.volume_id, argv, part)
        if done.code != 0:
            said = done.stderr.decode(errors="replace").strip()
            if "No space left" in said or "File too large" in said:
                raise BackendFull(volume_id=spec.volume_id, log=said)
            if done.code < 0:  # it was killed, or gave up: that says nothing of the image
                raise BackendFailed(action="convert", volume_id=spec.volume_id, log=f"{said} (signal {-done.code})")
            raise ImageRefused(image_id=image.image_id, reason="it cannot be converted", log=said)

    async def ensure_copy(self, spec: VolumeSpec, source_id: str, *, is_live: bool = False) -> None:
        """A live volume is cloned by the file system in one moment, where it can do that."""
        path, source = self._path(spec.volume_id), self._path(source_id)
        if await self._guarded(spec.volume_id, path.exists):
            return
        await self._must_exist(source_id)
        part = _beside(path, "part")
        try:
            how = "--reflink=always" if is_live else "--reflink=auto"
            sparse = "--sparse=auto" if is_live else "--sparse=always"
            argv = ["cp", how, sparse, "--", str(source), str(part)]
            done = await self._command(spec.volume_id, argv, part)
            if done.code != 0:
                raise _copy_failure(done.stderr.decode(errors="replace").strip(), spec, source_id, is_live=is_live)
            await self._guarded(spec.volume_id, _finish, part, spec.size_gib * GIB)
            await self._guarded(spec.volume_id, part.rename, path)
        except BaseException:
            await asyncio.shield(self._guarded(spec.volume_id, _remove, part))
            raise
        await self._sync(spec.volume_id)

    async def ensure_no_volume(self, volume_id: str, metadata: Mapping[str, str] | None = None) -> None:
        path = self._path(volume_id)
        if await self._guarded(volume_id, _remove, path, _beside(path, "part"), _beside(path, "image")):
            await self._sync(volume_id)

    async def extend(self, spec: VolumeSpec) -> None:
        await self._must_exist(spec.volume_id)
        await self._guarded(spec.volume_id, _grow, self._path(spec.volume_id), spec.size_gib * GIB)

    async def connect(self, spec: VolumeSpec, connector: Mapping[str, Any]) -> dict[str, Any]:
        """A file that a power cut left shorter than it was is as long again before anybody writes to it."""
        await self._must_exist(spec.volume_id)
        path = self._path(spec.volume_id)
        await self._guarded(spec.volume_id, _grow, path, spec.size_gib * GIB)
        return {"driver_volume_type": "file", "data": {"path": str(path), "format": "raw"}}

    async def disconnect(self, spec: VolumeSpec, connector: Mapping[str, Any]) -> None:
        """What was written is on the disk before anybody else may have the volume."""
        await self._guarded(spec.volume_id, _flush, self._path(spec.volume_id))

    async def capacity(self) -> Capacity:
        facts = await self._guarded("", os.statvfs, self._directory)
        return Capacity(
            total_gib=facts.f_frsize * facts.f_blocks // GIB, free_gib=facts.f_frsize * facts.f_bavail // GIB
        )

    async def list_volumes(self) -> list[Volume]:
        return await self._guarded("", _listed, self._directory)

    # -- files ----------------------------------------------------------------------------------------------------
    def _path(self, volume_id: str) -> Path:
        name = f"volume-{volume_id}"
        if _NAME.fullmatch(name) is None:
            raise BackendFailed(action="find", volume_id=volume_id, log="not the id of a volume")
        return self._directory / name

    async def _must_exist(self, volume_id: str) -> None:
        if not await self._guarded(volume_id, self._path(volume_id).exists):
            raise NoSuchVolumeThere(volume_id=volume_id)

    async def _guarded(self, volume_id: str, work: Callable[..., T], *args: Any) -> T:
        """Run `work` in a thread; what the file system refuses becomes an answer that names the mend."""
        try:
            return await self._runtime.in_thread(work, *args, pool=POOL)
        except OSError as failure:
            if failure.errno in FULL:
                raise BackendFull(volume_id=volume_id, log=str(failure)) from failure
            raise BackendUnavailable(log=str(failure)) from failure

    async def _command(self, volume_id: str, argv: list[str], part: Path) -> Completed:
        """Run a command that writes `part`. When its caller is stopped it runs on, and `part` goes when it ends."""
        running = asyncio.ensure_future(self._runtime.run_command(argv, timeout_s=COPY_LIMIT_S, pool=COPIES))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._runtime.spawn(self._remove_after(running, volume_id, part), f"clean up {part.name}")
            raise
        except TimeoutError as slow:
            raise BackendFailed(action="copy", volume_id=volume_id, log=str(slow)) from slow
        except FileNotFoundError as missing:
            raise BackendFailed(action="copy", volume_id=volume_id, log=f"not installed: {missing}") from missing

    async def _remove_after(self, running: "asyncio.Future[Completed]", volume_id: str, part: Path) -> None:
        await asyncio.wait({running})
        await self._guarded(volume_id, _remove, part)

    async def _sync(self, volume_id: str) -> None:
        """Return when what was renamed or removed so far survives a power cut."""
        self._changes += 1
        target = self._changes
        while self._synced < target:
            if self._syncing is None:
                self._syncing = self._runtime.spawn(self._sync_once(volume_id), "sync of the volumes' directory")
            await asyncio.shield(self._syncing)

    async def _sync_once(self, volume_id: str) -> None:
        covers = self._changes
        try:
            await self._guarded(volume_id, _flush, self._directory)
            self._synced = covers
        finally:
            self._syncing = None


def _beside(path: Path, what: str) -> Path:
    """The name of what is on its way to `path`."""
    return path.with_name(f".{path.name}.{what}")


def _copy_failure(said: str, spec: VolumeSpec, source_id: str, *, is_live: bool) -> Error:
    if "No space left" in said:
        return BackendFull(volume_id=spec.volume_id, log=said)
    if is_live and "clone" in said:
        return CannotCopyLive(volume_id=source_id, log=said)
    return BackendFailed(action="copy", volume_id=spec.volume_id, log=said)


# -- in a thread --------------------------------------------------------------------------------------------------
def _make_sparse(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def _grow(path: Path, size: int) -> int:
    """Let a file be at least `size` long, and flush it if it was shorter; returns how long it was."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor).st_size
        if found < size:
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
        return found
    finally:
        os.close(descriptor)


def _finish(path: Path, size: int) -> int:
    """Let a new file be at least `size` long, readable by its owner alone, and on the disk."""
    path.chmod(0o600)
    found = _grow(path, size)
    _flush(path)
    return found


def _flush(path: Path) -> None:
    """Put a file or a directory on the disk; nothing there is fine."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(*paths: Path) -> bool:
    """Remove files; whether there were any."""
    found = False
    for path in paths:
        try:
            path.unlink()
            found = True
        except FileNotFoundError:
            continue
    return found


def _listed(directory: Path) -> list[Volume]:
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name.removeprefix(".").removesuffix(".part").removesuffix(".image"))
            if match is not None and entry.is_file(follow_symlinks=False):
                size = entry.stat(follow_symlinks=False).st_size
                found.append(
                    Volume(volume_id=match[1], size_gib=size // GIB, is_whole=not entry.name.startswith("."))
                )  # fmt: skip
    return sorted(found, key=lambda volume: volume.volume_id)
