"""What compute asks of a hypervisor: a small core that every driver has, and optional roles.

A driver knows guests, disks and devices of one host. It knows no projects' rights, no API, no database, no network
beyond the name of a tap, and it imports no other part. What a driver cannot do is absent from its roles (`roles_of`),
so that it can be refused before any state changes.

Every method may be repeated: a call that was cut off is simply made again. A call that names a time limit either ends
within it or raises `HypervisorUnavailable`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from pileus.compute.domain.server_states import PowerState as PowerState
from pileus.foundation.errors import BadRequest, Conflict, Error, NotFound, Unavailable
from pileus.foundation.runtime import Runtime


# -- what goes in -------------------------------------------------------------------------------------------------
class VolumeAttachmentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A volume as a guest gets it; inside the guest its disk's serial is the volume's id."""

    volume_id: str
    connection: dict[str, object]  # as the volume service gave it: driver_volume_type "file", path, format
    device: str = ""  # "/dev/vdb"; "" lets the driver choose
    bus: str = ""  # "virtio", "scsi", "sata", "ide", "usb"; "" means the image's bus
    read_only: bool = False


class VifSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A port as a guest gets it: the driver refers to the tap device, it never makes one."""

    port_id: str
    mac: str
    tap: str  # at most 15 characters
    mtu: int = 1500
    model: str = ""  # "virtio", "e1000" ...; "" means the image's model


class ImageRoot(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """A root disk that is an overlay on a base image, which several guests share and nobody writes."""

    base_path: str
    base_format: str  # "qcow2" or "raw", as an inspector found it, never probed
    base_size_bytes: int  # virtual
    disk_gib: int = 0  # 0: as large as the base image


class VolumeRoot(msgspec.Struct, frozen=True, kw_only=True, tag="volume"):
    """A root disk that is a volume."""

    volume: VolumeAttachmentSpec


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a guest is made from.

    `epoch` counts the builds of a server, from 1: whatever carries an older one, its local disks included, is void.
    `attempt` counts the hosts that were tried for this build, from 1.
    """

    server_id: str
    epoch: int
    name: str  # the server's name as the user typed it: hostile until escaped
    hostname: str
    vcpus: int
    ram_mib: int
    root: ImageRoot | VolumeRoot
    ephemeral_gib: int = 0
    swap_mib: int = 0
    volumes: tuple[VolumeAttachmentSpec, ...] = ()
    vifs: tuple[VifSpec, ...] = ()
    config_drive: dict[str, bytes] | None = None  # file contents by path inside the drive; secret
    image_properties: dict[str, str] = {}  # hw_disk_bus, hw_vif_model, hw_machine_type, hw_firmware_type ...
    metadata: dict[str, str] = {}  # the server's, as the user wrote it
    attempt: int = 1
    project_id: str = ""
    project_name: str = ""
    user_id: str = ""
    user_name: str = ""
    flavor_name: str = ""
    image_id: str = ""


# -- what comes out -----------------------------------------------------------------------------------------------
class GuestFact(msgspec.Struct, frozen=True, kw_only=True):
    """A guest as the hypervisor has it, whatever anybody else believes."""

    server_id: str
    epoch: int
    power_state: PowerState
    uuid: str  # the hypervisor's own, equal to the server's id
    name: str  # the hypervisor's name for it (`OS-EXT-SRV-ATTR:instance_name`)
    vcpus: int
    ram_mib: int
    root_device: str = ""  # "/dev/vda"
    volumes: dict[str, str] = {}  # volume id -> device
    ports: dict[str, str] = {}  # port id -> tap


class CpuFact(msgspec.Struct, frozen=True, kw_only=True):
    """The host's processors, as `cpu_info` of the hypervisors' API wants them."""

    arch: str = "x86_64"
    model: str = ""
    vendor: str = ""
    features: tuple[str, ...] = ()
    sockets: int = 1
    cores: int = 1
    threads: int = 1


class HostInventory(msgspec.Struct, frozen=True, kw_only=True):
    """What a host has in all, used or not, except where a name says free."""

    hostname: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    disk_free_gib: int
    hypervisor_type: str  # "QEMU", "fake"
    hypervisor_version: int  # 1000000 * major + 1000 * minor + release
    virt_type: str  # "kvm", "qemu" (software emulation), "fake"
    cpu: CpuFact
    architectures: tuple[str, ...] = ("x86_64",)
    disk_buses: tuple[str, ...] = ()
    vif_models: tuple[str, ...] = ()
    machine_types: tuple[str, ...] = ()
    uptime_s: int | None = None


class PowerChange(msgspec.Struct, frozen=True, kw_only=True):
    """A guest's power state changed, by a call or by itself. Only a nudge: it may come late, twice or never."""

    server_id: str
    power_state: PowerState
    reason: str = ""


class SnapshotFact(msgspec.Struct, frozen=True, kw_only=True):
    """A root disk copied to a file that depends on no other file."""

    path: str
    format: str
    size_bytes: int  # of the file
    virtual_size_bytes: int


