"""The fake hypervisor as a product: it goes wrong as it is told, and takes the time it is told to take."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus.compute.drivers import rehearsal
from pileus.compute.drivers.base import (
    DeviceBusy,
    GuestSpec,
    HypervisorFailed,
    HypervisorUnavailable,
    ImageRoot,
    NoDiskSpace,
    NoGuestAgent,
    NoMemory,
    PowerChange,
    PowerState,
    VifSpec,
    VolumeAttachmentSpec,
)
from pileus.compute.drivers.fake import FakeHypervisor
from pileus.compute.drivers.rehearsal import BadRehearsal
from pileus.foundation.errors import Error
from pileus.foundation.runtime import Crashed, Runtime

FOREVER = 86_400.0


class HurriedRuntime(Runtime):
    """Sleeps are noted instead of slept, except those that are to last for ever."""

    def __init__(self) -> None:
        super().__init__("test")
        self.slept: list[float] = []
        self.wall = 1_700_000_000_000_000

    def now(self) -> int:
        return self.wall

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(FOREVER if seconds == FOREVER else 0)


def spec(**metadata: str) -> GuestSpec:
    return GuestSpec(
        server_id=str(uuid.uuid4()),
        epoch=1,
        name="web",
        hostname="web",
        vcpus=1,
        ram_mib=512,
        root=ImageRoot(base_path="/nowhere", base_format="qcow2", base_size_bytes=1 << 30),
        metadata={f"pileus:{key}": value for key, value in metadata.items()},
    )


Story = Callable[[FakeHypervisor, HurriedRuntime], Awaitable[Any]]


@pytest.fixture
def tell(tmp_path: Path) -> Callable[..., Any]:
    """Run a story on a host; again on the same directory it is the same host."""

    def run(story: Story, *, host: str = "host-1", **options: object) -> Any:
        async def told() -> Any:
            runtime = HurriedRuntime()
            driver = FakeHypervisor(runtime, hostname=host, state_dir=tmp_path / host, options=options)
            await driver.open()
            try:
                return await story(driver, runtime)
            finally:
                await driver.close()
                await runtime.stop()

        return asyncio.run(told())

    return run


async def settle() -> None:
    """Let what was set off run to its end."""
    for _ in range(20):
        await asyncio.sleep(0)


VOLUME = VolumeAttachmentSpec(volume_id=str(uuid.uuid4()), connection={})
VIF = VifSpec(port_id=str(uuid.uuid4()), mac="fa:16:3e:00:00:01", tap="tap1")


async def attached(driver: FakeHypervisor, server_id: str) -> None:
    await driver.ensure_volume_attached(server_id, VOLUME)
    await driver.ensure_interface_attached(server_id, VIF)


OPERATIONS: dict[str, Callable[[FakeHypervisor, str, Path], Awaitable[Any]]] = {
    "start": lambda driver, guest, path: driver.start(guest),
    "stop": lambda driver, guest, path: driver.stop(guest),
    "reboot": lambda driver, guest, path: driver.reboot(guest, hard=True),
    "pause": lambda driver, guest, path: driver.pause(guest),
    "unpause": lambda driver, guest, path: driver.unpause(guest),
    "suspend": lambda driver, guest, path: driver.suspend(guest),
    "resume": lambda driver, guest, path: driver.resume(guest),
    "attach": lambda driver, guest, path: driver.ensure_volume_attached(
        guest, msgspec.structs.replace(VOLUME, volume_id="other")
    ),
    "detach": lambda driver, guest, path: driver.ensure_volume_detached(guest, VOLUME.volume_id),
    "extend": lambda driver, guest, path: driver.extend_volume(guest, VOLUME.volume_id, 1),
    "plug": lambda driver, guest, path: driver.ensure_interface_attached(
        guest, msgspec.structs.replace(VIF, port_id="other")
    ),
    "unplug": lambda driver, guest, path: driver.ensure_interface_detached(guest, VIF.port_id),
    "console": lambda driver, guest, path: driver.console_output(guest),
    "snapshot": lambda driver, guest, path: driver.snapshot_root(guest, path),
    "password": lambda driver, guest, path: driver.set_admin_password(guest, "secret"),
    "delete": lambda driver, guest, path: driver.ensure_no_guest(guest),
}
BEFORE = {"start": "stop", "unpause": "pause", "resume": "suspend"}


def test_every_operation_has_its_rehearsal() -> None:
    assert OPERATIONS.keys() | {"spawn"} == rehearsal.OPERATIONS.keys()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_fails_as_often_as_it_was_told_and_changes_nothing(
    tell: Callable[..., Any], tmp_path: Path, operation: str
) -> None:
    wanted = spec(fail=f"{operation}:2")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(spec := wanted)
        if operation not in ("attach", "plug"):
            await attached(driver, spec.server_id)
        if operation in BEFORE:
            await OPERATIONS[BEFORE[operation]](driver, spec.server_id, tmp_path)
        before = await driver.get_guest(spec.server_id)
        for _ in range(2):
            with pytest.raises(HypervisorFailed) as failure:
                await OPERATIONS[operation](driver, spec.server_id, tmp_path / "copy")
            assert str(failure.value).startswith("The hypervisor failed to ")
            assert await driver.get_guest(spec.server_id) == before
        await OPERATIONS[operation](driver, spec.server_id, tmp_path / "copy")

    tell(story)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_hypervisor_that_does_not_answer_answers_nothing(
    tell: Callable[..., Any], tmp_path: Path, operation: str
) -> None:
    wanted = spec()

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        await attached(driver, wanted.server_id)
        if operation in BEFORE:
            await OPERATIONS[BEFORE[operation]](driver, wanted.server_id, tmp_path)
        await driver.update_metadata(wanted.server_id, {"pileus:fail": "unavailable"})
        with pytest.raises(HypervisorUnavailable):
            await OPERATIONS[operation](driver, wanted.server_id, tmp_path / "copy")

    tell(story)


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("spawn", HypervisorFailed),
        ("disk-full", NoDiskSpace),
        ("no-memory", NoMemory),
        ("unavailable", HypervisorUnavailable),
    ],
)
def test_a_guest_that_cannot_be_made_is_not_there(tell: Callable[..., Any], word: str, error: type[Error]) -> None:
    wanted = spec(fail=word)

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        with pytest.raises(error):
            await driver.ensure_guest(wanted)
        assert await driver.list_guests() == []

    tell(story)


def test_a_launch_fails_on_as_many_hosts_as_it_was_told(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="spawn:1")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        with pytest.raises(HypervisorFailed):
            await driver.ensure_guest(wanted)
        await driver.ensure_guest(msgspec.structs.replace(wanted, attempt=2))

    tell(story)


def test_a_word_for_one_host_means_no_other(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="spawn@host-2")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)

    tell(story, host="host-1")
    with pytest.raises(HypervisorFailed):
        tell(story, host="host-2")


def test_special_failures_are_the_errors_they_stand_for(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="busy,no-agent")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        device = await driver.ensure_volume_attached(wanted.server_id, VOLUME)
        with pytest.raises(DeviceBusy, match=device):
            await driver.ensure_volume_detached(wanted.server_id, VOLUME.volume_id)
        with pytest.raises(NoGuestAgent):
            await driver.set_admin_password(wanted.server_id, "secret")

    tell(story)


def test_what_cannot_be_read_is_refused_and_nothing_made(tell: Callable[..., Any]) -> None:
    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        with pytest.raises(BadRehearsal):
            await driver.ensure_guest(spec(fail="explode"))
        good = spec(fail="reboot")
        await driver.ensure_guest(good)
        with pytest.raises(BadRehearsal):
            await driver.update_metadata(good.server_id, {"pileus:fail": "explode"})
        with pytest.raises(HypervisorFailed):
            await driver.reboot(good.server_id)
        assert len(await driver.list_guests()) == 1

    tell(story)


def test_changed_metadata_change_what_goes_wrong(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="reboot")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        with pytest.raises(HypervisorFailed):
            await driver.reboot(wanted.server_id)
        await driver.update_metadata(wanted.server_id, {"role": "web"})
        await driver.reboot(wanted.server_id)
        await driver.update_metadata(str(uuid.uuid4()), {"pileus:fail": "reboot"})

    tell(story)


def test_what_goes_wrong_is_remembered_over_a_restart(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="stop:2")

    async def once(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        with pytest.raises(HypervisorFailed):
            await driver.stop(wanted.server_id)

    async def at_last(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.stop(wanted.server_id)

    tell(once)
    tell(once)
    tell(at_last)


@pytest.mark.parametrize(("word", "power"), [("crash", PowerState.CRASHED), ("shutdown", PowerState.SHUTDOWN)])
def test_a_guest_ends_by_itself_when_it_was_told_to(tell: Callable[..., Any], word: str, power: PowerState) -> None:
    wanted = spec(fail=f"{word}:1", delay=f"{word}:7")
    heard: list[PowerChange] = []

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        driver.subscribe(heard.append)
        assert (await driver.ensure_guest(wanted)).power_state == PowerState.RUNNING
        await settle()
        assert runtime.slept == [7]
        assert (await driver.get_guest(wanted.server_id)).power_state == power
        assert [change.power_state for change in heard] == [PowerState.RUNNING, power]
        await driver.start(wanted.server_id)
        await settle()
        assert (await driver.get_guest(wanted.server_id)).power_state == PowerState.RUNNING

    tell(story)


def test_what_a_guest_was_to_do_later_is_done_after_a_restart_too(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="crash", delay=f"crash:{FOREVER:.0f}")

    async def before(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        await settle()
        assert (await driver.get_guest(wanted.server_id)).power_state == PowerState.RUNNING

    async def after(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await settle()
        assert runtime.slept == [FOREVER]
        runtime.wall += int(FOREVER * 1e6)
        await driver.close()
        await driver.open()
        await settle()
        assert (await driver.get_guest(wanted.server_id)).power_state == PowerState.CRASHED

    tell(before)
    tell(after)


def test_a_stop_by_hand_is_not_followed_by_a_crash(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="crash", delay="crash:3")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        await driver.stop(wanted.server_id)
        await settle()
        assert (await driver.get_guest(wanted.server_id)).power_state == PowerState.SHUTDOWN

    tell(story)


def test_a_deaf_guest_takes_the_whole_time_to_stop(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="deaf")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        await driver.reboot(wanted.server_id, timeout_s=11)
        await driver.stop(wanted.server_id, timeout_s=13)
        assert runtime.slept == [11, 13]
        await driver.start(wanted.server_id)
        await driver.stop(wanted.server_id, timeout_s=0)
        await driver.reboot(wanted.server_id, hard=True)
        assert runtime.slept == [11, 13]

    tell(story)


def test_a_silent_guest_says_nothing(tell: Callable[..., Any]) -> None:
    wanted = spec(fail="silent")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        assert await driver.console_output(wanted.server_id) == b""

    tell(story)


def test_operations_take_their_time_and_none_by_default(tell: Callable[..., Any]) -> None:
    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        slow, quick = spec(delay="4,stop:9"), spec()
        await driver.ensure_guest(quick)
        await driver.stop(quick.server_id)
        assert runtime.slept == []
        await driver.ensure_guest(slow)
        await driver.stop(slow.server_id)
        await driver.start(slow.server_id)
        assert runtime.slept == [4, 9, 4]

    tell(story)


def test_a_whole_host_can_be_slow_and_broken(tell: Callable[..., Any]) -> None:
    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        for _ in range(2):
            with pytest.raises(NoDiskSpace):
                await driver.ensure_guest(spec())
        await driver.ensure_guest(spec())
        assert runtime.slept == [3, 3, 3]

    tell(story, fail="disk-full:2", delay="spawn:3")


def test_chances_are_taken_from_the_runtime(tell: Callable[..., Any]) -> None:
    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        always, never = spec(fail="stop:100%"), spec(fail="stop:0%")
        await driver.ensure_guest(always)
        await driver.ensure_guest(never)
        await driver.stop(never.server_id)
        with pytest.raises(HypervisorFailed):
            await driver.stop(always.server_id)

    tell(story)


@pytest.mark.parametrize("end", ["cut_short", "ensure_no_guest"])
def test_a_deletion_cuts_short_what_still_takes_its_time(tell: Callable[..., Any], end: str) -> None:
    wanted = spec(delay=f"spawn:{FOREVER:.0f},stop:{FOREVER:.0f}")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        spawning = asyncio.ensure_future(driver.ensure_guest(wanted))
        await settle()
        await getattr(driver, end)(wanted.server_id)
        with pytest.raises(HypervisorFailed):
            await spawning
        assert await driver.list_guests() == []

    tell(story)


def test_a_call_that_is_cancelled_while_it_waits_has_no_effect(tell: Callable[..., Any]) -> None:
    wanted = spec(delay=f"spawn:{FOREVER:.0f}")

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        spawning = asyncio.ensure_future(driver.ensure_guest(wanted))
        await settle()
        spawning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spawning
        assert await driver.list_guests() == []

    tell(story)


def test_the_inventory_is_what_the_options_say(tell: Callable[..., Any]) -> None:
    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> Any:
        return await driver.inventory()

    host = tell(story, vcpus=3, ram_mib=1024, disk_gib=7, cpu_model="Z80", cpu_features=["a", "b"])
    assert (host.vcpus, host.ram_mib, host.disk_gib, host.cpu.model) == (3, 1024, 7, "Z80")
    assert (host.hypervisor_type, host.cpu.features, host.cpu.sockets) == ("fake", ("a", "b"), 3)


@pytest.mark.parametrize("options", [{"vcpu": 3}, {"vcpus": "many"}, {"fail": "explode"}, {"delay": "later"}])
def test_options_that_are_not_known_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises((msgspec.ValidationError, BadRehearsal)):
        FakeHypervisor(Runtime(), hostname="h", state_dir=tmp_path, options=options)


def test_many_hosts_of_one_process_keep_apart(tmp_path: Path) -> None:
    async def story() -> None:
        runtime = Runtime()
        hosts = [FakeHypervisor(runtime, hostname=f"h{n}", state_dir=tmp_path / f"h{n}") for n in range(50)]
        specs = [spec() for _ in hosts]
        for host, wanted in zip(hosts, specs, strict=True):
            await host.open()
            await host.ensure_guest(wanted)
        for host, wanted in zip(hosts, specs, strict=True):
            assert [guest.server_id for guest in await host.list_guests()] == [wanted.server_id]
            await host.close()

    asyncio.run(story())


def test_a_dead_process_changes_nothing_more(tell: Callable[..., Any]) -> None:
    wanted = spec()

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        runtime.crash()
        for operation in (driver.stop, driver.ensure_no_guest, driver.get_guest):
            with pytest.raises(Crashed):
                await operation(wanted.server_id)

    async def after(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        assert (await driver.get_guest(wanted.server_id)).power_state == PowerState.RUNNING

    tell(story)
    tell(after)


def test_a_driver_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(HypervisorUnavailable):
        asyncio.run(FakeHypervisor(Runtime(), hostname="h", state_dir=tmp_path).list_guests())


def test_secrets_and_contents_are_not_kept(tell: Callable[..., Any], tmp_path: Path) -> None:
    wanted = msgspec.structs.replace(spec(), config_drive={"openstack/latest/user_data": b"hush-hush"})

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        await driver.set_admin_password(wanted.server_id, "hush-hush")

    tell(story)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["fake-guests.journal"]
    assert b"hush" not in kept[0].read_bytes()


def test_the_console_shows_this_guest_and_how_it_ended(tell: Callable[..., Any]) -> None:
    wanted = msgspec.structs.replace(spec(), hostname="db-7", vcpus=4, ram_mib=1024)

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        assert (await driver.ensure_guest(wanted, running=False)).power_state == PowerState.SHUTDOWN
        assert await driver.console_output(wanted.server_id) == b""
        await driver.start(wanted.server_id)
        said = (await driver.console_output(wanted.server_id)).decode()
        assert "Linux version" in said and said.endswith("db-7 login: ")
        assert "1 node, 4 CPUs" in said and "1048576K" in said
        await driver.reboot(wanted.server_id)
        again = (await driver.console_output(wanted.server_id)).decode()
        assert again.startswith(said) and "reboot: Restarting system" in again
        await driver.stop(wanted.server_id)
        assert (await driver.console_output(wanted.server_id, 2)).decode() == "reboot: Power down\n"
        for _ in range(20):
            await driver.reboot(wanted.server_id, hard=True)
        assert len(await driver.console_output(wanted.server_id)) < 3 * len(again)

    tell(story)


def test_nobody_logs_in_at_the_terminal(tell: Callable[..., Any]) -> None:
    wanted = spec()

    async def story(driver: FakeHypervisor, runtime: HurriedRuntime) -> None:
        await driver.ensure_guest(wanted)
        terminal = await driver.open_console(wanted.server_id, "serial")
        await terminal.write(b"root\r")
        seen = b""
        while not seen.endswith(b"Login incorrect\r\nweb login: "):
            seen += await terminal.read()
        assert b"login: root\r\n" in seen
        await terminal.close()
        assert await terminal.read() == b""

    tell(story)
