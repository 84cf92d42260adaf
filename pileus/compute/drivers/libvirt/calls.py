"""What is said to libvirt, in blocking calls that run in a thread: the thin place between plans and the hypervisor.

Each function takes the line first, reads what is, and does what is missing, so each may be repeated. Guests without
our mark are looked at and never touched.
"""

from collections.abc import Callable
from typing import Any

import libvirt

from pileus.compute.drivers.base import (
    DeviceInUse,
    GuestFact,
    GuestNotFound,
    HypervisorFailed,
    PowerState,
    VifSpec,
    VolumeAttachmentSpec,
    WrongPower,
)
from pileus.compute.drivers.devices import choose_device, device_prefix, need_hotplug
from pileus.compute.drivers.libvirt.domain_facts import (
    Definition,
    Machine,
    guest_fact,
    power_state,
    read_definition,
)
from pileus.compute.drivers.libvirt.domain_xml import interface_xml, volume_xml

ON = (PowerState.RUNNING, PowerState.PAUSED)
UNDEFINE_ALL = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
LIVE, KEPT = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG
_GONE = (libvirt.VIR_ERR_DEVICE_MISSING, libvirt.VIR_ERR_NO_DOMAIN)


class Guest:
    """A guest of ours as one call found it."""

    def __init__(self, domain: Any, definition: Definition):
        self.domain = domain
        self.definition = definition
        state, reason = domain.state()
        saved = bool(domain.hasManagedSaveImage()) if state == libvirt.VIR_DOMAIN_SHUTOFF else False
        self.power = power_state(state, reason, is_saved=saved)

    @property
    def is_on(self) -> bool:
        return bool(self.domain.isActive())

    def fact(self) -> GuestFact:
        return guest_fact(self.definition, self.power)

    def kept(self) -> Definition:
        """The definition that the next start will use."""
        kept = read_definition(self.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        return kept or self.definition

    def need_power(self, action: str, *wanted: PowerState) -> None:
        if self.power not in wanted:
            raise WrongPower(
                action=action, server_id=self.definition.mark.server_id, power_state=self.power.name.lower()
            )


# -- looking ------------------------------------------------------------------------------------------------------
def find(line: Any, server_id: str) -> Guest | None:
    """Our guest of this id; None when there is none, or when it is somebody else's."""
    try:
        domain = line.lookupByUUIDString(server_id)
        definition = read_definition(domain.XMLDesc(0))
        return Guest(domain, definition) if definition is not None else None
    except libvirt.libvirtError as failure:
        if failure.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def get(line: Any, server_id: str) -> Guest:
    guest = find(line, server_id)
    if guest is None:
        raise GuestNotFound(server_id=server_id)
    return guest


def look(line: Any, server_id: str) -> GuestFact | None:
    guest = find(line, server_id)
    return guest.fact() if guest else None


def list_all(line: Any) -> tuple[list[GuestFact], list[str]]:
    """Our guests, and the names of the others."""
    ours, others = [], []
    for domain in line.listAllDomains():
        try:
            definition = read_definition(domain.XMLDesc(0))
            if definition is None:
                others.append(domain.name())
            else:
                ours.append(Guest(domain, definition).fact())
        except libvirt.libvirtError as failure:
            if failure.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return ours, others


def machine(line: Any) -> Machine:
    _, _, vcpus, _, nodes, sockets, cores, threads = line.getInfo()
    memory = line.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    return Machine(
        ram_mib=memory["total"] >> 10,  # the other figure leaves out memory that came later
        vcpus=vcpus,
        sockets=nodes * sockets,
        cores=cores,
        threads=threads,
        version=line.getVersion(),
        capabilities=line.getCapabilities(),
    )


# -- being ----------------------------------------------------------------------------------------------------------
def define(line: Any, server_id: str, xml: str) -> None:
    """Make the definition unless it is there. Raises HypervisorFailed when a stranger has the id."""
    if find(line, server_id) is None:
        line.defineXML(xml)


def start(line: Any, server_id: str) -> None:
    """Switch on; a suspended guest goes on where it was."""
    guest = get(line, server_id)
    if not guest.is_on:
        _unless_done(guest.domain.create, lambda: bool(guest.domain.isActive()))


def start_anew(line: Any, server_id: str) -> None:
    """Switch off if need be, forget a saved memory, switch on."""
    switch_off(line, server_id)
    start(line, server_id)


def switch_off(line: Any, server_id: str) -> None:
    """At once, and without a saved memory; off already is fine."""
    guest = get(line, server_id)
    _destroy(guest.domain)
    if guest.domain.hasManagedSaveImage():
        guest.domain.managedSaveRemove()


def remove(line: Any, server_id: str) -> None:
    """Switch off and forget; nothing there is fine."""
    guest = find(line, server_id)
    if guest is not None:
        _destroy(guest.domain)
        try:
            guest.domain.undefineFlags(UNDEFINE_ALL)
        except libvirt.libvirtError as failure:
            if failure.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise


def press_power_button(line: Any, server_id: str) -> None:
    """Ask the guest to shut down; what it makes of it shows later."""
    guest = get(line, server_id)
    if guest.power == PowerState.RUNNING:
        _unless_done(
            lambda: guest.domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
            lambda: not guest.domain.isActive(),
        )


def pause(line: Any, server_id: str) -> None:
    guest = get(line, server_id)
    if guest.power != PowerState.PAUSED:
        guest.need_power("pause", PowerState.RUNNING)
        guest.domain.suspend()


def unpause(line: Any, server_id: str) -> None:
    guest = get(line, server_id)
    if guest.power != PowerState.RUNNING:
        guest.need_power("unpause", PowerState.PAUSED)
        guest.domain.resume()


def suspend(line: Any, server_id: str) -> None:
    guest = get(line, server_id)
    if guest.power != PowerState.SUSPENDED:
        guest.need_power("suspend", *ON)
        guest.domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)