# -- what goes wrong ----------------------------------------------------------------------------------------------
class GuestNotFound(NotFound):
    """This host has no such guest."""

    code, message = "hypervisor.guest-not-found", "Instance {server_id} could not be found on its host."


class StaleEpoch(Conflict):
    """The caller speaks of a build that a newer one has made void."""

    code = "hypervisor.stale-epoch"
    message = "Instance {server_id} was built anew: epoch {epoch} is stale, the host has {newest}."


class WrongPower(Conflict):
    """The guest's power state does not allow what was asked."""

    code = "hypervisor.wrong-power"
    message = "Cannot {action} instance {server_id} while its power state is {power_state}."


class DeviceInUse(Conflict):
    """Another disk has the device name that was asked for, or none is free."""

    code, message = "hypervisor.device-in-use", "The device name {device} is not available in instance {server_id}."


class DeviceBusy(Conflict):
    """The guest did not give the device back in time; it is still attached."""

    code = "hypervisor.device-busy"
    message = "Instance {server_id} did not release device {device}; it is still attached."


class BadDevice(BadRequest):
    """A disk, port or image property that this hypervisor does not know."""

    code, message = "hypervisor.bad-device", "The hypervisor does not support {what} '{value}'."


class DiskTooSmall(BadRequest):
    """The flavor's root disk cannot hold the image."""

    code = "hypervisor.disk-too-small"
    message = (
        "Flavor's disk is too small for requested image. "
        "Flavor disk is {disk_bytes} bytes, image is {image_bytes} bytes."
    )


class HypervisorFailed(Error):
    """The hypervisor refused; what it said is in `log`, for the operator only."""

    code, message = "hypervisor.failed", "The hypervisor failed to {action} the instance."


class NoDiskSpace(HypervisorFailed):
    """The host's disk is full."""

    code, message = "hypervisor.disk-full", "There is not enough disk space on the host to {action} the instance."


class NoMemory(HypervisorFailed):
    """The host's memory is used up."""

    code, message = "hypervisor.no-memory", "There is not enough memory on the host to {action} the instance."


class NoGuestAgent(Conflict):
    """What was asked needs an agent inside the guest, and none answers."""

    code, message = "hypervisor.no-agent", "The guest agent of instance {server_id} does not answer."


class HypervisorUnavailable(Unavailable):
    """The hypervisor does not answer, or not in time; the call may be repeated."""

    code, message = "hypervisor.unavailable", "The hypervisor of this host does not answer."


# -- the core -----------------------------------------------------------------------------------------------------
@runtime_checkable
class Hypervisor(Protocol):
    """The core every driver has."""

    async def open(self) -> None:
        """Find the guests that are already there. Once, before anything else. Raises HypervisorUnavailable."""

    async def close(self) -> None:
        """Let go of the hypervisor; guests go on as they are."""

    async def inventory(self) -> HostInventory: ...

    async def list_guests(self) -> list[GuestFact]:
        """Every guest that carries our mark: how a restarted host finds them.

        One of which only files are left has the power state NOSTATE; `ensure_no_guest` removes those too.
        """

    async def list_unknown_guests(self) -> list[str]:
        """Names of guests without our mark: reported, never touched."""

    async def find_guest(self, server_id: str) -> GuestFact | None: ...

    async def get_guest(self, server_id: str) -> GuestFact:
        """Raises GuestNotFound."""

    async def ensure_guest(self, spec: GuestSpec, *, running: bool = True) -> GuestFact:
        """Make the guest with its disks, and start it unless `running` is false.

        A guest of the same epoch keeps its disks and definition (a lost definition is made again) and is started if
        it is off. One of an older epoch is removed first, disks included. Raises StaleEpoch when the host has a newer
        one, NoDiskSpace, NoMemory, BadDevice, HypervisorFailed.
        """

    async def ensure_no_guest(self, server_id: str, *, epoch: int | None = None) -> None:
        """Remove the guest and every file of it; nothing there is fine.

        With `epoch`, a guest of a newer one is left alone and StaleEpoch raised.
        """

    async def start(self, server_id: str) -> None:
        """Power on; a suspended guest goes on where it was, a running one is left alone."""

    async def stop(self, server_id: str, *, timeout_s: float = 60.0) -> None:
        """Ask the guest to shut down, and switch it off after `timeout_s`; 0 switches off at once."""

    async def reboot(self, server_id: str, *, hard: bool = False, timeout_s: float = 60.0) -> None:
        """Start the guest anew: by its own shutdown within `timeout_s`, else (or with `hard`) by switching off.

        `hard` works from every power state and forgets a suspended memory image. Soft raises WrongPower unless the
        guest runs.
        """

    def subscribe(self, listener: Callable[[PowerChange], None]) -> Callable[[], None]:
        """Call `listener` on the event loop for each power change; the returned function ends that."""


# -- optional roles -----------------------------------------------------------------------------------------------
@runtime_checkable
class Pauses(Protocol):
    """Freezes a guest in memory."""

    async def pause(self, server_id: str) -> None:
        """Raises WrongPower when the guest is off."""

    async def unpause(self, server_id: str) -> None: ...


