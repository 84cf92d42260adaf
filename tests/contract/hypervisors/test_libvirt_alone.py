"""What only real guests can show: daemons that die or hang, strangers, files, screens, full disks."""

import asyncio
import subprocess
import uuid
from typing import Any

import msgspec
import pycdlib
import pytest

from pileus.compute.drivers.base import (
    DeviceBusy,
    DiskTooSmall,
    HypervisorFailed,
    HypervisorUnavailable,
    NoDiskSpace,
    NoGuestAgent,
    PowerState,
    guest_name,
)
from pileus.compute.drivers.libvirt import calls
from pileus.compute.drivers.libvirt.connection import MOST_HANGING, Connection, Happening
from pileus.foundation.runtime import Runtime
from tests.contract.hypervisors.bench import Heard, LibvirtBench, power, until
from tests.contract.hypervisors.private_libvirt import PrivateLibvirt
from tests.contract.hypervisors.sector_guest import SIZE, sector_guest

pytestmark = pytest.mark.machine

STRANGER = (
    "<domain type='qemu'><name>stranger</name><uuid>{}</uuid><memory>16384</memory><os><type>hvm</type></os></domain>"
)


@pytest.fixture
def bench(libvirt_bench: LibvirtBench) -> LibvirtBench:
    return libvirt_bench


async def listening(driver: Any, server_id: str) -> None:
    async def has_spoken() -> bool:
        return b"\n" in await driver.console_output(server_id)

    await until(has_spoken)


def qemu_of(bench: LibvirtBench, server_id: str) -> str:
    return bench.libvirtd.run("cat", f"/run/libvirt/qemu/{guest_name(server_id)}.pid").stdout


