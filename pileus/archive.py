"""Backup and restore: one file that holds a cloud, written while it runs.

It holds the database as of one moment, the secrets, images, volumes and what fakes remember. Guests' own disks, caches
and logs stay out. Volumes in use are copied as a power cut would leave them. The file holds every secret of the cloud:
mode 0600.
"""

import contextlib
import gzip
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from pileus import __version__, running
from pileus.foundation.database import copy_database, upgrade_database
from pileus.foundation.errors import Conflict, Error, Unavailable
from pileus.foundation.state_directory import FORMAT, StateRefused, inspect_state
from pileus.secrets_file import FILE as SECRETS

Say = Callable[[str], None]

DATABASE = "pileus.db"
MANIFEST = "backup.json"
FILES = ("images/*", "volumes/*", "hosts/*/fake-*", "demo-key")
BLOCK = 1 << 20
LARGE = 256 << 20  # bytes from which a file is announced by itself


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The first file of a backup."""

    version: str
    format: int


class NotABackup(Error):
    code = "backup.not-one"
    message = "{file} is no backup of a Pileus cloud: {reason}."


class StateTaken(Conflict):
    code = "backup.state-taken"
    message = "{path} holds something already. Name a new directory with --state."


class NoState(Error):
    code = "backup.no-state"
    message = "There is no cloud in {path}."


def backup(state_dir: Path, file: Path, say: Say) -> None:
    """Write `file` whole or not at all. Raises: NoState, StateRefused, Unavailable."""
    if not (state_dir / DATABASE).exists():
        raise NoState(path=state_dir)
    facts = inspect_state(state_dir)
    if facts.problem:
        raise StateRefused(path=state_dir, why=facts.problem, mend=facts.mend)
    partial = file.with_name(f".{file.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target, tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
            _add_all(state_dir, tar, say)
        partial.replace(file)
    except OSError as error:
        raise Unavailable(f"The backup could not be written: {error}. Free space, or name another file.") from error
    finally:
        partial.unlink(missing_ok=True)
    say(f"Backup written to {file} ({file.stat().st_size / 1e6:.1f} MB).")


def _add_all(state_dir: Path, tar: tarfile.TarFile, say: Say) -> None:
    with tempfile.TemporaryDirectory(dir=state_dir) as folder:
        say("Copying the database ...")
        copy = Path(folder) / DATABASE
        copy_database(state_dir / DATABASE, copy)
        manifest = Path(folder) / MANIFEST
        manifest.write_bytes(msgspec.json.encode(Manifest(version=__version__, format=FORMAT)))
        tar.add(manifest, MANIFEST)
        tar.add(copy, DATABASE)
        tar.add(state_dir / SECRETS, SECRETS)
        tar.add(state_dir / running.FACTS, running.FACTS)
    say("Copying images and volumes ...")
    for path in _files(state_dir):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            if path.stat().st_size > LARGE:
                say(f"Copying {path.name} ({path.stat().st_size / 1e9:.1f} GB) ...")
            tar.add(path, str(path.relative_to(state_dir)), recursive=False)


def _files(state_dir: Path) -> Iterator[Path]:
    for pattern in FILES:
        yield from (path for path in sorted(state_dir.glob(pattern)) if path.is_file())


def restore(file: Path, state_dir: Path, say: Say) -> None:
    """Bring a backup into a new state directory, whole or not at all; every token of before is refused from then on.

    Raises: NotABackup, StateTaken, Unavailable.
    """
    if state_dir.exists() and (not state_dir.is_dir() or any(state_dir.iterdir())):
        raise StateTaken(path=state_dir)
    was_there = state_dir.exists()
    try:
        with tarfile.open(file, "r:gz") as tar:
            _read_manifest(tar, file)
            say(f"Restoring into {state_dir} ...")
            state_dir.mkdir(parents=True, exist_ok=True)
            state_dir.chmod(0o711)
            for member in tar:
                _extract(tar, member, state_dir, file)
        (state_dir / running.RESTORED).write_text("every token of before is refused\n")
        (state_dir / "format").write_text(f"{FORMAT}\n")
    except BaseException as error:
        _empty(state_dir, was_there=was_there)
        if isinstance(error, (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)):
            raise NotABackup(file=file, reason=str(error)) from error
        if isinstance(error, OSError):
            raise Unavailable(f"The backup could not be restored: {error}.") from error
        raise
    say(f"Restored; start it with: pileus up --state {state_dir}")
    say("Guests' own disks are in no backup: give such a server a new one by 'openstack server rebuild'.")


def _read_manifest(tar: tarfile.TarFile, file: Path) -> None:
    first = tar.next()
    source = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if source is None:
        raise NotABackup(file=file, reason="it does not begin with a manifest")
    try:
        manifest = msgspec.json.decode(source.read(), type=Manifest)
    except msgspec.DecodeError as error:
        raise NotABackup(file=file, reason=f"its manifest cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise NotABackup(file=file, reason=f"its format is {manifest.format}, this program knows {FORMAT}")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, state_dir: Path, file: Path) -> None:
    """Only plain files, and only below the state directory."""
    name = Path(member.name)
    source = tar.extractfile(member) if member.isfile() else None
    if source is None or name.is_absolute() or ".." in name.parts:
        raise NotABackup(file=file, reason=f"it holds {member.name}, which no backup does")
    target = state_dir / name
    for folder in reversed(target.relative_to(state_dir).parents):
        (state_dir / folder).mkdir(mode=0o711, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        _copy_sparse(source, sink)


def _copy_sparse(source: IO[bytes], sink: IO[bytes]) -> None:
    """Volumes are mostly holes: what is zero is not written."""
    nothing = bytes(BLOCK)
    while block := source.read(BLOCK):
        if block == nothing:
            sink.seek(BLOCK, os.SEEK_CUR)
        else:
            sink.write(block)
    sink.truncate(sink.tell())


def _empty(state_dir: Path, *, was_there: bool) -> None:
    """As before a restore that failed."""
    if not was_there:
        shutil.rmtree(state_dir, ignore_errors=True)
        return
    for path in state_dir.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def upgrade(state_dir: Path, say: Say) -> None:
    """Bring the tables to this version. A start does the same; this keeps a copy of the database first."""
    if not (state_dir / DATABASE).exists():
        raise NoState(path=state_dir)
    if running.running_pid(state_dir) is not None:
        raise Conflict("The cloud runs; stop it with 'pileus down' first.")
    kept = state_dir / f"{DATABASE}.before-{__version__}"
    copy_database(state_dir / DATABASE, kept)
    kept.chmod(0o600)
    from pileus.wiring.schemas import SCHEMAS

    upgrade_database(f"sqlite:///{state_dir / DATABASE}", SCHEMAS)
    say(f"The tables are at the version of pileus {__version__}; the database as it was is in {kept}.")
