"""What libvirt says of a guest, read back: XML text and numbers in, facts out."""

from xml.etree.ElementTree import Element, fromstring

import msgspec

from pileus.compute.drivers.base import CpuFact, GuestFact, PowerState, guest_name
from pileus.compute.drivers.libvirt.domain_xml import NAMESPACE, PORT_ALIAS

_MARK = f"./metadata/{{{NAMESPACE}}}guest/{{{NAMESPACE}}}server"

# virDomainState, its reasons, and virDomainEventType with its details: libvirt's stable numbers.
RUNNING, BLOCKED, PAUSED, SHUTTING_DOWN, SHUTOFF, CRASHED, PM_SUSPENDED = 1, 2, 3, 4, 5, 6, 7
SHUTOFF_CRASHED = 3
STATES = {
    RUNNING: PowerState.RUNNING,
    BLOCKED: PowerState.RUNNING,
    PAUSED: PowerState.PAUSED,
    SHUTTING_DOWN: PowerState.RUNNING,
    SHUTOFF: PowerState.SHUTDOWN,
    CRASHED: PowerState.CRASHED,
    PM_SUSPENDED: PowerState.SUSPENDED,
}
EVENTS = {
    2: (PowerState.RUNNING, "started"),
    3: (PowerState.PAUSED, "paused"),
    4: (PowerState.RUNNING, "resumed"),
    5: (PowerState.SHUTDOWN, "stopped"),
    7: (PowerState.SUSPENDED, "suspended"),
    8: (PowerState.CRASHED, "crashed"),
}
STOPPED_EVENT, STOPPED_CRASHED, STOPPED_MIGRATED, STOPPED_SAVED, STOPPED_FAILED = 5, 2, 3, 4, 5


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What we wrote into a guest's definition when it was made."""

    server_id: str
    epoch: int
    root: str
    bus: str
    vif_model: str
    admin: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a definition, live or kept, that a driver asks about."""

    mark: Mark
    vcpus: int
    ram_mib: int
    buses: dict[str, str]  # of every disk: "/dev/vda" -> "virtio"
    volumes: dict[str, str]  # volume id -> device
    ports: dict[str, str]  # port id -> tap
    macs: dict[str, str]  # port id -> MAC
    root_source: str
    serial_path: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What libvirt says of the host."""

    ram_mib: int
    vcpus: int
    sockets: int
    cores: int
    threads: int
    version: int
    capabilities: str


def read_definition(xml: str) -> Definition | None:
    """The definition of a guest with our mark; None for anybody else's."""
    domain = fromstring(xml)  # noqa: S314 - libvirt wrote it, and escaped what users wrote
    mark = _read_mark(domain)
    if mark is None:
        return None
    disks = [(_device(disk), disk) for disk in domain.iterfind("./devices/disk")]
    cards = [(_port(card), card) for card in domain.iterfind("./devices/interface")]
    return Definition(
        mark=mark,
        vcpus=int(domain.findtext("vcpu", "0")),
        ram_mib=_mib(domain.find("memory")),
        buses={device: _attribute(disk, "target", "bus") for device, disk in disks},
        volumes={serial: device for device, disk in disks if (serial := disk.findtext("serial", ""))},
        ports={port: _attribute(card, "target", "dev") for port, card in cards if port},
        macs={port: _attribute(card, "mac", "address") for port, card in cards if port},
        root_source=next((_attribute(disk, "source", "file") for device, disk in disks if device == mark.root), ""),
        serial_path=_attribute(domain, "./devices/serial/source", "path"),
    )


def guest_fact(definition: Definition, power_state: PowerState) -> GuestFact:
    mark = definition.mark
    return GuestFact(
        server_id=mark.server_id,
        epoch=mark.epoch,
        power_state=power_state,
        uuid=mark.server_id,
        name=guest_name(mark.server_id),
        vcpus=definition.vcpus,
        ram_mib=definition.ram_mib,
        root_device=mark.root,
        volumes=definition.volumes,
        ports=definition.ports,
    )


def power_state(state: int, reason: int, *, is_saved: bool) -> PowerState:
    """libvirt's state as the API's number."""
    if state == SHUTOFF and is_saved:
        return PowerState.SUSPENDED
    if state == SHUTOFF and reason == SHUTOFF_CRASHED:
        return PowerState.CRASHED
    return STATES.get(state, PowerState.NOSTATE)


def power_after(event: int, detail: int) -> tuple[PowerState, str] | None:
    """What a lifecycle event means for the power state; None for one that means nothing."""
    if event != STOPPED_EVENT:
        return EVENTS.get(event)
    if detail == STOPPED_MIGRATED:
        return None
    special = {
        STOPPED_CRASHED: (PowerState.CRASHED, "crashed"),
        STOPPED_FAILED: (PowerState.CRASHED, "crashed"),  # QEMU went away without a word
        STOPPED_SAVED: (PowerState.SUSPENDED, "suspended"),
    }
    return special.get(detail, EVENTS[event])


def server_of(name: str) -> str:
    """The server whose guest has this name; "" for a stranger."""
    server_id = name.removeprefix(guest_name(""))
    return server_id if name == guest_name(server_id) else ""


def read_cpu(capabilities: str, *, sockets: int, cores: int, threads: int) -> CpuFact:
    """The host's processor from libvirt's capabilities."""
    cpu = fromstring(capabilities).find("./host/cpu")  # noqa: S314 - libvirt wrote it
    if cpu is None:
        return CpuFact(sockets=sockets, cores=cores, threads=threads)
    return CpuFact(
        arch=cpu.findtext("arch", "x86_64"),
        model=cpu.findtext("model", ""),
        vendor=cpu.findtext("vendor", ""),
        features=tuple(feature.get("name", "") for feature in cpu.iterfind("feature")),
        sockets=sockets,
        cores=cores,
        threads=threads,
    )


def _read_mark(domain: Element) -> Mark | None:
    server = domain.find(_MARK)
    if server is None or server.get("id", "") != domain.findtext("uuid", ""):
        return None
    return Mark(
        server_id=server.get("id", ""),
        epoch=int(server.get("epoch", "0")),
        root=server.get("root", ""),
        bus=server.get("bus", "virtio"),
        vif_model=server.get("vif-model", "virtio"),
        admin=server.get("admin", "root"),
    )


def _device(disk: Element) -> str:
    return "/dev/" + _attribute(disk, "target", "dev")


def _port(card: Element) -> str:
    alias = _attribute(card, "alias", "name")
    return alias.removeprefix(PORT_ALIAS) if alias.startswith(PORT_ALIAS) else ""


def _attribute(element: Element, path: str, name: str) -> str:
    found = element.find(path)
    return found.get(name, "") if found is not None else ""


def _mib(memory: Element | None) -> int:
    """libvirt answers in KiB whatever it was told."""
    if memory is None:
        return 0
    units = {"b": 1, "bytes": 1, "KiB": 1 << 10, "k": 1 << 10, "MiB": 1 << 20, "M": 1 << 20, "GiB": 1 << 30}
    return int(memory.text or "0") * units.get(memory.get("unit", "KiB"), 1 << 10) >> 20
