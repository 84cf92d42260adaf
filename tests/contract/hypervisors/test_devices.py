"""Volumes and ports come and go. On every hypervisor."""

from typing import Any

import msgspec
import pytest

from pileus.compute.drivers.base import BadDevice, DeviceInUse, GuestNotFound, PowerState, WrongPower
from tests.contract.hypervisors.bench import Bench, power, until


async def listening(driver: Any, server_id: str) -> None:
    """Wait until a guest has booted so far that it gives devices back."""

    async def has_spoken() -> bool:
        return b"\n" in await driver.console_output(server_id)

    await until(has_spoken)


@pytest.mark.parametrize("running", [True, False])
def test_volumes_are_attached_once_and_detached_once(bench: Bench, running: bool) -> None:
    spec, one, two = bench.spec(), bench.volume(), bench.volume()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=running)
        if running:
            await listening(driver, spec.server_id)
        for _ in range(2):
            assert await driver.ensure_volume_attached(spec.server_id, one) == "/dev/vdb"
            assert await driver.ensure_volume_attached(spec.server_id, two) == "/dev/vdc"
        fact = await driver.get_guest(spec.server_id)
        assert fact.volumes == {one.volume_id: "/dev/vdb", two.volume_id: "/dev/vdc"}
        for _ in range(2):
            await driver.ensure_volume_detached(spec.server_id, one.volume_id)
        assert (await driver.get_guest(spec.server_id)).volumes == {two.volume_id: "/dev/vdc"}
        assert await driver.ensure_volume_attached(spec.server_id, one) == "/dev/vdb"

    bench.run(story)


def test_volumes_stay_attached_over_a_power_cycle_and_gone_ones_stay_away(bench: Bench) -> None:
    spec, stays, goes = bench.spec(), bench.volume(), bench.volume()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await listening(driver, spec.server_id)
        await driver.ensure_volume_attached(spec.server_id, goes)
        await driver.ensure_volume_attached(spec.server_id, stays)
        await driver.ensure_volume_detached(spec.server_id, goes.volume_id)
        await driver.reboot(spec.server_id, hard=True)
        assert (await driver.get_guest(spec.server_id)).volumes == {stays.volume_id: "/dev/vdc"}

    bench.run(story)


