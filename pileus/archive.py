"""Backup and restore: one file that holds a cloud, written while it runs.

It holds the database as of one moment, the secrets, images and volumes. Guests' own disks, caches and logs stay out.
Volumes in use are copied as a power cut would leave them. The file holds every secret of the cloud: mode 0600.
"""

import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from pileus import __version__, running
from pileus.foundation.database import copy_database, upgrade_database
from pileus.foundation.errors import Conflict, Error, Unavailable
from pileus.foundation.state_directory import FORMAT, inspect_state
from pileus.secrets_file import FILE as SECRETS

Say = Callable[[str], None]

DATABASE = "pileus.db"
MANIFEST = "backup.json"
FOLDERS = ("images", "volumes")


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
    """Write `file` whole or not at all. Raises: NoState, Unavailable."""
    if not (state_dir / DATABASE).exists():
        raise NoState(path=state_dir)
    partial = file.with_name(f".{file.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target, tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
            _add_all(state_dir, tar, say)
        partial.replace(file)
    except OSError as error:
        raise Unavailable(
            f"The backup could not be written: {error.strerror}. Free space, or name another file."
        ) from (error)
    finally:
        partial.unlink(missing_ok=True)
    say(f"Backup written to {file} ({file.stat().st_size / 1e6:.1f} MB).")


def _add_all(state_dir: Path, tar: tarfile.TarFile, say: Say) -> None:
    with tempfile.TemporaryDirectory(dir=state_dir) as folder:
        say("Copying the database ...")
        copy = Path(folder) / DATABASE
        copy_database(state_dir / DATABASE, copy)
        manifest = Path(folder) / MANIFEST
        manifest.write_bytes(msgspec.json.encode({"version": __version__, "format": FORMAT}))
        tar.add(manifest, MANIFEST)
        tar.add(copy, DATABASE)
        tar.add(state_dir / SECRETS, SECRETS)
        tar.add(state_dir / running.FACTS, running.FACTS)
    for name in FOLDERS:
        folder_path = state_dir / name
        if folder_path.is_dir():
            say(f"Copying {name} ...")
            tar.add(folder_path, name)


def restore(file: Path, state_dir: Path, say: Say) -> None:
    """Bring a backup into a new state directory; every token of before is refused from then on.

    Raises: NotABackup, StateTaken.
    """
    facts = inspect_state(state_dir)
    if facts.running_pid is not None or (state_dir.exists() and any(state_dir.iterdir())):
        raise StateTaken(path=state_dir)
    try:
        with tarfile.open(file, "r:gz") as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST:
                raise NotABackup(file=file, reason="it does not begin with a manifest")
            manifest = msgspec.json.decode(tar.extractfile(first).read())  # type: ignore[union-attr]
            if manifest["format"] != FORMAT:
                raise NotABackup(file=file, reason=f"its format is {manifest['format']}, this program knows {FORMAT}")
            state_dir.mkdir(parents=True, exist_ok=True)
            state_dir.chmod(0o711)
            for member in tar:
                _extract(tar, member, state_dir, file)
    except (tarfile.TarError, OSError, EOFError, msgspec.DecodeError, KeyError) as error:
        raise NotABackup(file=file, reason=str(error)) from error
    (state_dir / MANIFEST).unlink(missing_ok=True)
    (state_dir / SECRETS).chmod(0o600)
    (state_dir / "format").write_text(f"{FORMAT}\n")
    (state_dir / running.RESTORED).write_text("every token of before is refused\n")
    say(f"Restored into {state_dir}; start it with: pileus up --state {state_dir}")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, state_dir: Path, file: Path) -> None:
    """Only plain files and folders, and only below the state directory."""
    parts = Path(member.name).parts
    if not (member.isfile() or member.isdir()) or Path(member.name).is_absolute() or ".." in parts:
        raise NotABackup(file=file, reason=f"it holds {member.name}, which no backup does")
    member.mode &= 0o755
    tar.extract(member, state_dir)


def upgrade(state_dir: Path, say: Say) -> None:
    """Bring the tables to this version. A start does the same; this keeps a copy of the database first."""
    if not (state_dir / DATABASE).exists():
        raise NoState(path=state_dir)
    if running.running_pid(state_dir) is not None:
        raise Conflict("The cloud runs; stop it with 'pileus down' first.")
    kept = state_dir / f"{DATABASE}.before-{__version__}"
    copy_database(state_dir / DATABASE, kept)
    kept.chmod(0o600)
    from pileus.wiring import SCHEMAS

    upgrade_database(state_dir / DATABASE, SCHEMAS)
    say(f"The tables are at the version of pileus {__version__}; the database as it was is in {kept}.")
