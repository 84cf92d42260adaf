"""The driver for real guests: plans what is missing, and lets `files` and `calls` do it.

Guests outlive it: a restart of this process or of libvirtd touches none. What one guest goes through is serialised
where two could meet (making, removing, plugging); waiting for a guest to do something holds nobody up.
"""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from pileus.compute.drivers.base import (
    ConsoleStream,
    DeviceBusy,
    GuestFact,
    GuestNotFound,
    GuestSpec,
    HostInventory,
    HypervisorFailed,
    NoGuestAgent,
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
from pileus.compute.drivers.devices import place_disks
from pileus.compute.drivers.libvirt import calls
from pileus.compute.drivers.libvirt.connection import Connection, Happening
from pileus.compute.drivers.libvirt.domain_facts import power_after, read_cpu, server_of
from pileus.compute.drivers.libvirt.domain_xml import FORMATS, HostWays, domain_xml
from pileus.compute.drivers.libvirt.files import GuestStorage, allows_direct_io
from pileus.compute.drivers.libvirt.host import host_inventory, remembered_kvm
from pileus.compute.drivers.libvirt.stream import DescriptorStream, open_terminal
from pileus.foundation.runtime import Runtime

START_LIMIT_S = 120.0  # the first definition also makes libvirt ask QEMU for its abilities
OFF_LIMIT_S = 60.0
SAVE_LIMIT_S = 600.0
AGENT_LIMIT_S = 30.0
PLUG_LIMIT_S = 30.0
COPY_LIMIT_S = 3600.0
ASK_AGAIN_S = 5.0  # a guest that is still booting does not hear the power button
TRIM_EVERY_S = 60.0


class LibvirtOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may say of a host."""

    uri: str = "qemu:///system"
    virt_type: str = "auto"  # "kvm", "qemu" (software emulation), or by the probe
    cpu_mode: str = ""
    cpu_model: str = ""
    graphics: bool = True
    emulator: str = "qemu-system-x86_64"  # for the probe only


class LibvirtHypervisor:
    """The guests of one libvirtd."""

    console_kinds: ClassVar[frozenset[str]] = frozenset({"serial", "vnc"})
    snapshot_formats: ClassVar[tuple[str, ...]] = ("qcow2", "raw")

    def __init__(
        self, runtime: Runtime, *, hostname: str, state_dir: Path, options: Mapping[str, object] | None = None
    ) -> None:
        self._runtime = runtime
        self._hostname = hostname
        self._state_dir = state_dir
        self._options = msgspec.convert(dict(options or {}), LibvirtOptions, strict=False)
        self._files = GuestStorage(runtime, state_dir)
        self._line = Connection(
            runtime, self._options.uri, name=hostname, on_happening=self._happened, on_return=self._returned
        )
        self._ways = HostWays(virt_type="qemu")
        self._listeners: list[Callable[[PowerChange], None]] = []
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._trimming: asyncio.Task[None] | None = None

    # -- the core -------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        options = self._options
        await self._runtime.in_thread(self._files.prepare, pool="guest files")
        virt_type = options.virt_type
        if virt_type == "auto":
            kvm = await remembered_kvm(self._runtime, self._state_dir, emulator=options.emulator)
            virt_type = "kvm" if kvm.works else "qemu"
        is_direct = await self._runtime.in_thread(allows_direct_io, self._state_dir, pool="guest files")
        self._ways = HostWays(
            virt_type=virt_type,
            cpu_mode=options.cpu_mode,
            cpu_model=options.cpu_model,
            disk_cache="none" if is_direct else "writeback",
            has_graphics=options.graphics,
        )
        await self._line.open()
        await self._end_copies_of_before()
        self._trimming = self._runtime.spawn(self._keep_logs_short(), f"console logs of {self._hostname}")

    async def close(self) -> None:
        if self._trimming is not None:
            self._trimming.cancel()
        await self._line.close()

    async def inventory(self) -> HostInventory:
        machine = await self._line.call(calls.machine, limit_s=START_LIMIT_S)
        cpu = read_cpu(machine.capabilities, sockets=machine.sockets, cores=machine.cores, threads=machine.threads)
        return await self._runtime.in_thread(
            host_inventory, self._hostname, self._state_dir, machine, cpu, self._ways.virt_type, pool="guest files"
        )

    async def list_guests(self) -> list[GuestFact]:
        guests, _ = await self._line.call(calls.list_all, limit_s=60.0)
        here = await self._runtime.in_thread(self._files.server_ids, pool="guest files")
        # Guests with our mark but no files in our place belong to another cloud on the same libvirt.
        ours = [guest for guest in guests if guest.server_id in here]
        return [*ours, *[self._debris(server_id) for server_id in here - {guest.server_id for guest in ours}]]

    async def list_unknown_guests(self) -> list[str]:
        _, others = await self._line.call(calls.list_all, limit_s=60.0)
        return others

    async def find_guest(self, server_id: str) -> GuestFact | None:
        return await self._line.call(lambda line: calls.look(line, server_id))

    async def get_guest(self, server_id: str) -> GuestFact:
        guest = await self.find_guest(server_id)
        if guest is None:
            raise GuestNotFound(server_id=server_id)
        return guest

    async def ensure_guest(self, spec: GuestSpec, *, running: bool = True) -> GuestFact:
        server_id = spec.server_id
        xml = domain_xml(spec, place_disks(spec), self._files.paths(spec), self._ways)
        async with self._lock(server_id):
            guest, marked = await self._epochs(server_id)
            self._refuse_stale(server_id, spec.epoch, max(guest, marked))
            if guest != spec.epoch:
                await self._call("delete", calls.remove, server_id, limit_s=OFF_LIMIT_S)
                if marked != spec.epoch:
                    await self._files.build(spec)
                await self._call("define", calls.define, server_id, xml, limit_s=START_LIMIT_S)
            if running:
                await self._call("spawn", calls.start, server_id, limit_s=START_LIMIT_S)
            return await self.get_guest(server_id)

    async def ensure_no_guest(self, server_id: str, *, epoch: int | None = None) -> None:
        async with self._lock(server_id):
            if epoch is not None:
                self._refuse_stale(server_id, epoch, max(await self._epochs(server_id)))
            await self._call("delete", calls.remove, server_id, limit_s=OFF_LIMIT_S)
            await self._runtime.in_thread(self._files.remove, server_id, pool="guest files")

    async def start(self, server_id: str) -> None:
        await self._call("power on", calls.start, server_id, limit_s=START_LIMIT_S)

    async def stop(self, server_id: str, *, timeout_s: float = 60.0) -> None:
        guest = await self.get_guest(server_id)
        if guest.power_state == PowerState.RUNNING and timeout_s > 0:
            await self._ask_to_shut_down(server_id, timeout_s)
        await self._call("power off", calls.switch_off, server_id, limit_s=OFF_LIMIT_S)

    async def reboot(self, server_id: str, *, hard: bool = False, timeout_s: float = 60.0) -> None:
        if not hard:
            guest = await self.get_guest(server_id)
            if guest.power_state != PowerState.RUNNING:
                power = guest.power_state.name.lower()
                raise WrongPower(action="reboot", server_id=server_id, power_state=power)
            await self._ask_to_shut_down(server_id, timeout_s)
        await self._call("reboot", calls.start_anew, server_id, limit_s=OFF_LIMIT_S + START_LIMIT_S)

    def subscribe(self, listener: Callable[[PowerChange], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # -- pause, suspend -------------------------------------------------------------------------------------------
    async def pause(self, server_id: str) -> None:
        await self._call("pause", calls.pause, server_id)

    async def unpause(self, server_id: str) -> None:
        await self._call("unpause", calls.unpause, server_id)

    async def suspend(self, server_id: str) -> None:
        await self._call("suspend", calls.suspend, server_id, limit_s=SAVE_LIMIT_S)

    async def resume(self, server_id: str) -> None:
        await self._call("resume", calls.resume, server_id, limit_s=SAVE_LIMIT_S)

    # -- devices --------------------------------------------------------------------------------------------------
    async def ensure_volume_attached(self, server_id: str, volume: VolumeAttachmentSpec) -> str:
        cache = self._ways.disk_cache
        async with self._lock(server_id):
            device: str = await self._call(
                "attach a volume to", calls.attach_volume, server_id, volume, cache, limit_s=PLUG_LIMIT_S
            )
            return device

    async def ensure_volume_detached(self, server_id: str, volume_id: str, *, timeout_s: float = 20.0) -> None:
        await self._unplug("detach a volume from", calls.detach_volume, server_id, volume_id, timeout_s)

    async def extend_volume(self, server_id: str, volume_id: str, size_bytes: int) -> None:
        await self._call("extend a volume of", calls.extend_volume, server_id, volume_id, size_bytes)

    async def ensure_interface_attached(self, server_id: str, vif: VifSpec) -> None:
        async with self._lock(server_id):
            await self._call("attach an interface to", calls.attach_interface, server_id, vif, limit_s=PLUG_LIMIT_S)

    async def ensure_interface_detached(self, server_id: str, port_id: str, *, timeout_s: float = 20.0) -> None:
        await self._unplug("detach an interface from", calls.detach_interface, server_id, port_id, timeout_s)

    async def _unplug(
        self, action: str, ask: Callable[[Any, str, str], str], server_id: str, what: str, timeout_s: float
    ) -> None:
        """Ask until the guest has let go: one that is still booting does not hear the first time."""
        device = ""

        async def is_gone() -> bool:
            nonlocal device
            async with self._lock(server_id):
                device = await self._call(action, ask, server_id, what, limit_s=PLUG_LIMIT_S)
            return not device

        if not await self._wait(server_id, is_gone, timeout_s):
            raise DeviceBusy(server_id=server_id, device=device)

    # -- consoles, password, snapshot -----------------------------------------------------------------------------
    async def console_output(self, server_id: str, lines: int | None = None) -> bytes:
        await self.get_guest(server_id)
        return tail_lines(await self._runtime.in_thread(self._files.console, server_id, pool="guest files"), lines)

    async def open_console(self, server_id: str, kind: str) -> ConsoleStream:
        if kind == "vnc" and self._ways.has_graphics:
            return DescriptorStream(await self._call("open the console of", calls.open_screen, server_id))
        if kind != "serial":
            raise HypervisorFailed(action="open the console of", log=f"no console of kind {kind}")
        path = await self._call("open the console of", calls.serial_path, server_id)
        try:
            return open_terminal(path)
        except OSError as refused:
            raise HypervisorFailed(action="open the console of", log=str(refused)) from refused

    async def set_admin_password(self, server_id: str, password: str) -> None:
        try:
            await self._call("set the password of", calls.set_password, server_id, password, limit_s=AGENT_LIMIT_S)
        except NoGuestAgent as silent:
            raise NoGuestAgent(server_id=server_id, log=silent.log) from silent

    async def snapshot_root(self, server_id: str, target: Path, *, format: str = "qcow2") -> SnapshotFact:
        if format not in FORMATS:
            raise HypervisorFailed(action="snapshot", log=f"format {format}")
        source, is_on = await self._call("snapshot", calls.root_disk, server_id)
        if not is_on:
            return await self._files.flatten(source, target, format)
        try:
            copy = await self._copy_running(server_id, source)
            return await self._files.flatten(copy, target, format)
        finally:
            await self._runtime.in_thread(self._files.forget_copy, server_id, pool="guest files")

    async def _copy_running(self, server_id: str, source: str) -> str:
        """The changes of a running guest's root disk as they are at one moment, in a file beside it."""
        await self._call("snapshot", calls.end_copy, server_id)  # of an attempt that was cut off
        copy = await self._files.make_copy_target(server_id, source)
        await self._call("snapshot", calls.begin_copy, server_id, copy)
        try:
            if not await self._wait(
                server_id, lambda: self._call("snapshot", calls.is_copied, server_id), COPY_LIMIT_S
            ):
                raise HypervisorFailed(action="snapshot", log=f"the copy took longer than {COPY_LIMIT_S} s")
        finally:
            await self._call("snapshot", calls.end_copy, server_id)
        return copy

    async def _end_copies_of_before(self) -> None:
        """A process that died while it copied left a mirror behind that goes on growing."""
        for server_id in await self._runtime.in_thread(self._files.half_copied, pool="guest files"):
            await self._call("snapshot", calls.end_copy, server_id)
            await self._runtime.in_thread(self._files.forget_copy, server_id, pool="guest files")

    # -- epochs ---------------------------------------------------------------------------------------------------
    async def _epochs(self, server_id: str) -> tuple[int, int]:
        """Of the guest and of its files; 0 for none."""
        guest = await self.find_guest(server_id)
        marker = await self._runtime.in_thread(self._files.marker, server_id, pool="guest files")
        return guest.epoch if guest else 0, marker.epoch if marker else 0

    @staticmethod
    def _refuse_stale(server_id: str, epoch: int, newest: int) -> None:
        if newest > epoch:
            raise StaleEpoch(server_id=server_id, epoch=epoch, newest=newest)

    def _debris(self, server_id: str) -> GuestFact:
        marker = self._files.marker(server_id)
        return GuestFact(
            server_id=server_id,
            epoch=marker.epoch if marker else 0,
            power_state=PowerState.NOSTATE,
            uuid=server_id,
            name=guest_name(server_id),
            vcpus=0,
            ram_mib=0,
        )

    # -- waiting and hearing --------------------------------------------------------------------------------------
    async def _ask_to_shut_down(self, server_id: str, timeout_s: float) -> None:
        """Press the power button, now and again, until the guest is off or the time is over."""
        pressed_at = -ASK_AGAIN_S

        async def is_off() -> bool:
            nonlocal pressed_at
            guest = await self.find_guest(server_id)
            if guest is None or guest.power_state != PowerState.RUNNING:
                return True
            if self._runtime.monotonic() - pressed_at >= ASK_AGAIN_S:
                pressed_at = self._runtime.monotonic()
                await self._call("power off", calls.press_power_button, server_id)
            return False

        await self._wait(server_id, is_off, timeout_s)

    async def _wait(self, server_id: str, is_done: Callable[[], Awaitable[bool]], timeout_s: float) -> bool:
        """Ask until it is so, whenever something happens to the guest and in growing intervals; False when too late."""
        deadline = self._runtime.monotonic() + timeout_s
        news = asyncio.Event()
        self._waiting.setdefault(server_id, set()).add(news)
        pause = 0.05
        try:
            while not await is_done():
                left = deadline - self._runtime.monotonic()
                if left <= 0:
                    return False
                await self._news_or_pause(news, min(pause, left))
                pause = min(2 * pause, 1.0)
            return True
        finally:
            self._waiting[server_id].discard(news)
            if not self._waiting[server_id]:
                del self._waiting[server_id]

    async def _news_or_pause(self, news: asyncio.Event, seconds: float) -> None:
        try:
            async with self._runtime.timeout(seconds):
                await news.wait()
        except TimeoutError:
            pass
        news.clear()

    def _happened(self, happening: Happening) -> None:
        server_id = server_of(happening.name)
        if not server_id:
            return
        for news in self._waiting.get(server_id, ()):
            news.set()
        known = power_after(happening.event, happening.detail)
        if known is not None:
            self._tell(PowerChange(server_id=server_id, power_state=known[0], reason=known[1]))

    def _returned(self) -> None:
        """The line broke and is back: what happened meanwhile is told as it is now."""
        self._runtime.spawn(self._tell_all(), f"guests of {self._hostname} after a break")

    async def _tell_all(self) -> None:
        guests, _ = await self._line.call(calls.list_all, limit_s=60.0)
        for guest in guests:
            self._tell(PowerChange(server_id=guest.server_id, power_state=guest.power_state, reason="reconnected"))

    def _tell(self, change: PowerChange) -> None:
        for listener in list(self._listeners):
            listener(change)

    # -- small things ---------------------------------------------------------------------------------------------
    async def _call(
        self, action: str, work: Callable[..., Any], server_id: str, *rest: object, limit_s: float = 10.0
    ) -> Any:
        guest_dir(self._state_dir, server_id)  # refuses an id that is none
        return await self._line.call(lambda line: work(line, server_id, *rest), action=action, limit_s=limit_s)

    def _lock(self, server_id: str) -> asyncio.Lock:
        lock = self._locks.get(server_id)
        if lock is None:
            lock = self._locks[server_id] = asyncio.Lock()
        return lock

    async def _keep_logs_short(self) -> None:
        while True:
            await self._runtime.sleep(TRIM_EVERY_S)
            await self._runtime.in_thread(self._files.trim_consoles, pool="guest files")
