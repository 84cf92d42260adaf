"""The one directory a cloud keeps everything in: whose it is, which format it has, who runs on it now.

Files: `format` (a number), `lock` (held, and naming the pid, while a cloud runs). Refuses to share: one directory,
one running cloud.
"""

import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pileus.foundation.errors import Conflict, Unavailable

FORMAT = 1


class StateRefused(Unavailable):
    """The directory is there, but not for this program."""

    code = "state.refused"
    message = "The state directory {path} cannot be used: {why}. {mend}"


class StateBusy(Conflict):
    """Another cloud runs on this state."""

    code = "state.busy"
    message = "A cloud runs on {path} already (process {pid}). Stop it with `pileus down`, or name another --state."


@dataclass(frozen=True, slots=True)
class StateFacts:
    """What a look at the directory tells."""

    exists: bool
    problem: str = ""  # why it cannot be used; empty: it can
    mend: str = ""
    running_pid: int | None = None


def inspect_state(path: Path) -> StateFacts:
    """Look at the directory and change nothing."""
    if not path.exists():
        return _inspect_parent(path)
    if not path.is_dir():
        return StateFacts(True, "it is not a directory", "Name another one with --state.")
    facts = path.stat()
    if facts.st_uid != os.geteuid():
        mend = "Run as the user who owns it, or name another one with --state."
        return StateFacts(True, f"it belongs to user {facts.st_uid}, this is user {os.geteuid()}", mend)
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return StateFacts(True, "others can write to it", f"Run: chmod go-w {path}")
    found = _read_format(path)
    if found is None and any(path.iterdir()):
        return StateFacts(True, "it holds files, but no cloud", "Name an empty or new directory with --state.")
    if found is not None and found != FORMAT:
        mend = "Start the pileus that made it, or restore a backup into another directory."
        return StateFacts(True, f"it has format {found or 'unknown'}, this program knows {FORMAT}", mend)
    return StateFacts(True, running_pid=_running_pid(path))


def _inspect_parent(path: Path) -> StateFacts:
    parent = path.parent
    while not parent.exists():
        parent = parent.parent
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        return StateFacts(False)
    return StateFacts(False, f"it cannot be made in {parent}", "Name a directory you may write to with --state.")


def _read_format(path: Path) -> int | None:
    """The directory's format; None: never used, 0: something unreadable."""
    try:
        text = (path / "format").read_text().strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() else 0


def _running_pid(path: Path) -> int | None:
    """The pid of the cloud that holds the lock now; a left-over lock file means nothing."""
    try:
        lock = os.open(path / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(lock, 20).decode(errors="replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(lock)
    return None


def ensure_state(path: Path) -> None:
    """Make the directory what a cloud keeps its things in, without holding it: several processes share it.

    Others may pass through (guests are not root), not list it. Raises: StateRefused.
    """
    facts = inspect_state(path)
    if facts.problem:
        raise StateRefused(path=path, why=facts.problem, mend=facts.mend)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o711)
    if _read_format(path) is None:
        (path / "format").write_text(f"{FORMAT}\n")


class Held(Conflict):
    """What only one process may have is another's."""

    code = "state.held"
    message = "Another process has {what} already ({path} is locked). Stop that one first."


def hold(path: Path, what: str) -> int:
    """Lock a file until this process ends; it is made when it is not there. Returns what to close. Raises: Held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as held:
        os.close(lock)
        raise Held(what=what, path=path) from held
    return lock


class StateDirectory:
    """The directory, held by this process until `release` or its end, however it ends."""

    def __init__(self, path: Path):
        """Take the directory, making it if it is new. Raises: StateRefused, StateBusy."""
        ensure_state(path)
        self.path = path
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(self._lock)
            raise StateBusy(path=path, pid=_running_pid(path)) from held
        os.truncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        os.close(self._lock)
