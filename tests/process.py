"""A cloud as its users meet it: a process of its own, driven by the command line and by the users' own clients."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
Done = subprocess.CompletedProcess[str]


def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


class Group:
    """A program with all that it starts; it goes with this process, however this one ends."""

    def __init__(self, argv: Sequence[str], **options: Any):
        self._process = subprocess.Popen(argv, start_new_session=True, **options)
        # The pipe closes with this process, even with one that is killed.
        guard = ["sh", "-c", 'read -r _; kill -s KILL -- "-$1"', "guard", str(self._process.pid)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True, stderr=subprocess.DEVNULL)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self._guard.kill()
        self._guard.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def die_with_parent() -> None:
    """For `preexec_fn`: a killed test run leaves no process behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class CloudProcess:
    """A state directory, a port, and the commands that run a cloud on them; `enter` goes before every command."""

    def __init__(self, state_dir: Path, *, enter: Sequence[str] = ()):
        self.state_dir = state_dir
        self.port = free_port()
        self.enter = tuple(enter)

    # -- the command line -----------------------------------------------------------------------------------------
    def pileus(self, *argv: str, code: int | None = 0, env: Mapping[str, str] | None = None) -> Done:
        """Run a command on this state. Raises: AssertionError when it ends with another code; None: any will do."""
        command = [*self.enter, sys.executable, "-m", "pileus", *argv, "--state", str(self.state_dir)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=180, env=clean_environment() | dict(env or {})
        )
        assert code is None or done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def document(self, *argv: str, code: int = 0) -> Any:
        """What a command prints with --json."""
        return json.loads(self.pileus(*argv, "--json", code=code).stdout)

    def up(self, *options: str) -> Done:
        return self.pileus("up", "--port", str(self.port), "--detach", *options)

    def down(self) -> None:
        self.pileus("down")

    def kill(self) -> None:
        """kill -9 of the cloud; when this returns, it is gone."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), f"process {pid} ends")

    def clean_up(self) -> None:
        """Leave no process, whatever a test did."""
        if self.pileus("down", code=None).returncode != 0:
            self.kill()

    @property
    def pid(self) -> int:
        return int((self.state_dir / "lock").read_text())

    # -- the users' own clients -----------------------------------------------------------------------------------
    def settings(self, **other: Any) -> dict[str, Any]:
        """The administrator's entry of clouds.yaml; other names for another user."""
        found: dict[str, Any] = yaml.safe_load(self.pileus("clouds-yaml").stdout)["clouds"]["pileus"]
        found["auth"] |= other
        return found

    def environment(self) -> dict[str, str]:
        """What `eval "$(pileus openrc)"` leaves in a shell."""
        shell = ["bash", "-c", 'eval "$1" && env -0', "bash", self.pileus("openrc").stdout]
        done = subprocess.run(shell, capture_output=True, text=True, check=True, env=clean_environment())
        return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(is_so: Callable[[], T], what: str, timeout_s: float = 60.0) -> T:
    """Look at something outside again and again; returns what was seen once it is true."""
    end = time.monotonic() + timeout_s
    while not (seen := is_so()):
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)
    return seen


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "XDG_"))}


class OpenStack:
    """The `openstack` command in an environment. About a second for each call."""

    def __init__(self, environment: Mapping[str, str]):
        self._environment = dict(environment)
        self._program = str(Path(sys.executable).parent / "openstack")

    def run(self, *argv: str, code: int = 0) -> Done:
        done = subprocess.run(
            [self._program, *argv], capture_output=True, text=True, timeout=180, env=self._environment
        )
        assert done.returncode == code, f"openstack {argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def ask(self, *argv: str) -> Any:
        """What a command prints with `-f json`."""
        return json.loads(self.run(*argv, "-f", "json").stdout)
