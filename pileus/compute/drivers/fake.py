"""A hypervisor without machines: whole clouds on a laptop, for whoever builds something that talks to a cloud.

It is a product, not a test double: it keeps the contract that `libvirt` keeps, remembers its guests over restarts and
kill -9 in a file of its own (`fake_journal`), takes the time it is told to take, and fails when a server's metadata ask
for it (`rehearsal` has the words). It never reads the cloud's database, and no other part knows that it is fake.

Options of a host, all optional: `vcpus`, `ram_mib`, `disk_gib`, `cpu_model`, `cpu_vendor`, `cpu_features`, and `fail`
and `delay` with the words of `rehearsal`, for all guests of the host.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from pileus.compute.drivers import rehearsal
from pileus.compute.drivers.base import (
    ConsoleStream,
    CpuFact,
    DeviceBusy,
    DeviceInUse,
    GuestFact,
    GuestNotFound,
    GuestSpec,
    HostInventory,
    HypervisorFailed,
    HypervisorUnavailable,
    ImageRoot,
    PowerChange,
    PowerState,
    SnapshotFact,
    StaleEpoch,
    VifSpec,
    VolumeAttachmentSpec,
    WrongPower,
    guest_dir,
    guest_name,
    tail_lines,
)
from pileus.compute.drivers.devices import choose_device, device_prefix, need_hotplug, place_disks
from pileus.compute.drivers.fake_console import FakeTerminal, console_text
from pileus.compute.drivers.fake_disk import write_blank_image
from pileus.compute.drivers.fake_journal import Journal
from pileus.foundation.runtime import Runtime

MIB = 1 << 20
GIB = 1 << 30
ON = (PowerState.RUNNING, PowerState.PAUSED)
OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)


class FakeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a fake host is like."""

    vcpus: int = 1024
    ram_mib: int = 4_194_304
    disk_gib: int = 1_048_576
    cpu_model: str = "Nehalem"
    cpu_vendor: str = "Intel"
    cpu_features: tuple[str, ...] = ("pge", "clflush")
    fail: str = ""
    delay: str = ""


