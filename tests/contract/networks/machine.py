"""A machine of one's own for a test: the calling thread, and all it starts, in fresh network and mount namespaces."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_FS, _CLONE_NEWNS, _CLONE_NEWNET = 0x00000200, 0x00020000, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def private_machine() -> Iterator[None]:
    """No device but lo, an empty /run. Threads that are started inside, and their commands, live there too."""
    before = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt")]
    home = os.getcwd()
    _check(_libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS))
    try:
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        run("mount", "-t", "sysfs", "sysfs", "/sys")
        run("ip", "link", "set", "lo", "up")
        yield
    finally:
        _check(_libc.unshare(_CLONE_FS))  # threads of the test share root and cwd with this one until they end
        for fd in before:
            _check(_libc.setns(fd, 0))
            os.close(fd)
        os.chdir(home)


def run(*argv: str) -> str:
    """Run a command that must succeed and return what it says."""
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


def processes_of(fragment: str) -> list[int]:
    """Every living process of the machine with `fragment` in its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if fragment.encode() in path.read_bytes():
                found.append(int(path.parts[2]))
    return found
