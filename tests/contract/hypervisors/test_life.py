"""Guests are made, found again, and go; nothing of them stays. On every hypervisor."""

import asyncio
from typing import Any

import msgspec
import pytest

from pileus.compute.drivers.base import (
    BadDevice,
    GuestNotFound,
    Hypervisor,
    PowerState,
    StaleEpoch,
    guest_name,
    roles_of,
)
from tests.contract.hypervisors.bench import Bench, power

HOSTILE = """</name>&amp;"'`$(reboot)\n\t\x00\x1b[31m]]><!-- ☂ \ud800 {0} %s"""


def test_it_has_every_role_that_the_api_needs(bench: Bench) -> None:
    async def story(driver: Any) -> None:
        assert isinstance(driver, Hypervisor)
        wanted = {"pause", "suspend", "volumes", "extend-volumes", "interfaces", "console-output", "remote-console"}
        assert wanted | {"password", "snapshot"} <= roles_of(driver)

    bench.run(story)


def test_its_inventory_is_that_of_a_machine(bench: Bench) -> None:
    async def story(driver: Any) -> None:
        host = await driver.inventory()
        assert host.hostname == "host-1"
        assert min(host.vcpus, host.ram_mib, host.disk_gib, host.hypervisor_version) > 0
        assert host.disk_free_gib <= host.disk_gib
        assert "x86_64" in host.architectures
        assert "virtio" in host.disk_buses and "virtio" in host.vif_models and "pc" in host.machine_types

    bench.run(story)


def test_a_guest_that_was_made_runs_and_is_as_it_was_asked_for(bench: Bench) -> None:
    spec = bench.spec(vcpus=2, ram_mib=48)

    async def story(driver: Any) -> None:
        made = await driver.ensure_guest(spec)
        assert made == await driver.get_guest(spec.server_id)
        assert (made.server_id, made.uuid, made.epoch) == (spec.server_id, spec.server_id, 1)
        assert (made.vcpus, made.ram_mib, made.root_device) == (2, 48, "/dev/vda")
        assert (made.power_state, made.name) == (PowerState.RUNNING, guest_name(spec.server_id))
        assert [guest.server_id for guest in await driver.list_guests()] == [spec.server_id]
        assert await driver.list_unknown_guests() == []

    bench.run(story)


