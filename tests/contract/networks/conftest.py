"""Every backend under one roof: the fake, and the real one on a machine of its own."""

import asyncio
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.runtime import Runtime
from pileus.network.drivers.base import NetworkBackend
from pileus.network.drivers.fake import FakeBackend
from pileus.network.drivers.linux import LinuxBackend
from tests.contract.networks.machine import private_machine, processes_of

CAN_WIRE = os.geteuid() == 0 and all(shutil.which(name) for name in ("ip", "nsenter", "dnsmasq"))
needs_wires = [
    pytest.mark.machine,
    pytest.mark.skipif(not CAN_WIRE, reason="needs root, iproute2, util-linux and dnsmasq-base"),
]

Make = Callable[[], NetworkBackend]
Play = Callable[[Callable[[NetworkBackend], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run_dir() -> Path:
    """Where the real backend keeps its files; the name tells its dnsmasq from those of any other cloud."""
    return Path(f"/run/pileus-{uuid.uuid4()}")


@pytest.fixture
def machine(run_dir: Path) -> Iterator[Runtime]:
    """A runtime whose threads and commands live on a machine of their own; no dnsmasq outlives it."""
    with private_machine():
        runtime = Runtime("host")
        try:
            yield runtime
        finally:
            asyncio.run(runtime.stop())
            for pid in processes_of(str(run_dir)):
                os.kill(pid, signal.SIGKILL)


def make_linux(runtime: Runtime, state_dir: Path, run_dir: Path) -> LinuxBackend:
    return LinuxBackend(runtime, hostname="host", state_dir=state_dir, options={"run_dir": str(run_dir)})


@pytest.fixture(params=["fake", pytest.param("linux", marks=needs_wires)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes the backend of one host, again and again, as a host makes one whenever it starts."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    if request.param == "fake":
        runtime: Runtime = request.getfixturevalue("runtime")
        return lambda: FakeBackend(runtime, hostname="host", state_dir=state_dir, options={})
    machine: Runtime = request.getfixturevalue("machine")
    run_dir: Path = request.getfixturevalue("run_dir")
    return lambda: make_linux(machine, state_dir, run_dir)


@pytest.fixture
def play(make: Make) -> Play:
    """`play(scene)` opens a backend, awaits `scene(backend)`, closes it."""

    def act(scene: Callable[[NetworkBackend], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            backend = make()
            await backend.open()
            await scene(backend)
            await backend.close()

        asyncio.run(whole())

    return act
