"""The files of one guest: an overlay on its base image, blank disks, the config drive, the console's log.

Everything lies in the guest's own directory. A marker with the epoch is written last and only after the disks are on
the disk: with it the files are whole and belong to that build, without it they are debris and made anew. Every
`qemu-img` line names its formats.
"""

import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pileus.compute.drivers.base import (
    BadDevice,
    DiskTooSmall,
    GuestSpec,
    HypervisorFailed,
    HypervisorUnavailable,
    ImageRoot,
    NoDiskSpace,
    SnapshotFact,
    guest_dir,
)
from pileus.compute.drivers.libvirt.domain_xml import FORMATS, GuestFiles
from pileus.foundation.runtime import Completed, Runtime

GIB = 1 << 30
MIB = 1 << 20
CONSOLE_LIMIT = 1 * MIB  # what is shown of a console at most
LOG_LIMIT = 4 * MIB  # what a console's log may grow to
LOG_KEPT = 1 * MIB
COPY_LIMIT_S = 3600.0
COPY_NAME = "snapshot.qcow2"


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What says that a guest's files are whole."""

    server_id: str
    epoch: int


class GuestStorage:
    """The files of all guests of one host."""

    def __init__(self, runtime: Runtime, state_dir: Path):
        self._runtime = runtime
        self._state_dir = state_dir

    def prepare(self) -> None:
        """Make the directory of guests. QEMU, which is not root, must be able to pass through it, not to look."""
        guests = self._state_dir / "guests"
        guests.mkdir(parents=True, exist_ok=True)
        guests.chmod(0o711)
        self._state_dir.chmod(self._state_dir.stat().st_mode & 0o7777 | 0o011)

    def paths(self, spec: GuestSpec) -> GuestFiles:
        directory = guest_dir(self._state_dir, spec.server_id)
        return GuestFiles(
            root=str(directory / "disk.qcow2") if isinstance(spec.root, ImageRoot) else "",
            ephemeral=str(directory / "ephemeral.raw") if spec.ephemeral_gib else "",
            swap=str(directory / "swap.raw") if spec.swap_mib else "",
            config_drive=str(directory / "config.iso") if spec.config_drive is not None else "",
            console_log=str(directory / "console.log"),
        )

    def server_ids(self) -> set[str]:
        """Every server of which there are files."""
        return {entry.name for entry in (self._state_dir / "guests").iterdir() if entry.is_dir()}

    def marker(self, server_id: str) -> Marker | None:
        """Which build the files belong to; None when they are absent or not whole."""
        path = guest_dir(self._state_dir, server_id) / "guest.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Marker)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def remove(self, server_id: str) -> None:
        """Remove every file of a guest; none there is fine. The marker goes first, so that no half is ever whole."""
        directory = guest_dir(self._state_dir, server_id)
        (directory / "guest.json").unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        if directory.exists():
            shutil.rmtree(directory)

    # -- making ---------------------------------------------------------------------------------------------------
    async def build(self, spec: GuestSpec) -> None:
        """Make all files of a guest anew. Raises NoDiskSpace, BadDevice, HypervisorFailed."""
        files = self.paths(spec)
        await self._runtime.in_thread(self._start_afresh, spec.server_id, pool="guest files")
        if isinstance(spec.root, ImageRoot):
            await self._make_overlay(spec.root, files.root)
        if files.ephemeral:
            await self._make_blank(files.ephemeral, spec.ephemeral_gib * GIB)
            await self._command("spawn", ["mkfs.ext4", "-q", "-F", "-L", "ephemeral0", files.ephemeral])
        if files.swap:
            await self._make_blank(files.swap, spec.swap_mib * MIB)
            await self._command("spawn", ["mkswap", "-L", "swap", files.swap])
        await self._runtime.in_thread(self._finish, spec, files, pool="guest files")

    def _start_afresh(self, server_id: str) -> None:
        self.remove(server_id)
        directory = guest_dir(self._state_dir, server_id)
        try:
            directory.mkdir()
        except OSError as refused:
            raise _disk_failure("spawn", str(refused)) from refused
        directory.chmod(0o711)

    async def _make_overlay(self, root: ImageRoot, path: str) -> None:
        size = max(root.disk_gib * GIB, root.base_size_bytes)
        if root.disk_gib and root.disk_gib * GIB < root.base_size_bytes:
            raise DiskTooSmall(disk_bytes=root.disk_gib * GIB, image_bytes=root.base_size_bytes)
        if root.base_format not in FORMATS:
            raise BadDevice(what="image format", value=root.base_format)
        create = [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-b",
            root.base_path,
            "-F",
            root.base_format,
            path,
            str(size),
        ]
        await self._command("spawn", create)

    async def _make_blank(self, path: str, size: int) -> None:
        await self._runtime.in_thread(_make_sparse, path, size, pool="guest files")

    def _finish(self, spec: GuestSpec, files: GuestFiles) -> None:
        """The config drive, then everything to the disk, then the marker."""
        directory = guest_dir(self._state_dir, spec.server_id)
        try:
            if spec.config_drive is not None:
                _write_private(Path(files.config_drive), iso_image(spec.config_drive))
            for made in (files.root, files.ephemeral, files.swap, files.config_drive):
                if made:
                    os.chmod(made, 0o600)
                    _sync(made)
            marker = Marker(server_id=spec.server_id, epoch=spec.epoch)
            _write_private(directory / "guest.json", msgspec.json.encode(marker))
            _sync(str(directory))
        except OSError as refused:
            raise _disk_failure("spawn", str(refused)) from refused

    # -- copying --------------------------------------------------------------------------------------------------
    async def make_copy_target(self, server_id: str, source: str) -> str:
        """An overlay on the same base image as `source`, into which a running guest's changes can be copied."""
        target = str(guest_dir(self._state_dir, server_id) / COPY_NAME)
        told = await self._info(source)
        base, written_as = told.get("full-backing-filename"), told.get("backing-filename-format")
        if not isinstance(base, str) or written_as not in FORMATS:
            raise HypervisorFailed(action="snapshot", log=f"{source} has no base image with a format: {told}")
        size = str(told["virtual-size"])
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", str(written_as), target, size]
        await self._command("snapshot", create)
        return target

    def half_copied(self) -> list[str]:
        """The servers whose disk is being copied, or was when somebody died."""
        return [
            server_id
            for server_id in self.server_ids()
            if (self._state_dir / "guests" / server_id / COPY_NAME).exists()
        ]

    def forget_copy(self, server_id: str) -> None:
        (guest_dir(self._state_dir, server_id) / COPY_NAME).unlink(missing_ok=True)

    async def flatten(self, source: str, target: Path, format: str) -> SnapshotFact:
        """Copy an overlay and its base into one file that depends on nothing; whole or not at all."""
        partial = target.with_name(target.name + ".partial")
        how = ["-c"] if format == "qcow2" else []
        convert = ["qemu-img", "convert", "-q", "-f", "qcow2", "-O", format, *how, source, str(partial)]
        try:
            await self._command("snapshot", convert, limit_s=COPY_LIMIT_S)
            return await self._runtime.in_thread(self._finish_copy, partial, target, format, pool="guest files")
        finally:
            partial.unlink(missing_ok=True)

    def _finish_copy(self, partial: Path, target: Path, format: str) -> SnapshotFact:
        partial.chmod(0o600)
        size = partial.stat().st_size
        virtual = size if format == "raw" else _qcow2_size(partial)
        partial.rename(target)
        return SnapshotFact(path=str(target), format=format, size_bytes=size, virtual_size_bytes=virtual)

    async def _info(self, path: str) -> Mapping[str, object]:
        """What a disk of ours says of itself. A running guest may have it open."""
        done = await self._command("snapshot", ["qemu-img", "info", "-f", "qcow2", "-U", "--output=json", path])
        return msgspec.json.decode(done.stdout, type=dict[str, object])

    async def _command(self, action: str, argv: list[str], *, limit_s: float = 60.0) -> Completed:
        try:
            done = await self._runtime.run_command(argv, timeout_s=limit_s)
        except TimeoutError as slow:
            raise HypervisorUnavailable(log=str(slow)) from slow
        except FileNotFoundError as missing:
            raise HypervisorFailed(action=action, log=f"{argv[0]} is not installed") from missing
        if done.code != 0:
            raise _disk_failure(action, f"{argv[0]} {argv[1]}: {done.stderr.decode(errors='replace').strip()}")
        return done

    # -- consoles -------------------------------------------------------------------------------------------------
    def console(self, server_id: str) -> bytes:
        """The end of what a guest wrote, over the logs that a rotating daemon keeps beside each other."""
        directory = guest_dir(self._state_dir, server_id)
        kept = b""
        for name in ("console.log", "console.log.0", "console.log.1"):
            if len(kept) < CONSOLE_LIMIT:
                kept = _tail(directory / name, CONSOLE_LIMIT - len(kept)) + kept
        return kept

    def trim_consoles(self) -> None:
        """Keep logs short that nobody rotates: a guest must not fill the host's disk by talking."""
        for server_id in self.server_ids():
            log = self._state_dir / "guests" / server_id / "console.log"
            if log.exists() and log.stat().st_size > LOG_LIMIT:
                end = _tail(log, LOG_KEPT)
                with log.open("r+b") as file:  # in place: QEMU goes on appending to this very file
                    file.truncate(0)
                    file.write(end)


