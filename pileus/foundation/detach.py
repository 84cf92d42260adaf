"""Start a program that goes on after its starter has ended, and end one by its pid."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class Detached:
    """A program that was started to go on by itself."""

    ready_after_s = 0.0  # seconds from its start until `wait_until` saw it ready

    def __init__(self, argv: Sequence[str], log: Path):
        self._began = time.monotonic()
        with log.open("ab") as output:
            log.chmod(0o600)
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                list(argv), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> int:
        """Return its exit code once it has ended."""
        return self._process.wait()

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float) -> bool:
        """True once it is ready; False when it ended before, or did not become so in time."""
        end = self._began + timeout_s
        while time.monotonic() < end:
            if is_ready():
                self.ready_after_s = time.monotonic() - self._began
                return True
            if self._process.poll() is not None:
                return False
            time.sleep(0.02)
        return False


def end(pid: int, timeout_s: float) -> bool:
    """Ask a process to end, and return whether it has; one that is gone already has."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if not _is_running(pid):
            return True
        time.sleep(0.02)
    return False


def _is_running(pid: int) -> bool:
    """False also for a process that has ended, and whose parent has not noticed yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pause(seconds: float) -> None:
    """Wait, in a program without an event loop."""
    time.sleep(seconds)