class FakeGuest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guest as its journal keeps it. Nothing secret: no config drive, no password."""

    server_id: str
    epoch: int
    power: int
    hostname: str
    vcpus: int
    ram_mib: int
    disk_bytes: int
    bus: str
    root_volume: str = ""  # the volume's id where the root disk is one
    root_device: str = ""
    local_devices: tuple[str, ...] = ()
    volumes: dict[str, str] = {}
    buses: dict[str, str] = {}  # by volume id, where it is not the guest's own bus
    ports: dict[str, str] = {}
    fail: str = ""
    delay: str = ""
    failures: dict[str, int] = {}  # how often each word made something fail
    boots: int = 0
    booted_at: int = 0  # UTC microseconds

    def fact(self) -> GuestFact:
        return GuestFact(
            server_id=self.server_id,
            epoch=self.epoch,
            power_state=PowerState(self.power),
            uuid=self.server_id,
            name=guest_name(self.server_id),
            vcpus=self.vcpus,
            ram_mib=self.ram_mib,
            root_device=self.root_device,
            volumes=dict(self.volumes),
            ports=dict(self.ports),
        )


class FakeHypervisor:
    """One fake host; as many in a process as wanted."""

    console_kinds: ClassVar[frozenset[str]] = frozenset({"serial"})
    snapshot_formats: ClassVar[tuple[str, ...]] = ("qcow2", "raw")

    def __init__(
        self, runtime: Runtime, *, hostname: str, state_dir: Path, options: Mapping[str, object] | None = None
    ) -> None:
        self._runtime = runtime
        self._hostname = hostname
        self._state_dir = state_dir
        self._options = msgspec.convert(dict(options or {}), FakeOptions, strict=False)
        self._whole_host = rehearsal.parse(self._options.fail, self._options.delay)
        self._host_failures: dict[str, int] = {}
        self._journal = Journal(state_dir / "fake-guests.journal", FakeGuest)
        self._listeners: list[Callable[[PowerChange], None]] = []
        self._sleepers: dict[str, set[asyncio.Task[None]]] = {}
        self._cut_short: set[asyncio.Task[None]] = set()
        self._is_open = False

    # -- the core -------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        self._runtime.check()
        self._journal.open()
        self._is_open = True
        for guest in self._journal.items.values():
            self._foresee(guest)

    async def close(self) -> None:
        self._is_open = False
        for server_id in list(self._sleepers):
            self._cut_sleep_short(server_id)
        self._journal.close()

    async def inventory(self) -> HostInventory:
        self._check()
        host = self._options
        return HostInventory(
            hostname=self._hostname,
            vcpus=host.vcpus,
            ram_mib=host.ram_mib,
            disk_gib=host.disk_gib,
            disk_free_gib=host.disk_gib,
            hypervisor_type="fake",
            hypervisor_version=1000,
            virt_type="fake",
            cpu=CpuFact(model=host.cpu_model, vendor=host.cpu_vendor, features=host.cpu_features, sockets=host.vcpus),
            disk_buses=("virtio", "scsi", "sata", "ide", "usb"),
            vif_models=("virtio", "e1000", "e1000e", "rtl8139"),
            machine_types=("pc", "q35"),
        )

    async def list_guests(self) -> list[GuestFact]:
        self._check()
        return [guest.fact() for guest in self._journal.items.values()]

    async def list_unknown_guests(self) -> list[str]:
        self._check()
        return []

    async def find_guest(self, server_id: str) -> GuestFact | None:
        self._check()
        guest = self._journal.items.get(server_id)
        return guest.fact() if guest else None

    async def get_guest(self, server_id: str) -> GuestFact:
        return self._get(server_id).fact()

    async def ensure_guest(self, spec: GuestSpec, *, running: bool = True) -> GuestFact:
        self._check()
        wanted = rehearsal.read_rehearsal(spec.metadata)
        guest_dir(self._state_dir, spec.server_id)  # refuses an id that is none
        self._refuse_stale(spec.server_id, spec.epoch)
        old = self._journal.items.get(spec.server_id)
        if old is None or old.epoch != spec.epoch:
            await self._rehearse_spawn(spec, wanted)
            self._refuse_stale(spec.server_id, spec.epoch)
            old = self._new_guest(spec)
            if not running:
                self._save(old)
        if running and old.power not in ON:
            old = self._boot(old, reason="booted")
        return old.fact()

    async def ensure_no_guest(self, server_id: str, *, epoch: int | None = None) -> None:
        self._check()
        if epoch is not None:
            self._refuse_stale(server_id, epoch)
        self._cut_sleep_short(server_id)
        if server_id in self._journal.items:
            await self._rehearse("delete", server_id)
            self._runtime.check()
            self._journal.remove(server_id)

    async def start(self, server_id: str) -> None:
        guest = self._get(server_id)
        if guest.power in ON:
            return
        guest = await self._rehearse("start", server_id)
        self._wake_or_boot(guest, reason="started")

    async def stop(self, server_id: str, *, timeout_s: float = 60.0) -> None:
        if self._get(server_id).power == PowerState.SHUTDOWN:
            return
        guest = await self._rehearse("stop", server_id)
        await self._wait_if_deaf(guest, timeout_s)
        self._power(server_id, PowerState.SHUTDOWN, reason="stopped")

    async def reboot(self, server_id: str, *, hard: bool = False, timeout_s: float = 60.0) -> None:
        if not hard:
            self._need_power("reboot", self._get(server_id), PowerState.RUNNING)
        guest = await self._rehearse("reboot", server_id)
        if not hard:
            await self._wait_if_deaf(guest, timeout_s)
        self._boot(self._get(server_id), reason="rebooted")

    def subscribe(self, listener: Callable[[PowerChange], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # -- pause, suspend -------------------------------------------------------------------------------------------
    async def pause(self, server_id: str) -> None:
        await self._switch("pause", server_id, (PowerState.RUNNING,), PowerState.PAUSED)

    async def unpause(self, server_id: str) -> None:
        await self._switch("unpause", server_id, (PowerState.PAUSED,), PowerState.RUNNING)

    async def suspend(self, server_id: str) -> None:
        await self._switch("suspend", server_id, ON, PowerState.SUSPENDED)

    async def resume(self, server_id: str) -> None:
        await self._switch("resume", server_id, (PowerState.SUSPENDED, PowerState.PAUSED), PowerState.RUNNING)

    async def _switch(
        self, operation: str, server_id: str, sources: tuple[PowerState, ...], target: PowerState
    ) -> None:
        guest = self._get(server_id)
        if guest.power == target:
            return
        self._need_power(operation, guest, *sources)
        await self._rehearse(operation, server_id)
        self._power(server_id, target, reason=operation)

    # -- devices --------------------------------------------------------------------------------------------------
    async def ensure_volume_attached(self, server_id: str, volume: VolumeAttachmentSpec) -> str:
        attached = self._get(server_id).volumes.get(volume.volume_id)
        if attached:
            return attached
        guest = await self._rehearse("attach", server_id)
        self._need_power("attach a volume to", guest, *ON, *OFF)
        if volume.volume_id in guest.volumes:
            return guest.volumes[volume.volume_id]
        bus = volume.bus or guest.bus
        prefix = device_prefix(bus)
        if guest.power in ON:
            need_hotplug(bus)
        device = choose_device(_devices_in_use(guest), wanted=volume.device, prefix=prefix, server_id=server_id)
        buses = {**guest.buses, volume.volume_id: bus} if bus != guest.bus else guest.buses
        self._save(msgspec.structs.replace(guest, volumes={**guest.volumes, volume.volume_id: device}, buses=buses))
        return device

    async def ensure_volume_detached(self, server_id: str, volume_id: str, *, timeout_s: float = 20.0) -> None:
        self._check()
        guest = self._journal.items.get(server_id)
        if guest is None or volume_id not in guest.volumes:
            return
        if volume_id == guest.root_volume:
            raise DeviceInUse(device=guest.root_device, server_id=server_id)
        guest = await self._rehearse("detach", server_id, device=guest.volumes[volume_id])
        self._need_power("detach a volume from", guest, *ON, *OFF)
        if guest.power in ON:
            need_hotplug(guest.buses.get(volume_id, guest.bus))
        left = {key: device for key, device in guest.volumes.items() if key != volume_id}
        self._save(msgspec.structs.replace(guest, volumes=left))

    async def extend_volume(self, server_id: str, volume_id: str, size_bytes: int) -> None:
        if volume_id not in self._get(server_id).volumes:
            raise HypervisorFailed(action="extend a volume of", log=f"{volume_id} is not attached")
        await self._rehearse("extend", server_id)

    async def ensure_interface_attached(self, server_id: str, vif: VifSpec) -> None:
        if vif.port_id in self._get(server_id).ports:
            return
        guest = await self._rehearse("plug", server_id)
        self._need_power("attach an interface to", guest, *ON, *OFF)
        self._save(msgspec.structs.replace(guest, ports={**guest.ports, vif.port_id: vif.tap}))

    async def ensure_interface_detached(self, server_id: str, port_id: str, *, timeout_s: float = 20.0) -> None:
        self._check()
        guest = self._journal.items.get(server_id)
        if guest is None or port_id not in guest.ports:
            return
        guest = await self._rehearse("unplug", server_id)
        left = {key: tap for key, tap in guest.ports.items() if key != port_id}
        self._save(msgspec.structs.replace(guest, ports=left))

    # -- console, password, snapshot, metadata --------------------------------------------------------------------
    async def console_output(self, server_id: str, lines: int | None = None) -> bytes:
        self._get(server_id)
        guest = await self._rehearse("console", server_id)
        return b"" if self._first_rule("print", guest) else tail_lines(_console(guest), lines)

    async def open_console(self, server_id: str, kind: str) -> ConsoleStream:
        if kind not in self.console_kinds:
            raise HypervisorFailed(action="open the console of", log=f"no console of kind {kind}")
        guest = await self._rehearse("console", server_id)
        self._need_power("open the console of", guest, *ON)
        return FakeTerminal(_console(guest), guest.hostname)

    async def set_admin_password(self, server_id: str, password: str) -> None:
        self._need_power("set the password of", self._get(server_id), PowerState.RUNNING)
        await self._rehearse("password", server_id)

    async def snapshot_root(self, server_id: str, target: Path, *, format: str = "qcow2") -> SnapshotFact:
        self._get(server_id)
        if format not in self.snapshot_formats:
            raise HypervisorFailed(action="snapshot", log=f"format {format}")
        guest = await self._rehearse("snapshot", server_id)
        if guest.root_volume:
            raise HypervisorFailed(action="snapshot", log="its root disk is a volume")
        size = write_blank_image(target, format=format, size_bytes=guest.disk_bytes)
        self._runtime.check()
        return SnapshotFact(path=str(target), format=format, size_bytes=size, virtual_size_bytes=guest.disk_bytes)

    async def update_metadata(self, server_id: str, metadata: Mapping[str, str]) -> None:
        self._check()
        rehearsal.read_rehearsal(metadata)
        guest = self._journal.items.get(server_id)
        fail, delay = metadata.get(rehearsal.FAIL, ""), metadata.get(rehearsal.DELAY, "")
        if guest is not None and (fail, delay) != (guest.fail, guest.delay):
            self._save(msgspec.structs.replace(guest, fail=fail, delay=delay, failures={}))

    # -- guests ---------------------------------------------------------------------------------------------------
    def _check(self) -> None:
        self._runtime.check()
        if not self._is_open:
            raise HypervisorUnavailable(log=f"the fake host {self._hostname} is not open")

    def _get(self, server_id: str) -> FakeGuest:
        self._check()
        guest = self._journal.items.get(server_id)
        if guest is None:
            raise GuestNotFound(server_id=server_id)
        return guest

    def _refuse_stale(self, server_id: str, epoch: int) -> None:
        guest = self._journal.items.get(server_id)
        if guest is not None and guest.epoch > epoch:
            raise StaleEpoch(server_id=server_id, epoch=epoch, newest=guest.epoch)

    @staticmethod
    def _need_power(action: str, guest: FakeGuest, *wanted: PowerState) -> None:
        if guest.power not in wanted:
            raise WrongPower(action=action, server_id=guest.server_id, power_state=PowerState(guest.power).name.lower())

    def _new_guest(self, spec: GuestSpec) -> FakeGuest:
        disks = place_disks(spec)
        return FakeGuest(
            server_id=spec.server_id,
            epoch=spec.epoch,
            power=PowerState.SHUTDOWN,
            hostname=spec.hostname,
            vcpus=spec.vcpus,
            ram_mib=spec.ram_mib,
            disk_bytes=_root_bytes(spec),
            bus=disks.bus,
            root_volume="" if isinstance(spec.root, ImageRoot) else spec.root.volume.volume_id,
            root_device=disks.root,
            local_devices=tuple(device for device in (disks.ephemeral, disks.swap) if device),
            volumes=disks.volumes,
            buses={volume.volume_id: volume.bus for volume in spec.volumes if volume.bus},
            ports={vif.port_id: vif.tap for vif in spec.vifs},
            fail=spec.metadata.get(rehearsal.FAIL, ""),
            delay=spec.metadata.get(rehearsal.DELAY, ""),
        )

    def _save(self, guest: FakeGuest, *, reason: str = "") -> FakeGuest:
        """Keep a guest as it now is, and tell who listens when its power changed."""
        self._check()
        old = self._journal.items.get(guest.server_id)
        self._journal.put(guest.server_id, guest)
        if reason and self._listeners and (old is None or old.power != guest.power):
            self._tell(PowerChange(server_id=guest.server_id, power_state=PowerState(guest.power), reason=reason))
        return guest

    def _tell(self, change: PowerChange) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.call_soon(listener, change)

    def _power(self, server_id: str, power: PowerState, *, reason: str) -> FakeGuest:
        guest = self._get(server_id)
        return guest if guest.power == power else self._save(msgspec.structs.replace(guest, power=power), reason=reason)

    def _boot(self, guest: FakeGuest, *, reason: str) -> FakeGuest:
        booted = msgspec.structs.replace(
            guest, power=PowerState.RUNNING, boots=guest.boots + 1, booted_at=self._runtime.now()
        )
        self._save(booted, reason=reason)
        self._foresee(booted)
        return booted

    def _wake_or_boot(self, guest: FakeGuest, *, reason: str) -> None:
        if guest.power == PowerState.SUSPENDED:
            self._power(guest.server_id, PowerState.RUNNING, reason=reason)
        elif guest.power not in ON:
            self._boot(guest, reason=reason)

    # -- going wrong ----------------------------------------------------------------------------------------------
    async def _rehearse_spawn(self, spec: GuestSpec, wanted: rehearsal.Rehearsal) -> None:
        """Take the time and the failures that were asked for a guest that is not there yet."""
        if wanted is rehearsal.NOTHING and self._whole_host is rehearsal.NOTHING:
            return
        await self._delay("spawn", spec.server_id, wanted)
        for rule in wanted.rules_for("spawn", self._hostname):
            if self._chance(rule, done=spec.attempt - 1):
                raise _failure(rule, spec.server_id)
        self._fail_as_host("spawn", spec.server_id)

    async def _rehearse(self, operation: str, server_id: str, *, device: str = "") -> FakeGuest:
        """Take the time and the failures that were asked for; return the guest as it is afterwards."""
        guest = self._get(server_id)
        if not (guest.fail or guest.delay or self._whole_host is not rehearsal.NOTHING):
            return guest
        await self._delay(operation, server_id, rehearsal.parse(guest.fail, guest.delay))
        guest = self._get(server_id)
        rule = self._first_rule(operation, guest)
        if rule is not None:
            self._count(guest, rule)
            raise _failure(rule, server_id, device)
        self._fail_as_host(operation, server_id, device)
        return guest

    def _first_rule(self, operation: str, guest: FakeGuest) -> rehearsal.Rule | None:
        """The guest's own rule that now applies to an operation."""
        if not guest.fail:
            return None
        rules = rehearsal.parse(guest.fail, guest.delay).rules_for(operation, self._hostname)
        return next((rule for rule in rules if self._chance(rule, done=guest.failures.get(rule.word, 0))), None)

    def _fail_as_host(self, operation: str, server_id: str, device: str = "") -> None:
        for rule in self._whole_host.rules_for(operation, self._hostname):
            done = self._host_failures.get(rule.word, 0)
            if self._chance(rule, done=done):
                self._host_failures[rule.word] = done + 1
                raise _failure(rule, server_id, device)

    def _chance(self, rule: rehearsal.Rule, *, done: int) -> bool:
        if rule.percent is not None:
            return self._runtime.random() * 100 < rule.percent
        return rule.times is None or done < rule.times

    def _count(self, guest: FakeGuest, rule: rehearsal.Rule) -> None:
        if rule.times is not None:
            failures = {**guest.failures, rule.word: guest.failures.get(rule.word, 0) + 1}
            self._save(msgspec.structs.replace(guest, failures=failures))

    async def _delay(self, operation: str, server_id: str, wanted: rehearsal.Rehearsal) -> None:
        seconds = max(wanted.delay_s(operation), self._whole_host.delay_s(operation))
        if seconds:
            await self._sleep(server_id, seconds)

    async def _sleep(self, server_id: str, seconds: float) -> None:
        """Wait, unless the guest's deletion cuts it short: then HypervisorFailed."""
        sleeper = self._runtime.spawn(self._runtime.sleep(seconds), f"fake delay of {server_id}")
        self._sleepers.setdefault(server_id, set()).add(sleeper)
        try:
            await sleeper
        except asyncio.CancelledError:
            if sleeper in self._cut_short:
                raise HypervisorFailed(action="finish with", log=f"{server_id} was deleted meanwhile") from None
            raise
        finally:
            self._cut_short.discard(sleeper)
            self._sleepers[server_id].discard(sleeper)
            if not self._sleepers[server_id]:
                del self._sleepers[server_id]

    async def cut_short(self, server_id: str) -> None:
        self._cut_sleep_short(server_id)

    def _cut_sleep_short(self, server_id: str) -> None:
        for sleeper in self._sleepers.get(server_id, ()):
            self._cut_short.add(sleeper)
            sleeper.cancel()

    async def _wait_if_deaf(self, guest: FakeGuest, timeout_s: float) -> None:
        if guest.power == PowerState.RUNNING and timeout_s > 0 and self._first_rule("acpi", guest):
            await self._sleep(guest.server_id, timeout_s)

    def _foresee(self, guest: FakeGuest) -> None:
        """A guest that was told to crash or to switch itself off does so in its time."""
        if guest.fail and guest.power == PowerState.RUNNING:
            rule = self._first_rule("boot", guest)
            if rule is not None:
                self._runtime.spawn(self._end_by_itself(guest, rule), f"fake {rule.word} of {guest.server_id}")

    async def _end_by_itself(self, guest: FakeGuest, rule: rehearsal.Rule) -> None:
        ran_s = (self._runtime.now() - guest.booted_at) / 1e6
        left_s = rehearsal.parse(guest.fail, guest.delay).delay_s(rule.word) - ran_s
        try:
            await self._sleep(guest.server_id, max(0.0, left_s))
        except HypervisorFailed:
            return
        now = self._journal.items.get(guest.server_id)
        if now is None or _life(now) != _life(guest) or now.power not in ON:
            return
        self._count(now, rule)
        power = PowerState.CRASHED if rule.word == "crash" else PowerState.SHUTDOWN
        self._power(guest.server_id, power, reason=rule.word)