def iso_image(files: Mapping[str, bytes]) -> bytes:
    """A config drive: an ISO 9660 image with Joliet and Rock Ridge names, labelled as cloud-init looks for it."""
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=4, vol_ident="config-2", joliet=3, rock_ridge="1.09")
    for directory in sorted({str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}):
        iso.add_directory(f"/{directory}", rr_name=Path(directory).name, joliet_path=f"/{directory}")
    for name, content in files.items():
        iso.add_fp(io.BytesIO(content), len(content), f"/{name}", rr_name=Path(name).name, joliet_path=f"/{name}")
    out = io.BytesIO()
    iso.write_fp(out)
    iso.close()
    return out.getvalue()


def allows_direct_io(directory: Path) -> bool:
    """Whether files here can be opened past the page cache, as QEMU's `cache=none` needs."""
    path = directory / ".direct-io"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    except OSError:
        return False
    finally:
        path.unlink(missing_ok=True)
    os.close(fd)
    return True


def _disk_failure(action: str, said: str) -> HypervisorFailed:
    kind = NoDiskSpace if "No space left" in said or "Disk quota" in said else HypervisorFailed
    return kind(action=action, log=said)


def _make_sparse(path: str, size: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.truncate(size)
    except OSError as refused:
        raise _disk_failure("spawn", str(refused)) from refused


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _tail(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read(most)
    except FileNotFoundError:
        return b""


def _qcow2_size(path: Path) -> int:
    """The virtual size that a file written by ourselves states in its header."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(32)[24:32], "big")