def test_making_it_twice_leaves_one_guest_on_its_disk(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        first = await driver.ensure_guest(spec)
        disk = bench.disk_identity(spec.server_id)
        assert await driver.ensure_guest(spec) == first
        assert await driver.list_guests() == [first]
        assert bench.disk_identity(spec.server_id) == disk

    bench.run(story)


def test_making_it_at_the_same_time_leaves_one_guest(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        first, second = await asyncio.gather(driver.ensure_guest(spec), driver.ensure_guest(spec))
        assert first == second
        assert len(await driver.list_guests()) == 1

    bench.run(story)


def test_a_call_that_was_cut_off_is_simply_made_again(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        cut = asyncio.ensure_future(driver.ensure_guest(spec))
        await asyncio.sleep(0)
        cut.cancel()
        await asyncio.gather(cut, return_exceptions=True)
        assert (await driver.ensure_guest(spec)).power_state == PowerState.RUNNING
        await driver.ensure_no_guest(spec.server_id)
        assert bench.left_of(spec.server_id) == []

    bench.run(story)


def test_a_guest_can_be_made_without_being_started(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        assert (await driver.ensure_guest(spec, running=False)).power_state == PowerState.SHUTDOWN
        assert (await driver.ensure_guest(spec)).power_state == PowerState.RUNNING

    bench.run(story)


def test_a_guest_that_is_off_is_started_when_it_is_made_again(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await driver.stop(spec.server_id, timeout_s=0)
        assert (await driver.ensure_guest(spec)).power_state == PowerState.RUNNING

    bench.run(story)


def test_a_newer_build_replaces_the_older_with_its_disk(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        old = bench.disk_identity(spec.server_id)
        made = await driver.ensure_guest(msgspec.structs.replace(spec, epoch=2, ram_mib=64))
        assert (made.epoch, made.ram_mib, made.power_state) == (2, 64, PowerState.RUNNING)
        assert await driver.list_guests() == [made]
        assert bench.disk_identity(spec.server_id) != old or old is None

    bench.run(story)


def test_an_older_build_is_refused_and_changes_nothing(bench: Bench) -> None:
    spec = bench.spec(epoch=5)

    async def story(driver: Any) -> None:
        made = await driver.ensure_guest(spec)
        with pytest.raises(StaleEpoch):
            await driver.ensure_guest(msgspec.structs.replace(spec, epoch=4))
        with pytest.raises(StaleEpoch):
            await driver.ensure_no_guest(spec.server_id, epoch=4)
        assert await driver.get_guest(spec.server_id) == made
        await driver.ensure_no_guest(spec.server_id, epoch=5)
        assert await driver.find_guest(spec.server_id) is None

    bench.run(story)


def test_removing_what_is_not_there_is_fine(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_no_guest(spec.server_id)
        await driver.ensure_no_guest(spec.server_id, epoch=3)
        assert await driver.find_guest(spec.server_id) is None
        with pytest.raises(GuestNotFound):
            await driver.get_guest(spec.server_id)

    bench.run(story)


@pytest.mark.parametrize("state", ["running", "off", "paused", "suspended", "never started"])
def test_nothing_is_left_of_a_guest_that_was_removed(bench: Bench, state: str) -> None:
    vif = bench.vif()
    spec = bench.spec(
        config_drive={"openstack/latest/meta_data.json": b"{}"},
        ephemeral_gib=1,
        swap_mib=8,
        volumes=(bench.volume(),),
        vifs=(vif,),
    )

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=state != "never started")
        if state == "off":
            await driver.stop(spec.server_id, timeout_s=0)
        elif state == "paused":
            await driver.pause(spec.server_id)
        elif state == "suspended":
            await driver.suspend(spec.server_id)
        assert bench.kind == "fake" or bench.left_of(spec.server_id)
        await driver.ensure_no_guest(spec.server_id)
        assert bench.left_of(spec.server_id) == []
        assert await driver.list_guests() == []
        await driver.ensure_no_guest(spec.server_id)

    bench.run(story)


def test_removing_one_guest_leaves_the_others(bench: Bench) -> None:
    one, other = bench.spec(), bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(one)
        kept = await driver.ensure_guest(other)
        await driver.ensure_no_guest(one.server_id)
        assert await driver.list_guests() == [kept]

    bench.run(story)


def test_a_new_driver_finds_the_guests_as_they_were(bench: Bench) -> None:
    running, off = bench.spec(epoch=3), bench.spec()

    async def before(driver: Any) -> None:
        await driver.ensure_guest(running)
        await driver.ensure_guest(off)
        await driver.stop(off.server_id, timeout_s=0)
        await driver.ensure_volume_attached(running.server_id, volume)

    async def after(driver: Any) -> None:
        found = {guest.server_id: guest for guest in await driver.list_guests()}
        assert found[running.server_id].power_state == PowerState.RUNNING
        assert found[running.server_id].epoch == 3
        assert found[running.server_id].volumes == {volume.volume_id: "/dev/vdb"}
        assert found[off.server_id].power_state == PowerState.SHUTDOWN
        assert len(found) == 2

    volume = bench.volume()
    bench.run(before)
    bench.run(after)


def test_names_that_mean_something_elsewhere_are_only_names(bench: Bench) -> None:
    spec = bench.spec(name=HOSTILE, project_name=HOSTILE, user_name=HOSTILE, flavor_name=HOSTILE, project_id='"><x/>')

    async def story(driver: Any) -> None:
        assert (await driver.ensure_guest(spec)).power_state == PowerState.RUNNING
        assert await power(driver, spec.server_id) == PowerState.RUNNING

    bench.run(story)


@pytest.mark.parametrize("server_id", ["../../etc", "", "a" * 36, "x/../y"])
def test_an_id_that_is_none_is_refused(bench: Bench, server_id: str) -> None:
    async def story(driver: Any) -> None:
        with pytest.raises(BadDevice):
            await driver.ensure_guest(bench.spec(server_id=server_id))
        assert await driver.list_guests() == []

    bench.run(story)


@pytest.mark.parametrize(
    "properties",
    [{"hw_disk_bus": "floppy"}, {"hw_machine_type": "vax'>"}, {"hw_cdrom_bus": "tape"}],
)
def test_image_properties_that_are_not_known_are_refused_before_anything_is_made(
    bench: Bench, properties: dict[str, str]
) -> None:
    spec = bench.spec(image_properties=properties, config_drive={})

    async def story(driver: Any) -> None:
        with pytest.raises(BadDevice):
            await driver.ensure_guest(spec)
        assert await driver.list_guests() == []
        assert bench.left_of(spec.server_id) == []

    bench.run(story)