def resume(line: Any, server_id: str) -> None:
    guest = get(line, server_id)
    if guest.power == PowerState.PAUSED:
        guest.domain.resume()
    elif guest.power == PowerState.SUSPENDED:
        guest.domain.pMWakeup() if guest.is_on else guest.domain.create()
    else:
        guest.need_power("resume", PowerState.RUNNING)


# -- devices --------------------------------------------------------------------------------------------------------
def attach_volume(line: Any, server_id: str, volume: VolumeAttachmentSpec, cache: str) -> str:
    """Plug a volume in wherever it is missing: in the running guest, in the kept definition."""
    guest = get(line, server_id)
    live, kept = guest.definition, guest.kept()
    device = live.volumes.get(volume.volume_id) or kept.volumes.get(volume.volume_id, "")
    bus = volume.bus or guest.definition.mark.bus
    if not device:
        guest.need_power("attach a volume to", *ON, PowerState.SHUTDOWN, PowerState.CRASHED)
        in_use = (*live.buses, *kept.buses)
        device = choose_device(in_use, wanted=volume.device, prefix=device_prefix(bus), server_id=server_id)
    xml = volume_xml(volume, device=device, bus=bus, cache=cache)
    if guest.is_on and volume.volume_id not in live.volumes:
        need_hotplug(bus)
        guest.domain.attachDeviceFlags(xml, LIVE)
    if volume.volume_id not in kept.volumes:
        guest.domain.attachDeviceFlags(xml, KEPT)
    return device


def detach_volume(line: Any, server_id: str, volume_id: str) -> str:
    """Ask the guest to let a volume go; returns the device while it still has it, "" once it is gone everywhere."""
    guest = find(line, server_id)
    if guest is None:
        return ""
    mark = guest.definition.mark
    if guest.definition.volumes.get(volume_id) == mark.root:
        raise DeviceInUse(device=mark.root, server_id=server_id)
    volumes = dict.fromkeys((*guest.definition.volumes, *guest.kept().volumes))
    if volume_id not in volumes:
        return ""
    guest.need_power("detach a volume from", *ON, PowerState.SHUTDOWN, PowerState.CRASHED)
    device = guest.definition.volumes.get(volume_id, "") if guest.is_on else ""
    if device:
        need_hotplug(guest.definition.buses[device])
        _ask_to_release(guest.domain, f'<disk type="file"><target dev="{device.removeprefix("/dev/")}"/></disk>')
    elif volume_id in guest.kept().volumes:
        target = guest.kept().volumes[volume_id].removeprefix("/dev/")
        guest.domain.detachDeviceFlags(f'<disk type="file"><target dev="{target}"/></disk>', KEPT)
    return device


def attach_interface(line: Any, server_id: str, vif: VifSpec) -> None:
    guest = get(line, server_id)
    live, kept = guest.definition, guest.kept()
    if not {vif.port_id} & (live.ports.keys() | kept.ports.keys()):
        guest.need_power("attach an interface to", *ON, PowerState.SHUTDOWN, PowerState.CRASHED)
    xml = interface_xml(vif, model=live.mark.vif_model)
    if guest.is_on and vif.port_id not in live.ports:
        guest.domain.attachDeviceFlags(xml, LIVE)
    if vif.port_id not in kept.ports:
        guest.domain.attachDeviceFlags(xml, KEPT)