def _life(guest: FakeGuest) -> tuple[int, int, str]:
    """What a guest must not have changed since a boot, for what was foreseen then still to come true."""
    return guest.epoch, guest.boots, guest.fail


def _failure(rule: rehearsal.Rule, server_id: str, device: str = "") -> Exception:
    word = rehearsal.WORDS[rule.word]
    error = word.error or HypervisorFailed
    told = f"asked for by {rehearsal.FAIL}={rule.word}"
    if error is DeviceBusy:
        return error(server_id=server_id, device=device, log=told)
    return error(action=word.action, server_id=server_id, log=told)


def _devices_in_use(guest: FakeGuest) -> Iterator[str]:
    yield guest.root_device
    yield from guest.local_devices
    yield from guest.volumes.values()


def _root_bytes(spec: GuestSpec) -> int:
    if isinstance(spec.root, ImageRoot):
        return max(spec.root.disk_gib * GIB, spec.root.base_size_bytes)
    return 0


def _console(guest: FakeGuest) -> bytes:
    ending = {PowerState.SHUTDOWN: "off", PowerState.CRASHED: "crash"}.get(PowerState(guest.power), "")
    return console_text(
        guest.server_id,
        hostname=guest.hostname,
        vcpus=guest.vcpus,
        ram_mib=guest.ram_mib,
        disk_gib=guest.disk_bytes // GIB,
        ports=len(guest.ports),
        boots=guest.boots,
        ending=ending,
    )
