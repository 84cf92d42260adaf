"""Whether KVM works is answered by what a guest did, not by what is installed."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pileus.compute.drivers.libvirt.probe import BOOT_SECTOR, probe_kvm
from pileus.foundation.runtime import Completed, Runtime


class OneAnswer(Runtime):
    """Whatever is run ends in one way."""

    def __init__(self, end: Callable[[], Completed]):
        super().__init__("test")
        self.end = end
        self.ran: list[Sequence[str]] = []

    async def run_command(self, argv: Sequence[str], **how: Any) -> Completed:
        sector = next(word for word in argv if word.startswith("file=")).split(",")[0].removeprefix("file=")
        assert Path(sector).read_bytes() == BOOT_SECTOR
        assert how["timeout_s"] <= 2.0
        self.ran.append(argv)
        return self.end()


def too_slow() -> Completed:
    raise TimeoutError


def not_installed() -> Completed:
    raise FileNotFoundError


def test_the_sector_can_be_booted() -> None:
    assert len(BOOT_SECTOR) == 512
    assert BOOT_SECTOR.endswith(b"\x55\xaa")


@pytest.mark.parametrize(
    ("end", "works", "says"),
    [
        (lambda: Completed(33, b"", b""), True, "works"),
        (lambda: Completed(134, b"", b"MSR assertion\nmore"), False, "134: MSR assertion"),
        (lambda: Completed(1, b"", b""), False, "ended with 1"),
        (too_slow, False, "longer than 2 s"),
        (not_installed, False, "not installed"),
    ],
)
def test_only_a_guest_that_ran_is_a_yes(tmp_path: Path, end: Callable[[], Completed], works: bool, says: str) -> None:
    device = tmp_path / "kvm"
    device.touch()
    runtime = OneAnswer(end)
    answer = asyncio.run(probe_kvm(runtime, device=device))
    assert (answer.works, says in answer.why) == (works, True)
    assert runtime.ran[0][1:5] == ["-accel", "kvm", "-cpu", "host"]


def test_without_the_device_nothing_is_run(tmp_path: Path) -> None:
    runtime = OneAnswer(too_slow)
    answer = asyncio.run(probe_kvm(runtime, device=tmp_path / "kvm"))
    assert not answer.works
    assert runtime.ran == []
