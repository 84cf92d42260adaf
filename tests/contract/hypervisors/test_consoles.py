"""Consoles, passwords and copies of disks. On every hypervisor."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus.compute.drivers.base import GuestNotFound, HypervisorFailed, PowerState, WrongPower
from tests.contract.hypervisors.bench import GIB, Bench, power, until


def test_the_console_keeps_what_the_guest_said(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)

        async def has_said_enough() -> bool:
            return len((await driver.console_output(spec.server_id)).split(b"\n")) > 10

        await until(has_said_enough)
        whole = await driver.console_output(spec.server_id)
        assert (await driver.console_output(spec.server_id, 10)).split(b"\n") == whole.split(b"\n")[-10:]
        assert await driver.console_output(spec.server_id, 0) == b""
        assert await driver.console_output(spec.server_id, 10**9) == whole
        await driver.stop(spec.server_id, timeout_s=0)
        assert (await driver.console_output(spec.server_id)).startswith(whole[:20])

    bench.run(story)


def test_who_is_not_there_has_no_console(bench: Bench) -> None:
    async def story(driver: Any) -> None:
        nobody = bench.spec().server_id
        with pytest.raises(GuestNotFound):
            await driver.console_output(nobody)
        with pytest.raises(GuestNotFound):
            await driver.open_console(nobody, "serial")

    bench.run(story)


def test_what_is_typed_at_the_serial_console_is_echoed(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)

        async def has_spoken() -> bool:
            return b"\n" in await driver.console_output(spec.server_id)

        await until(has_spoken)
        console = await driver.open_console(spec.server_id, "serial")
        try:
            await console.write(b"q")
            seen = b""
            while not seen.endswith(b"q"):
                more = await console.read()
                assert more
                seen += more
        finally:
            await console.close()

    bench.run(story)


@pytest.mark.parametrize("kind", ["serial", "carrier pigeon"])
def test_a_console_of_a_guest_that_is_off_or_of_no_kind_does_not_open(bench: Bench, kind: str) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=False)
        with pytest.raises((WrongPower, HypervisorFailed)):
            await driver.open_console(spec.server_id, kind)

    bench.run(story)


def test_a_password_needs_a_running_guest(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=False)
        with pytest.raises(WrongPower):
            await driver.set_admin_password(spec.server_id, "secret")

    bench.run(story)


@pytest.mark.parametrize("format", ["qcow2", "raw"])
@pytest.mark.parametrize("state", ["running", "off", "paused", "suspended"])
def test_the_root_disk_is_copied_whatever_the_guest_does(bench: Bench, state: str, format: str) -> None:
    spec = bench.spec()
    if format == "qcow2":
        spec = msgspec.structs.replace(spec, root=msgspec.structs.replace(spec.root, disk_gib=1))
    target = bench.directory / "copy"

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=state != "off")
        if state in ("paused", "suspended"):
            await (driver.pause if state == "paused" else driver.suspend)(spec.server_id)
        before = await power(driver, spec.server_id)
        for _ in range(2):
            copy = await driver.snapshot_root(spec.server_id, target, format=format)
        assert await power(driver, spec.server_id) == before
        assert (copy.path, copy.format, copy.size_bytes) == (str(target), format, target.stat().st_size)
        assert copy.virtual_size_bytes == (GIB if format == "qcow2" else 1 << 20)
        assert sorted(path.name for path in bench.directory.glob("copy*")) == ["copy"]
        await driver.ensure_no_guest(spec.server_id)

    bench.run(story)
    assert_is_disk(target, format)


def assert_is_disk(path: Path, format: str) -> None:
    """An independent reader accepts the file, and it leans on no other."""
    argv = ["qemu-img", "info", "-f", format, "--output=json", str(path)]
    told = msgspec.json.decode(subprocess.run(argv, check=True, capture_output=True).stdout)
    assert told["format"] == format
    assert "backing-filename" not in told


def test_a_copy_in_a_format_that_is_not_known_leaves_nothing(bench: Bench) -> None:
    spec = bench.spec()
    target = bench.directory / "copy"

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        with pytest.raises(HypervisorFailed):
            await driver.snapshot_root(spec.server_id, target, format="vmdk")
        with pytest.raises(GuestNotFound):
            await driver.snapshot_root(bench.spec().server_id, target)
        assert await power(driver, spec.server_id) == PowerState.RUNNING

    bench.run(story)
    assert not target.exists()


def test_a_root_disk_that_is_a_volume_is_not_copied_here(bench: Bench) -> None:
    spec = bench.spec(root=bench.bootable_volume())

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        with pytest.raises(HypervisorFailed):
            await driver.snapshot_root(spec.server_id, bench.directory / "copy")

    bench.run(story)