# -- daemons ------------------------------------------------------------------------------------------------------
def test_guests_do_not_notice_that_libvirtd_was_killed_and_came_back(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        process, heard = qemu_of(bench, spec.server_id), Heard(driver)
        bench.libvirtd.kill()
        with pytest.raises(HypervisorUnavailable):
            await driver.list_guests()
        bench.libvirtd.start()
        await until(lambda: "reconnected" in [change.reason for change in heard.changes])
        assert await power(driver, spec.server_id) == PowerState.RUNNING
        assert qemu_of(bench, spec.server_id) == process
        await driver.pause(spec.server_id)
        await heard.wait_for(spec.server_id, PowerState.PAUSED)

    bench.run(story)


def test_a_call_mends_a_line_that_broke_unnoticed(bench: LibvirtBench) -> None:
    async def story(driver: Any) -> None:
        assert await driver.list_guests() == []
        bench.libvirtd.kill()
        bench.libvirtd.start()
        assert await driver.list_guests() == []

    bench.run(story)


def test_a_libvirtd_that_hangs_takes_neither_the_caller_nor_the_pool_with_it(libvirtd: PrivateLibvirt) -> None:
    heard: list[Happening] = []

    async def story() -> None:
        runtime = Runtime("contract")
        line = Connection(runtime, libvirtd.uri, name="hung", on_happening=heard.append, on_return=lambda: None)
        await line.open()
        assert await line.call(calls.list_all) == ([], [])
        libvirtd.freeze()
        try:
            hung = [line.call(calls.list_all, limit_s=0.3) for _ in range(MOST_HANGING)]
            answers = await asyncio.gather(*hung, return_exceptions=True)
            assert [type(answer) for answer in answers] == [HypervisorUnavailable] * MOST_HANGING
            with pytest.raises(HypervisorUnavailable) as refused:
                await line.call(calls.list_all, limit_s=3600)  # at once: it does not even wait
            assert "hang" in str(refused.value.log)
        finally:
            libvirtd.thaw()

        async def answers_again() -> bool:
            try:
                return await line.call(calls.list_all) == ([], [])
            except HypervisorUnavailable:
                return False

        await until(answers_again)
        await line.close()
        await runtime.stop()

    asyncio.run(story())


def test_an_address_where_no_libvirtd_is_says_so(bench: LibvirtBench) -> None:
    from pileus.compute.drivers.libvirt import LibvirtHypervisor

    async def story() -> None:
        runtime = Runtime("contract")
        options = {"uri": f"qemu+unix:///system?socket={bench.directory}/none", "virt_type": "qemu"}
        driver = LibvirtHypervisor(runtime, hostname="h", state_dir=bench.state_dir, options=options)
        with pytest.raises(HypervisorUnavailable):
            await driver.open()
        await driver.close()
        await runtime.stop()

    asyncio.run(story())


# -- strangers and accidents --------------------------------------------------------------------------------------
def test_guests_without_our_mark_are_named_and_never_touched(bench: LibvirtBench) -> None:
    taken = str(uuid.uuid4())
    (bench.directory / "stranger.xml").write_text(STRANGER.format(taken))
    bench.libvirtd.virsh("define", str(bench.directory / "stranger.xml"))
    bench.libvirtd.virsh("start", "stranger")

    async def story(driver: Any) -> None:
        assert await driver.list_unknown_guests() == ["stranger"]
        assert await driver.list_guests() == []
        assert await driver.find_guest(taken) is None
        await driver.ensure_no_guest(taken)
        with pytest.raises(HypervisorFailed):
            await driver.ensure_guest(bench.spec(server_id=taken))
        await driver.ensure_no_guest(taken)

    bench.run(story)
    assert bench.libvirtd.virsh("domstate", "stranger").stdout.strip() == "running"


def test_a_guest_whose_qemu_died_has_crashed_and_can_be_started(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        heard = Heard(driver)
        await driver.ensure_guest(spec)
        bench.libvirtd.kill_guest(guest_name(spec.server_id))
        await heard.wait_for(spec.server_id, PowerState.CRASHED)
        assert await power(driver, spec.server_id) == PowerState.CRASHED
        await driver.start(spec.server_id)
        assert await power(driver, spec.server_id) == PowerState.RUNNING

    bench.run(story)


def test_the_power_button_is_tried_first(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await listening(driver, spec.server_id)
        await driver.stop(spec.server_id)
        why = bench.libvirtd.virsh("domstate", "--reason", guest_name(spec.server_id)).stdout.strip()
        assert why == "shut off (shutdown)"

    bench.run(story)


def test_a_definition_that_was_lost_is_made_again_around_the_same_disk(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        disk = bench.disk_identity(spec.server_id)
        bench.libvirtd.virsh("destroy", guest_name(spec.server_id))
        bench.libvirtd.virsh("undefine", guest_name(spec.server_id))
        left = await driver.list_guests()
        assert [(guest.power_state, guest.epoch) for guest in left] == [(PowerState.NOSTATE, 1)]
        assert (await driver.ensure_guest(spec)).power_state == PowerState.RUNNING
        assert bench.disk_identity(spec.server_id) == disk

    bench.run(story)


def test_files_that_are_not_whole_are_made_anew(bench: LibvirtBench) -> None:
    spec = bench.spec()
    directory = bench.state_dir / "guests" / spec.server_id

    async def story(driver: Any) -> None:
        directory.mkdir()
        (directory / "disk.qcow2").write_bytes(b"half")
        (directory / "debris").write_bytes(b"")
        assert [guest.power_state for guest in await driver.list_guests()] == [PowerState.NOSTATE]
        assert (await driver.ensure_guest(spec)).power_state == PowerState.RUNNING
        assert not (directory / "debris").exists()

    bench.run(story)


def test_a_launch_that_fails_leaves_nothing_once_it_is_undone(bench: LibvirtBench) -> None:
    spec = bench.spec(vifs=(msgspec.structs.replace(bench.vif(), tap="tap-missing"),), config_drive={"a/b": b"c"})

    async def story(driver: Any) -> None:
        with pytest.raises(HypervisorFailed) as failure:
            await driver.ensure_guest(spec)
        assert str(failure.value) == "The hypervisor failed to spawn the instance."
        assert failure.value.log
        await driver.ensure_no_guest(spec.server_id)
        assert bench.left_of(spec.server_id) == []

    bench.run(story)


def test_a_base_image_that_is_not_there_is_a_failure_that_names_no_path_to_the_user(bench: LibvirtBench) -> None:
    root = msgspec.structs.replace(bench.spec().root, base_path="/nowhere/base.qcow2", base_format="qcow2")
    spec = bench.spec(root=root)

    async def story(driver: Any) -> None:
        with pytest.raises(HypervisorFailed) as failure:
            await driver.ensure_guest(spec)
        assert "/nowhere" not in str(failure.value)
        assert "/nowhere" in str(failure.value.log)

    bench.run(story)


def test_a_disk_smaller_than_its_image_is_refused(bench: LibvirtBench) -> None:
    root = msgspec.structs.replace(bench.spec().root, base_size_bytes=2 << 30, disk_gib=1)
    spec = bench.spec(root=root)

    async def story(driver: Any) -> None:
        with pytest.raises(DiskTooSmall):
            await driver.ensure_guest(spec)

    bench.run(story)


def test_a_full_disk_is_called_by_its_name(bench: LibvirtBench) -> None:
    spec = bench.spec()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", str(bench.state_dir)], check=True)

    async def story(driver: Any) -> None:
        with pytest.raises(NoDiskSpace):
            await driver.ensure_guest(spec)
        await driver.ensure_no_guest(spec.server_id)
        assert bench.left_of(spec.server_id) == []

    try:
        bench.run(story)
    finally:
        subprocess.run(["umount", str(bench.state_dir)], check=True)


# -- devices and files ----------------------------------------------------------------------------------------------
def test_a_guest_that_keeps_a_device_keeps_it(bench: LibvirtBench) -> None:
    blank = bench.directory / "blank"
    blank.write_bytes(bytes(SIZE))
    root = msgspec.structs.replace(bench.spec().root, base_path=str(blank))
    spec, volume = bench.spec(root=root), bench.volume()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await driver.ensure_volume_attached(spec.server_id, volume)
        with pytest.raises(DeviceBusy):
            await driver.ensure_volume_detached(spec.server_id, volume.volume_id, timeout_s=0.5)
        assert (await driver.get_guest(spec.server_id)).volumes == {volume.volume_id: "/dev/vdb"}
        await driver.stop(spec.server_id, timeout_s=0)
        await driver.ensure_volume_detached(spec.server_id, volume.volume_id)
        assert (await driver.get_guest(spec.server_id)).volumes == {}

    bench.run(story)


def test_files_are_for_their_owner_and_the_config_drive_holds_what_was_given(bench: LibvirtBench) -> None:
    given = {"openstack/latest/meta_data.json": b'{"a": 1}', "openstack/2018-08-27/user_data": b"#!/bin/sh\n"}
    spec = bench.spec(config_drive=given, ephemeral_gib=1, swap_mib=4)
    directory = bench.state_dir / "guests" / spec.server_id

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        modes = {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}
        wanted = {"config.iso", "console.log", "disk.qcow2", "ephemeral.raw", "guest.json", "swap.raw"}
        assert modes == dict.fromkeys(wanted, 0o600)
        iso = pycdlib.PyCdlib()
        iso.open(str(directory / "config.iso"))
        assert iso.pvd.volume_identifier.strip() == b"config-2"
        for name, content in given.items():
            with iso.open_file_from_iso(rr_path=f"/{name}") as file:
                assert file.read() == content
        iso.close()

    bench.run(story)


def test_a_copy_of_a_running_guest_holds_what_is_on_its_disk(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await driver.snapshot_root(spec.server_id, bench.directory / "copy", format="raw")
        assert sorted(path.name for path in (bench.state_dir / "guests" / spec.server_id).iterdir()) == [
            "console.log", "disk.qcow2", "guest.json",
        ]  # fmt: skip

    bench.run(story)
    assert (bench.directory / "copy").read_bytes() == sector_guest()


def test_a_copy_that_was_cut_off_is_made_again(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        cut = asyncio.ensure_future(driver.snapshot_root(spec.server_id, bench.directory / "copy"))
        await until(lambda: bool(list(bench.state_dir.rglob("snapshot.qcow2"))))
        cut.cancel()
        await asyncio.gather(cut, return_exceptions=True)
        await driver.snapshot_root(spec.server_id, bench.directory / "copy")
        assert (bench.directory / "copy").exists()

    bench.run(story)


def test_a_copy_that_was_left_behind_is_ended_by_the_next_process(bench: LibvirtBench) -> None:
    spec = bench.spec()
    disk, copy = (bench.state_dir / "guests" / spec.server_id / name for name in ("disk.qcow2", "snapshot.qcow2"))

    async def dies(driver: Any) -> None:
        await driver.ensure_guest(spec)
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(bench.base), "-F", "raw", str(copy), str(SIZE)]
        subprocess.run(create, check=True)
        await driver._call("snapshot", calls.begin_copy, spec.server_id, str(copy))

    async def comes_after(driver: Any) -> None:
        assert disk.exists() and not copy.exists()
        await driver.suspend(spec.server_id)  # refused while a mirror is there
        assert await power(driver, spec.server_id) == PowerState.SUSPENDED

    bench.run(dies)
    bench.run(comes_after)


# -- screens and agents ---------------------------------------------------------------------------------------------
def test_the_screen_answers_and_listens_nowhere(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        screen = await driver.open_console(spec.server_id, "vnc")
        try:
            assert (await screen.read()).startswith(b"RFB 003.008")
        finally:
            await screen.close()
        assert bench.libvirtd.run("ss", "-Hltn").stdout == ""

    bench.run(story)


def test_a_guest_without_an_agent_keeps_its_password(bench: LibvirtBench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        with pytest.raises(NoGuestAgent):
            await driver.set_admin_password(spec.server_id, "secret")

    bench.run(story)


# -- definitions ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"hw_machine_type": "q35"},
        {"hw_machine_type": "q35", "hw_disk_bus": "sata", "hw_vif_model": "e1000e"},
        {"hw_disk_bus": "scsi", "hw_cdrom_bus": "scsi", "hw_scsi_model": "virtio-scsi"},
        {"hw_disk_bus": "ide", "hw_video_model": "vga"},
        {"hw_disk_bus": "usb", "hw_video_model": "virtio"},
        {"hw_video_model": "none", "hw_cpu_sockets": "1", "hw_cpu_cores": "2"},
    ],
)
def test_libvirts_own_schema_accepts_every_kind_of_definition(bench: LibvirtBench, properties: dict[str, str]) -> None:
    spec = bench.spec(vcpus=2, image_properties=properties, config_drive={"a": b"b"}, vifs=(bench.vif(),), swap_mib=4)

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=False)
        assert await driver.ensure_volume_attached(spec.server_id, bench.volume())
        await driver.start(spec.server_id)
        kept = bench.libvirtd.virsh("dumpxml", "--inactive", guest_name(spec.server_id)).stdout
        (bench.directory / "kept.xml").write_text(kept)
        bench.libvirtd.virsh("define", "--validate", str(bench.directory / "kept.xml"))

    bench.run(story)
