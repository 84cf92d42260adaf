"""Guests are switched on and off, paused, suspended and rebooted. On every hypervisor."""

from typing import Any

import pytest

from pileus.compute.drivers.base import GuestNotFound, PowerState, WrongPower
from tests.contract.hypervisors.bench import Bench, Heard, power, until

RUNNING, PAUSED, OFF, SUSPENDED = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTDOWN, PowerState.SUSPENDED


async def listening(bench: Bench, driver: Any, server_id: str) -> None:
    """Wait until a guest has booted so far that it hears the power button."""

    async def has_spoken() -> bool:
        return b"\n" in await driver.console_output(server_id)

    await until(has_spoken)


@pytest.mark.parametrize("timeout_s", [0, 30.0])
def test_a_guest_is_stopped_and_started(bench: Bench, timeout_s: float) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await listening(bench, driver, spec.server_id)
        for _ in range(2):
            await driver.stop(spec.server_id, timeout_s=timeout_s)
            assert await power(driver, spec.server_id) == OFF
        for _ in range(2):
            await driver.start(spec.server_id)
            assert await power(driver, spec.server_id) == RUNNING

    bench.run(story)


def test_a_guest_that_does_not_listen_is_switched_off_in_the_end(bench: Bench) -> None:
    """Right after its start it cannot hear the power button yet."""
    spec = bench.spec(metadata={"pileus:fail": "deaf"})

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await driver.stop(spec.server_id, timeout_s=0.05)
        assert await power(driver, spec.server_id) == OFF

    bench.run(story)


@pytest.mark.parametrize("state", [PAUSED, SUSPENDED])
def test_a_guest_is_stopped_from_other_states(bench: Bench, state: PowerState) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await (driver.pause if state == PAUSED else driver.suspend)(spec.server_id)
        assert await power(driver, spec.server_id) == state
        await driver.stop(spec.server_id)
        assert await power(driver, spec.server_id) == OFF

    bench.run(story)


def test_pausing_and_going_on_may_be_repeated(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        for _ in range(2):
            await driver.pause(spec.server_id)
            assert await power(driver, spec.server_id) == PAUSED
        for _ in range(2):
            await driver.unpause(spec.server_id)
            assert await power(driver, spec.server_id) == RUNNING

    bench.run(story)


def test_suspending_and_going_on_may_be_repeated(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        for _ in range(2):
            await driver.suspend(spec.server_id)
            assert await power(driver, spec.server_id) == SUSPENDED
        for _ in range(2):
            await driver.resume(spec.server_id)
            assert await power(driver, spec.server_id) == RUNNING

    bench.run(story)


def test_starting_a_suspended_guest_lets_it_go_on(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await listening(bench, driver, spec.server_id)
        said = await driver.console_output(spec.server_id)
        await driver.suspend(spec.server_id)
        await driver.start(spec.server_id)
        assert await power(driver, spec.server_id) == RUNNING
        assert (await driver.console_output(spec.server_id)).count(b"\n") == said.count(b"\n")  # no second boot

    bench.run(story)


@pytest.mark.parametrize("action", ["pause", "unpause", "suspend", "resume", "reboot"])
def test_a_guest_that_is_off_does_not_do_it(bench: Bench, action: str) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=False)
        with pytest.raises(WrongPower):
            await getattr(driver, action)(spec.server_id)
        assert await power(driver, spec.server_id) == OFF

    bench.run(story)


@pytest.mark.parametrize("action", ["start", "stop", "reboot", "pause", "unpause", "suspend", "resume"])
def test_a_guest_that_is_not_there_is_said_to_be_not_there(bench: Bench, action: str) -> None:
    async def story(driver: Any) -> None:
        with pytest.raises(GuestNotFound):
            await getattr(driver, action)(bench.spec().server_id)

    bench.run(story)


def test_a_soft_reboot_is_a_boot_after_a_shutdown(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec)
        await listening(bench, driver, spec.server_id)
        said = await driver.console_output(spec.server_id)
        await driver.reboot(spec.server_id, timeout_s=30)
        assert await power(driver, spec.server_id) == RUNNING

        async def has_spoken_again() -> bool:
            return (await driver.console_output(spec.server_id)).count(b"\n") >= 2 * said.count(b"\n")

        await until(has_spoken_again)

    bench.run(story)


@pytest.mark.parametrize("state", [RUNNING, OFF, PAUSED, SUSPENDED])
def test_a_hard_reboot_works_from_every_state(bench: Bench, state: PowerState) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        await driver.ensure_guest(spec, running=state != OFF)
        if state in (PAUSED, SUSPENDED):
            await (driver.pause if state == PAUSED else driver.suspend)(spec.server_id)
        assert await power(driver, spec.server_id) == state
        await driver.reboot(spec.server_id, hard=True)
        assert await power(driver, spec.server_id) == RUNNING
        await driver.stop(spec.server_id, timeout_s=0)
        assert await power(driver, spec.server_id) == OFF  # no memory image came back

    bench.run(story)


def test_who_listens_hears_of_power_changes_and_who_left_does_not(bench: Bench) -> None:
    spec = bench.spec()

    async def story(driver: Any) -> None:
        heard, deaf = Heard(driver), Heard(driver)
        deaf.stop()
        await driver.ensure_guest(spec)
        await heard.wait_for(spec.server_id, RUNNING)
        await driver.pause(spec.server_id)
        await heard.wait_for(spec.server_id, PAUSED)
        await driver.suspend(spec.server_id)
        await heard.wait_for(spec.server_id, SUSPENDED)
        await driver.resume(spec.server_id)
        await driver.stop(spec.server_id, timeout_s=0)
        await heard.wait_for(spec.server_id, OFF)
        assert deaf.changes == []

    bench.run(story)
