"""What the contract needs to know of each hypervisor: how to make one, and what it may leave behind."""

import asyncio
import itertools
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from pileus.compute.drivers.base import (
    GuestSpec,
    Hypervisor,
    ImageRoot,
    PowerChange,
    PowerState,
    VifSpec,
    VolumeAttachmentSpec,
    VolumeRoot,
)
from pileus.compute.drivers.fake import FakeHypervisor
from pileus.foundation.runtime import Runtime
from tests.contract.hypervisors.private_libvirt import PrivateLibvirt
from tests.contract.hypervisors.sector_guest import SIZE, sector_guest

GIB = 1 << 30
PATIENCE_S = 60.0


class Bench:
    """One host with its state directory, a base image and as many volumes and taps as a test asks for."""

    kind = "fake"

    def __init__(self, directory: Path):
        self.directory = directory
        self.state_dir = directory / "state"
        self.state_dir.mkdir()
        self.base = directory / "base.raw"
        self.base.write_bytes(sector_guest())
        self._numbers = itertools.count(1)

    # -- drivers --------------------------------------------------------------------------------------------------
    def build(self, runtime: Runtime) -> Any:
        return FakeHypervisor(runtime, hostname="host-1", state_dir=self.state_dir, options={})

    @asynccontextmanager
    async def hypervisor(self) -> AsyncIterator[Any]:
        runtime = Runtime("contract")
        driver: Hypervisor = self.build(runtime)
        await driver.open()
        try:
            yield driver
        finally:
            await driver.close()
            await runtime.stop()

    def run(self, story: Callable[[Any], Awaitable[Any]]) -> Any:
        """Run a story with an open driver, on a loop of its own."""

        async def told() -> Any:
            async with self.hypervisor() as driver:
                return await story(driver)

        return asyncio.run(told())

    # -- what guests are made of ----------------------------------------------------------------------------------
    def spec(self, **changes: Any) -> GuestSpec:
        spec = GuestSpec(
            server_id=str(uuid.uuid4()),
            epoch=1,
            name="web",
            hostname="web",
            vcpus=1,
            ram_mib=32,
            root=ImageRoot(base_path=str(self.base), base_format="raw", base_size_bytes=SIZE),
        )
        return msgspec.structs.replace(spec, **changes)

    def volume(self, device: str = "", content: bytes = bytes(SIZE)) -> VolumeAttachmentSpec:
        volume_id = str(uuid.uuid4())
        path = self.directory / f"volume-{volume_id}"
        path.write_bytes(content)
        connection = {"driver_volume_type": "file", "data": {"path": str(path), "format": "raw"}}
        return VolumeAttachmentSpec(volume_id=volume_id, connection=connection, device=device)

    def bootable_volume(self) -> VolumeRoot:
        return VolumeRoot(volume=self.volume(content=sector_guest()))

    def vif(self) -> VifSpec:
        number = next(self._numbers)
        tap = f"tap-{uuid.uuid4().hex[:8]}"
        self.make_tap(tap)
        return VifSpec(port_id=str(uuid.uuid4()), mac=f"fa:16:3e:00:00:{number:02x}", tap=tap, mtu=1450)

    def make_tap(self, name: str) -> None:
        """The network's business: the fake never looks."""

    # -- what is left ---------------------------------------------------------------------------------------------
    def left_of(self, server_id: str) -> list[str]:
        """Every trace of one guest, found without asking the driver."""
        return [str(path) for path in self.state_dir.rglob("*") if server_id in str(path)]

    def disk_identity(self, server_id: str) -> object:
        """Something that changes when a guest's root disk is made anew, and only then; None where there is none."""
        return None

    def close(self) -> None:
        """End what a test left running."""


class LibvirtBench(Bench):
    kind = "libvirt"

    def __init__(self, directory: Path, libvirtd: PrivateLibvirt):
        super().__init__(directory)
        self.libvirtd = libvirtd

    def build(self, runtime: Runtime) -> Any:
        from pileus.compute.drivers.libvirt import LibvirtHypervisor

        options = {"uri": self.libvirtd.uri, "virt_type": "qemu"}
        return LibvirtHypervisor(runtime, hostname="host-1", state_dir=self.state_dir, options=options)

    def make_tap(self, name: str) -> None:
        self.libvirtd.run("ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr")
        self.libvirtd.run("ip", "link", "set", name, "up")

    def left_of(self, server_id: str) -> list[str]:
        saved = self.libvirtd.run("find", "/var/lib/libvirt", "/etc/libvirt", "/run/libvirt", "-name", f"*{server_id}*")
        running = subprocess.run(["pgrep", "-f", server_id], capture_output=True, text=True).stdout.split()
        domains = [name for name in self.libvirtd.domains() if server_id in name]
        return [*super().left_of(server_id), *saved.stdout.split(), *running, *domains]

    def disk_identity(self, server_id: str) -> object:
        found = (self.state_dir / "guests" / server_id / "disk.qcow2").stat()
        return found.st_ino, found.st_ctime_ns

    def close(self) -> None:
        for name in self.libvirtd.domains():
            self.libvirtd.virsh("destroy", name, check=False)
            self.libvirtd.virsh("undefine", "--managed-save", "--nvram", name, check=False)


async def until(is_so: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Wait until something is so, with a limit that only a failure reaches."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = is_so()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.02)


async def power(driver: Any, server_id: str) -> PowerState:
    fact = await driver.get_guest(server_id)
    state: PowerState = fact.power_state
    return state


class Heard:
    """What a driver told of power changes."""

    def __init__(self, driver: Any):
        self.changes: list[PowerChange] = []
        self.stop = driver.subscribe(self.changes.append)

    def states(self, server_id: str) -> list[PowerState]:
        return [change.power_state for change in self.changes if change.server_id == server_id]

    async def wait_for(self, server_id: str, state: PowerState) -> None:
        await until(lambda: state in self.states(server_id))
