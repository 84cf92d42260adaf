"""The server: everything compute knows of one, as one frozen value.

States change only through `server_states`; every other fact through `changed`, which refuses states.
"""

from collections.abc import Mapping
from typing import Any, NewType

from msgspec import Struct, field
from msgspec.structs import replace

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.errors import UnlockForbidden
from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.image import Image
from pileus.compute.domain.network_request import AUTO, NetworkRequest
from pileus.compute.domain.server_states import Action, PowerState, TaskState, VmState
from pileus.compute.domain.server_status import SHOW_FAULT, SHOW_PROGRESS, status_of

ServerId = NewType("ServerId", str)


class Fault(Struct, frozen=True, omit_defaults=True):
    """Why an action failed, in words that a user can act on; `details` are for admins only."""

    message: str
    created_at: int  # UTC microseconds
    code: int = 500
    details: str = ""


FIXED, FLOATING = "fixed", "floating"


class Address(Struct, frozen=True, omit_defaults=True):
    """One address of an interface."""

    address: str
    subnet_id: str = ""
    kind: str = FIXED  # or FLOATING

    @property
    def version(self) -> int:
        return 6 if ":" in self.address else 4


class Interface(Struct, frozen=True, omit_defaults=True):
    """Compute's copy of one port of the server."""

    port_id: str
    network_id: str
    network_name: str
    mac: str
    addresses: tuple[Address, ...] = ()
    tag: str | None = None
    is_ours: bool = True  # compute made the port, and it goes with the server


class Server(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server. Times are UTC microseconds; `generation` is the stored row's and is counted by the store alone."""

    id: ServerId
    name: str
    project_id: str
    user_id: str
    flavor: Flavor
    number: int = 0  # of the cloud's servers, behind `instance_name`
    generation: int = 0

    # states: see server_states
    vm_state: VmState = VmState.BUILDING
    task_state: TaskState | None = TaskState.SCHEDULING
    power_state: PowerState = PowerState.NOSTATE
    action: Action | None = Action.LAUNCH  # what runs now
    action_at: int | None = None
    began_in: VmState | None = VmState.BUILDING  # vm_state before that
    resized_in: VmState | None = None  # vm_state before a resize that is neither confirmed nor reverted
    progress: int = 0
    fault: Fault | None = None
    locked_by: str = ""  # "", "owner" or "admin"
    locked_reason: str | None = None

    # where it is
    host: str | None = None
    node: str | None = None  # the hypervisor's host name
    epoch: int = 0  # fences attempts: who names an older one is refused
    availability_zone: str | None = None
    pinned_availability_zone: str | None = None

    # what it is made of
    image: Image | None = None  # None: boots from a volume
    block_devices: tuple[BlockDevice, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    old_flavor: Flavor | None = None  # during a resize
    new_flavor: Flavor | None = None

    # what was asked for
    description: str | None = None
    hostname: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    networks: NetworkRequest = AUTO
    scheduler_hints: dict[str, Any] = field(default_factory=dict)
    server_group_id: str | None = None
    key_name: str | None = None
    public_key: str | None = None  # the key as it was, for metadata and config drive
    user_data: str | None = None  # base64
    guest_password: str = ""  # as the guest left it, which should have encrypted it with the public key
    config_drive: bool = False
    disk_config: str = "MANUAL"  # or "AUTO"
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    trusted_image_certificates: tuple[str, ...] | None = None
    reservation_id: str = ""
    launch_index: int = 0
    root_device_name: str | None = None
    files: tuple[tuple[str, str], ...] = ()  # path and base64 content, before 2.57

    created_at: int = 0
    updated_at: int = 0
    launched_at: int | None = None
    terminated_at: int | None = None
    deleted_at: int | None = None

    def __repr__(self) -> str:
        """Names and states only: user data and files stay out of every log."""
        task = f"/{self.task_state.value}" if self.task_state is not None else ""
        return f"Server({self.id} {self.name!r} {self.vm_state.value}{task} on {self.host}, gen {self.generation})"

    @property
    def status(self) -> str:
        return status_of(self.vm_state, self.task_state)

    @property
    def is_locked(self) -> bool:
        return bool(self.locked_by)

    @property
    def is_volume_backed(self) -> bool:
        return any(device.is_root and device.is_volume for device in self.block_devices)

    @property
    def instance_name(self) -> str:
        """The guest's name at the hypervisor; empty until the server has a host."""
        return f"instance-{self.number:08x}" if self.number and self.host is not None else ""

    @property
    def shown_fault(self) -> Fault | None:
        return self.fault if self.status in SHOW_FAULT else None

    @property
    def shown_progress(self) -> int | None:
        """0 to 100 while the status has a progress, else None."""
        return self.progress if self.status in SHOW_PROGRESS else None

    @property
    def volume_devices(self) -> tuple[BlockDevice, ...]:
        """The devices that are volumes by now."""
        return tuple(device for device in self.block_devices if device.volume_id is not None)

    def addresses(self) -> dict[str, list[tuple[Address, str]]]:
        """Addresses with their MAC by network name, in the order of the interfaces."""
        found: dict[str, list[tuple[Address, str]]] = {}
        for interface in self.interfaces:
            known = found.setdefault(interface.network_name, [])
            known.extend((address, interface.mac) for address in interface.addresses)
        return found


STATE_FIELDS = frozenset(
    {
        "vm_state",
        "task_state",
        "action",
        "action_at",
        "began_in",
        "resized_in",
        "launched_at",
        "terminated_at",
        "deleted_at",
    }
)


def changed(server: Server, now: int, **facts: Any) -> Server:
    """Return the server with other facts; states belong to `server_states`."""
    if not STATE_FIELDS.isdisjoint(facts):
        raise ValueError(f"only server_states changes {sorted(STATE_FIELDS.intersection(facts))}")
    return replace(server, updated_at=now, **facts)


def with_addresses(server: Server, addresses: Mapping[str, tuple[Address, ...]]) -> Server:
    """Return the server with these addresses by port; ports that it does not have are not its business yet."""
    interfaces = tuple(
        replace(known, addresses=addresses.get(known.port_id, known.addresses)) for known in server.interfaces
    )
    return server if interfaces == server.interfaces else replace(server, interfaces=interfaces)


def lock(server: Server, now: int, *, by_admin: bool, reason: str | None = None) -> Server:
    """Return the server locked; an owner's lock over an admin's stays the admin's."""
    by = "admin" if by_admin or server.locked_by == "admin" else "owner"
    return replace(server, locked_by=by, locked_reason=reason, updated_at=now)


def unlock(server: Server, now: int, *, may_override: bool) -> Server:
    """Return the server unlocked. Raises: UnlockForbidden (403) for an admin's lock unless the caller may override."""
    if server.locked_by == "admin" and not may_override:
        raise UnlockForbidden
    return replace(server, locked_by="", locked_reason=None, updated_at=now)
