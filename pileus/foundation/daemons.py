"""Programs that outlive the process that started them: found again, signalled, ended.

A pid alone proves nothing: it may have been given to another program since. A daemon is known by one argument of its
command line that no other program has, such as the path of its own configuration file.
"""

import os
import select
import signal
from pathlib import Path

from pileus.foundation.runtime import Runtime

_PROC = Path("/proc")


def find_daemon(argument: str, pid_file: Path | None = None) -> int | None:
    """The pid of the living program that was started with `argument`.

    With `pid_file`, only the pid it names is looked at, which is cheap; without, every program of the machine is.
    """
    if pid_file is not None:
        pid = _pid_in(pid_file)
        return pid if pid is not None and _has_argument(pid, argument) else None
    pids = (int(name) for name in os.listdir(_PROC) if name.isdigit())
    return next((pid for pid in pids if pid != os.getpid() and _has_argument(pid, argument)), None)


def _pid_in(pid_file: Path) -> int | None:
    try:
        text = pid_file.read_text().strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() and 0 < int(text) < 1 << 31 else None


def _has_argument(pid: int, argument: str) -> bool:
    """Whether a program lives that was started so; one that is ending, or has and was not reaped, has no arguments."""
    return argument.encode() in (_arguments(pid) or [])


def _arguments(pid: int) -> list[bytes] | None:
    """The command line of a process; None when there is no such process."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None


def signal_daemon(pid: int, argument: str, number: signal.Signals) -> bool:
    """Send a signal to the daemon, and to nobody else who may have its pid by now; False when it is gone."""
    fd = _open(pid, argument)
    if fd is None:
        return False
    try:
        return _send(fd, number)
    finally:
        os.close(fd)


async def end_daemon(runtime: Runtime, pid: int, argument: str, timeout_s: float = 2.0) -> None:
    """End the daemon and return when it is gone: asked first, killed after `timeout_s`. A gone one is fine."""
    fd = _open(pid, argument)
    if fd is None:
        return
    try:
        for number, patience in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 10.0)):
            if not _send(fd, number) or await runtime.in_thread(_wait, fd, patience):
                return
        raise TimeoutError(f"process {pid} does not end")
    finally:
        os.close(fd)


async def await_ending(runtime: Runtime, pid_file: Path, timeout_s: float = 2.0) -> None:
    """Return when the program named by the file, if it is just ending, has let go of its sockets and files.

    A killed program loses its arguments first and its sockets a moment later.
    """
    pid = _pid_in(pid_file)
    if pid is None or _arguments(pid) != [b""]:
        return
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await runtime.in_thread(_wait, fd, timeout_s)
    finally:
        os.close(fd)


def _open(pid: int, argument: str) -> int | None:
    """A handle on the daemon that no other program can inherit."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if _has_argument(pid, argument):
        return fd
    os.close(fd)
    return None


def _send(fd: int, number: signal.Signals) -> bool:
    try:
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    return True


def _wait(fd: int, timeout_s: float) -> bool:
    """Whether the process behind the handle ended in time."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