@runtime_checkable
class Suspends(Protocol):
    """Writes a guest's memory to disk and gives the memory back."""

    async def suspend(self, server_id: str) -> None:
        """Raises WrongPower when the guest is off."""

    async def resume(self, server_id: str) -> None: ...


@runtime_checkable
class AttachesVolumes(Protocol):
    """Gives volumes to guests, running or not, and takes them away."""

    async def ensure_volume_attached(self, server_id: str, volume: VolumeAttachmentSpec) -> str:
        """Attach, and return the device ("/dev/vdb"); an attached volume keeps its device. Raises DeviceInUse."""

    async def ensure_volume_detached(self, server_id: str, volume_id: str, *, timeout_s: float = 20.0) -> None:
        """Return only when the guest has let go. No guest or no such volume is fine. Raises DeviceBusy."""


@runtime_checkable
class ExtendsVolumes(Protocol):
    """Tells a guest that a volume it uses became larger."""

    async def extend_volume(self, server_id: str, volume_id: str, size_bytes: int) -> None: ...


@runtime_checkable
class AttachesInterfaces(Protocol):
    """Gives ports to guests, running or not, and takes them away."""

    async def ensure_interface_attached(self, server_id: str, vif: VifSpec) -> None: ...

    async def ensure_interface_detached(self, server_id: str, port_id: str, *, timeout_s: float = 20.0) -> None:
        """Return only when the guest has let go. No guest or no such port is fine. Raises DeviceBusy."""


@runtime_checkable
class HasConsole(Protocol):
    """Keeps what a guest writes to its serial console."""

    async def console_output(self, server_id: str, lines: int | None = None) -> bytes:
        """The last lines as `tail_lines` counts them, or all that is kept (bounded). A guest wrote it: hostile."""


class ConsoleStream(Protocol):
    """One open console: RFB for "vnc", bytes of a terminal for "serial"."""

    async def read(self) -> bytes:
        """What came next; b"" at the end."""

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


@runtime_checkable
class OpensConsoles(Protocol):
    """Connects a person to a guest's console. Who may is decided long before."""

    console_kinds: ClassVar[frozenset[str]]  # of "vnc", "serial"

    async def open_console(self, server_id: str, kind: str) -> ConsoleStream:
        """Raises WrongPower when the guest is off."""


@runtime_checkable
class SetsPassword(Protocol):
    """Changes the administrator's password inside a running guest."""

    async def set_admin_password(self, server_id: str, password: str) -> None:
        """Raises WrongPower, NoGuestAgent."""


@runtime_checkable
class Snapshots(Protocol):
    """Copies root disks, of running guests too."""

    snapshot_formats: ClassVar[tuple[str, ...]]  # the best first

    async def snapshot_root(self, server_id: str, target: Path, *, format: str = "qcow2") -> SnapshotFact:
        """Write the root disk as it is now to `target`, replacing what is there; nothing partial stays on failure."""


@runtime_checkable
class FollowsMetadata(Protocol):
    """Wants to know when the user changes a server's metadata."""

    async def update_metadata(self, server_id: str, metadata: Mapping[str, str]) -> None:
        """`metadata` is all of it. No guest is fine."""


@runtime_checkable
class CutsShort(Protocol):
    """Can end what takes long and nobody waits for any more."""

    async def cut_short(self, server_id: str) -> None:
        """The server is being deleted: what still works for it ends with HypervisorFailed. No guest is fine."""


ROLES: Mapping[str, type] = {
    "pause": Pauses,
    "suspend": Suspends,
    "volumes": AttachesVolumes,
    "extend-volumes": ExtendsVolumes,
    "interfaces": AttachesInterfaces,
    "console-output": HasConsole,
    "remote-console": OpensConsoles,
    "password": SetsPassword,
    "snapshot": Snapshots,
    "metadata": FollowsMetadata,
    "cut-short": CutsShort,
}


def roles_of(driver: object) -> frozenset[str]:
    """The names in `ROLES` that a driver has: what its host tells the rest of the cloud it can do."""
    return frozenset(name for name, role in ROLES.items() if isinstance(driver, role))


class HypervisorFactory(Protocol):
    """What the entry points `pileus.hypervisors` name. Building a driver touches nothing; `open` does."""

    def __call__(
        self, runtime: Runtime, *, hostname: str, state_dir: Path, options: Mapping[str, object]
    ) -> Hypervisor:
        """`state_dir` belongs to this host alone; guests' files go to `guest_dir(state_dir, server_id)`."""


_SERVER_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def guest_dir(state_dir: Path, server_id: str) -> Path:
    """The directory that holds every file of one guest, and nothing else. Raises BadDevice unless the id is a UUID."""
    if not _SERVER_ID.fullmatch(server_id):
        raise BadDevice(what="server id", value=server_id)
    return state_dir / "guests" / server_id


def guest_name(server_id: str) -> str:
    """The hypervisor's own name for a server's guest."""
    return f"pileus-{server_id}"


def tail_lines(output: bytes, lines: int | None) -> bytes:
    """The last `lines` lines as the console API counts them: what follows the last newline is a line too."""
    if lines is None or lines < 0:
        return output
    return b"\n".join(output.split(b"\n")[-lines:]) if lines else b""
