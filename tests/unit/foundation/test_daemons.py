"""Programs that outlive their maker: found by an argument, ended, and never confused with another."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.daemons import await_ending, end_daemon, find_daemon, signal_daemon
from pileus.foundation.runtime import Runtime

Run = Callable[..., Any]
STUBBORN = "import signal,sys;signal.signal(signal.SIGTERM,signal.SIG_IGN);print('up',flush=True);signal.pause()"
MEEK = "import signal;print('up',flush=True);signal.pause()"


@pytest.fixture
def start() -> Iterator[Callable[[str, str], subprocess.Popen[bytes]]]:
    """`start(program, argument)` returns a running child with that argument."""
    children = []

    def begin(program: str, argument: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-c", program, argument], stdout=subprocess.PIPE)
        children.append(child)
        assert child.stdout is not None
        child.stdout.readline()
        return child

    yield begin
    for child in children:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_a_daemon_is_found_by_pid_file_or_by_looking_everywhere(start: Any, tmp_path: Path) -> None:
    argument, pid_file = f"--conf={tmp_path}/a", tmp_path / "pid"
    child = start(MEEK, argument)
    assert find_daemon(argument, pid_file) is None
    pid_file.write_text(f"{child.pid}\n")
    assert find_daemon(argument, pid_file) == child.pid
    assert find_daemon(argument) == child.pid


@pytest.mark.parametrize("content", ["", "x", "-1", "0", "99999999999999", "1 2", "our own"])
def test_a_pid_file_that_names_nobody_of_ours_finds_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(str(os.getpid()) if content == "our own" else content)
    assert find_daemon(f"--conf={tmp_path}/a", tmp_path / "pid") is None


def test_only_the_whole_argument_counts(start: Any, tmp_path: Path) -> None:
    start(MEEK, f"--conf={tmp_path}/abc")
    assert find_daemon(f"--conf={tmp_path}/ab") is None


@pytest.mark.parametrize("program", [MEEK, STUBBORN])
def test_a_daemon_is_gone_when_ending_returns(
    run: Run, runtime: Runtime, start: Any, tmp_path: Path, program: str
) -> None:
    argument = f"--conf={tmp_path}/a"
    child = start(program, argument)
    run(end_daemon, runtime, child.pid, argument, timeout_s=0.05)
    assert child.wait(timeout=10) in (-signal.SIGTERM, -signal.SIGKILL)
    assert find_daemon(argument) is None
    run(end_daemon, runtime, child.pid, argument)


def test_somebody_else_with_that_pid_is_neither_signalled_nor_ended(
    run: Run, runtime: Runtime, start: Any, tmp_path: Path
) -> None:
    somebody, daemon = f"--conf={tmp_path}/somebody", f"--conf={tmp_path}/daemon"
    child = start(MEEK, somebody)
    assert not signal_daemon(child.pid, daemon, signal.SIGKILL)
    run(end_daemon, runtime, child.pid, daemon)
    assert child.poll() is None
    assert signal_daemon(child.pid, somebody, signal.SIGKILL)
    assert child.wait(timeout=10) == -signal.SIGKILL


def test_an_ended_program_that_nobody_reaped_is_not_alive(
    run: Run, runtime: Runtime, start: Any, tmp_path: Path
) -> None:
    argument = f"--conf={tmp_path}/a"
    child = start(MEEK, argument)
    (tmp_path / "pid").write_text(str(child.pid))
    os.kill(child.pid, signal.SIGKILL)
    run(await_ending, runtime, tmp_path / "pid")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert find_daemon(argument, tmp_path / "pid") is None
    run(await_ending, runtime, tmp_path / "pid")