def test_a_device_that_is_asked_for_is_given_unless_it_is_taken(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        assert await driver.ensure_volume_attached(spec.server_id, bench.volume("/dev/vdf")) == "/dev/vdf"
        assert await driver.ensure_volume_attached(spec.server_id, bench.volume("/dev/sdf")) == "/dev/vdb"
        for taken in ("/dev/vdf", "/dev/vda"):
            with pytest.raises(DeviceInUse):
                await driver.ensure_volume_attached(spec.server_id, bench.volume(taken))
        with pytest.raises(BadDevice):
            await driver.ensure_volume_attached(spec.server_id, bench.volume("/dev/vda'/>"))
        assert len((await driver.get_guest(spec.server_id)).volumes) == 2

    bench.run(story)


def test_a_guest_is_made_with_its_volumes(bench: Bench) -> None:
    named, other = bench.volume("/dev/vdd"), bench.volume()
    spec = bench.spec(volumes=(other, named), ephemeral_gib=1, swap_mib=8)

    async def story(driver: Any) -> None:
        made = await driver.ensure_guest(spec)
        assert made.volumes == {named.volume_id: "/dev/vdd", other.volume_id: "/dev/vde"}
        assert made.power_state == PowerState.RUNNING

    bench.run(story)


def test_a_guest_boots_from_a_volume_and_keeps_it(bench: Bench) -> None:
    root = bench.bootable_volume()
    spec = bench.spec(root=root)

    async def story(driver: Any) -> None:
        made = await driver.ensure_guest(spec)
        assert (made.root_device, made.volumes) == ("/dev/vda", {root.volume.volume_id: "/dev/vda"})
        await listening(driver, spec.server_id)
        with pytest.raises(DeviceInUse):
            await driver.ensure_volume_detached(spec.server_id, root.volume.volume_id)
        await driver.ensure_no_guest(spec.server_id)
        assert bench.left_of(spec.server_id) == []

    bench.run(story)


def test_the_root_device_follows_the_bus_that_the_image_asks_for(bench: Bench) -> None:
    spec = bench.spec(image_properties={"hw_disk_bus": "scsi", "hw_vif_model": "e1000"})

    async def story(driver: Any) -> None:
        assert (await driver.ensure_guest(spec)).root_device == "/dev/sda"
        assert await driver.ensure_volume_attached(spec.server_id, bench.volume()) == "/dev/sdb"

    bench.run(story)


@pytest.mark.parametrize("bus", ["ide", "sata"])
def test_a_bus_that_cannot_change_while_it_runs_takes_volumes_only_when_it_is_off(bench: Bench, bus: str) -> None:
    spec, volume = bench.spec(image_properties={"hw_disk_bus": bus}), bench.volume()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        with pytest.raises(BadDevice):
            await driver.ensure_volume_attached(spec.server_id, volume)
        await driver.stop(spec.server_id, timeout_s=0)
        device = await driver.ensure_volume_attached(spec.server_id, volume)
        await driver.start(spec.server_id)
        with pytest.raises(BadDevice):
            await driver.ensure_volume_detached(spec.server_id, volume.volume_id)
        assert (await driver.get_guest(spec.server_id)).volumes == {volume.volume_id: device}

    bench.run(story)


def test_a_suspended_guest_takes_no_volume(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await driver.suspend(spec.server_id)
        with pytest.raises(WrongPower):
            await driver.ensure_volume_attached(spec.server_id, bench.volume())
        assert (await driver.get_guest(spec.server_id)).volumes == {}

    bench.run(story)


def test_detaching_from_nobody_is_fine_and_attaching_to_nobody_is_not(bench: Bench) -> None:
    async def story(driver: Any) -> None:
        nobody, volume = bench.spec().server_id, bench.volume()
        await driver.ensure_volume_detached(nobody, volume.volume_id)
        await driver.ensure_interface_detached(nobody, volume.volume_id)
        with pytest.raises(GuestNotFound):
            await driver.ensure_volume_attached(nobody, volume)
        with pytest.raises(GuestNotFound):
            await driver.ensure_interface_attached(nobody, bench.vif())

    bench.run(story)


def test_a_volume_that_grew_is_announced(bench: Bench) -> None:
    spec, volume = bench.spec(), bench.volume()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await driver.ensure_volume_attached(spec.server_id, volume)
        await driver.extend_volume(spec.server_id, volume.volume_id, 2 << 20)
        assert await power(driver, spec.server_id) == PowerState.RUNNING

    bench.run(story)


@pytest.mark.parametrize("running", [True, False])
def test_ports_are_attached_once_and_detached_once(bench: Bench, running: bool) -> None:
    first, second = bench.vif(), bench.vif()
    spec = bench.spec(vifs=(first,))

    async def story(driver: Any) -> None:
        made = await driver.ensure_guest(spec, running=running)
        assert made.ports == {first.port_id: first.tap}
        if running:
            await listening(driver, spec.server_id)
        for _ in range(2):
            await driver.ensure_interface_attached(spec.server_id, second)
        both = {first.port_id: first.tap, second.port_id: second.tap}
        assert (await driver.get_guest(spec.server_id)).ports == both
        for _ in range(2):
            await driver.ensure_interface_detached(spec.server_id, first.port_id)
        assert (await driver.get_guest(spec.server_id)).ports == {second.port_id: second.tap}
        await driver.reboot(spec.server_id, hard=True)
        assert (await driver.get_guest(spec.server_id)).ports == {second.port_id: second.tap}

    bench.run(story)


def test_volumes_of_a_kind_that_is_not_known_are_refused_by_who_looks(bench: Bench) -> None:
    spec = bench.spec()
    strange = msgspec.structs.replace(bench.volume(), bus="tape")

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        with pytest.raises(BadDevice):
            await driver.ensure_volume_attached(spec.server_id, strange)
        assert (await driver.get_guest(spec.server_id)).volumes == {}

    bench.run(story)