def detach_interface(line: Any, server_id: str, port_id: str) -> str:
    """Ask the guest to let a port go; returns the tap while it still has it, "" once it is gone everywhere."""
    guest = find(line, server_id)
    if guest is None:
        return ""
    live, kept = guest.definition, guest.kept()
    if port_id in live.ports and guest.is_on:
        _ask_to_release(guest.domain, _card(live.macs[port_id]))
        return live.ports[port_id]
    if port_id in kept.ports:
        guest.domain.detachDeviceFlags(_card(kept.macs[port_id]), KEPT)
    return ""


def extend_volume(line: Any, server_id: str, volume_id: str, size_bytes: int) -> None:
    guest = get(line, server_id)
    device = guest.definition.volumes.get(volume_id)
    if device is None:
        raise HypervisorFailed(action="extend a volume of", log=f"{volume_id} is not attached")
    if guest.is_on:
        guest.domain.blockResize(device.removeprefix("/dev/"), size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


# -- consoles, agent, copies ----------------------------------------------------------------------------------------
def open_screen(line: Any, server_id: str) -> int:
    """A connection to the guest's screen, as a file descriptor."""
    guest = get(line, server_id)
    guest.need_power("open the console of", *ON)
    return int(guest.domain.openGraphicsFD(0, 0))


def serial_path(line: Any, server_id: str) -> str:
    """The terminal at which the guest's serial console can be used."""
    guest = get(line, server_id)
    guest.need_power("open the console of", *ON)
    return guest.definition.serial_path


def set_password(line: Any, server_id: str, password: str) -> None:
    guest = get(line, server_id)
    guest.need_power("set the password of", PowerState.RUNNING)
    guest.domain.setUserPassword(guest.definition.mark.admin, password, 0)


def root_disk(line: Any, server_id: str) -> tuple[str, bool]:
    """The file of the root disk, and whether a running guest writes it."""
    guest = get(line, server_id)
    if guest.definition.mark.root in guest.definition.volumes.values():
        raise HypervisorFailed(action="snapshot", log="its root disk is a volume")
    return guest.definition.root_source, guest.is_on


def begin_copy(line: Any, server_id: str, target: str) -> None:
    """Mirror the changes of the root disk into an overlay that is there already."""
    guest = get(line, server_id)
    xml = f'<disk type="file"><driver type="qcow2"/><source file="{_escaped(target)}"/></disk>'
    how = (
        libvirt.VIR_DOMAIN_BLOCK_COPY_SHALLOW
        | libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT
        | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
    )
    guest.domain.blockCopy(_root(guest), xml, {}, how)


def is_copied(line: Any, server_id: str) -> bool:
    """Whether the mirror has caught up. Raises HypervisorFailed when there is none."""
    guest = get(line, server_id)
    job = guest.domain.blockJobInfo(_root(guest), 0)
    if not job:
        raise HypervisorFailed(action="snapshot", log="the copy ended by itself")
    return bool(job["cur"] == job["end"]) and "ready='yes'" in guest.domain.XMLDesc(0)


def end_copy(line: Any, server_id: str) -> None:
    """Let go of the mirror: it stays as the disk was at this moment. None there is fine."""
    guest = find(line, server_id)
    if guest is not None and guest.is_on and guest.domain.blockJobInfo(_root(guest), 0):
        guest.domain.blockJobAbort(_root(guest), 0)


# -- small things -----------------------------------------------------------------------------------------------------
def _root(guest: Guest) -> str:
    return guest.definition.mark.root.removeprefix("/dev/")


def _card(mac: str) -> str:
    return f'<interface type="ethernet"><mac address="{mac}"/></interface>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _ask_to_release(domain: Any, xml: str) -> None:
    """Unplug live; a request that is under way, or done, is not repeated."""
    try:
        domain.detachDeviceFlags(xml, LIVE)
    except libvirt.libvirtError as failure:
        if failure.get_error_code() not in _GONE and "in the process of unplug" not in str(failure):
            raise


def _destroy(domain: Any) -> None:
    """Switch off: gently to QEMU's own buffers first, then not."""
    for flags in (libvirt.VIR_DOMAIN_DESTROY_GRACEFUL, libvirt.VIR_DOMAIN_DESTROY_DEFAULT):
        try:
            if domain.isActive():
                domain.destroyFlags(flags)
            return
        except libvirt.libvirtError as failure:
            if failure.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
                return
            if flags == libvirt.VIR_DOMAIN_DESTROY_DEFAULT:
                raise


def _unless_done(work: Callable[[], object], is_done: Callable[[], bool]) -> None:
    """Do it; when it fails because somebody was faster, that is fine."""
    try:
        work()
    except libvirt.libvirtError as failure:
        if failure.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not is_done():
            raise
