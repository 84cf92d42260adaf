"""Clouds of fake hosts to measure, made for that and taken away afterwards."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _say(*argv: str) -> str:
    done = subprocess.run([sys.executable, *argv], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout


def _credentials(openrc: str) -> dict[str, str]:
    lines = (line.removeprefix("export ") for line in openrc.splitlines() if "=" in line)
    return dict(line.split("=", 1) for line in lines)


def _free_port() -> str:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return str(listener.getsockname()[1])


@contextlib.contextmanager
def embedded(*, hosts: int = 1, demo: bool = False) -> Iterator[dict[str, str]]:
    """Everything in one process; gives the variables that clients read."""
    state = Path(tempfile.mkdtemp(prefix="pileus-bench-"))
    where = ("--state", str(state))
    options = ("--hypervisor", "fake", "--hosts", str(hosts), "--port", _free_port(), *(("--demo",) if demo else ()))
    try:
        _say("-m", "pileus", "up", *where, *options, "--detach")
        yield _credentials(_say("-m", "pileus", "openrc", *where))
    finally:
        _say("-m", "pileus", "down", *where)
        shutil.rmtree(state)


@contextlib.contextmanager
def clustered(*, hosts: int = 3) -> Iterator[dict[str, str]]:
    """Twenty-two processes, as `make cluster` has them; needs root."""
    state = Path(tempfile.mkdtemp(prefix="pileus-bench-", dir="/var/tmp"))
    state.chmod(0o711)
    tool = ("-m", "tools.cluster", "--state", str(state))
    try:
        _say(*tool, "up", "--hosts", str(hosts))
        yield _credentials((state / "openrc").read_text())
    finally:
        _say(*tool, "down", "--clean")
        shutil.rmtree(state, ignore_errors=True)


@contextlib.contextmanager
def named(variables: dict[str, str]) -> Iterator[None]:
    """Have this process meet that cloud."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
