"""A guest as libvirt wants to read it: specification in, XML text out, nothing else.

Whatever a user wrote is escaped here, and every disk names its format, so that nobody ever guesses one from bytes that
a guest can write. The guest carries our mark in its metadata: server, epoch, project.
"""

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

from pileus.compute.drivers.base import (
    BadDevice,
    GuestSpec,
    ImageRoot,
    VifSpec,
    VolumeAttachmentSpec,
    guest_name,
)
from pileus.compute.drivers.devices import PREFIXES, Disks, machine_type

NAMESPACE = "urn:pileus:guest:1"
PORT_ALIAS = "ua-"  # libvirt keeps aliases of our own only with this prefix
HOTPLUG_PORTS = 16

VIF_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3")
VIDEO_MODELS = ("cirrus", "vga", "virtio", "qxl", "bochs", "none")
SCSI_MODELS = ("virtio-scsi", "lsilogic", "lsisas1068", "vmpvscsi")
FIRMWARES = ("bios", "uefi")
FORMATS = ("raw", "qcow2")

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_TAP = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,60}")


class HostWays(msgspec.Struct, frozen=True, kw_only=True):
    """How this host runs its guests."""

    virt_type: str  # "kvm" or "qemu"
    cpu_mode: str = ""  # "" lets the driver choose
    cpu_model: str = ""
    disk_cache: str = "none"
    has_graphics: bool = True


class GuestFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Where the files of one guest are; "" for what it does not have."""

    root: str = ""
    ephemeral: str = ""
    swap: str = ""
    config_drive: str = ""
    console_log: str


def domain_xml(spec: GuestSpec, disks: Disks, files: GuestFiles, host: HostWays) -> str:
    """The whole definition of a guest. Raises BadDevice for image properties that are not known."""
    properties = spec.image_properties
    machine = machine_type(properties)
    domain = Element("domain", type=host.virt_type)
    _text(domain, "name", guest_name(spec.server_id))
    _text(domain, "uuid", spec.server_id)
    domain.append(_metadata(spec, disks))
    _text(domain, "memory", str(spec.ram_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus), placement="static")
    domain.append(_sysinfo(spec))
    domain.append(_os(machine, _one_of(properties, "hw_firmware_type", FIRMWARES)))
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    domain.append(_cpu(spec, host))
    domain.append(_clock())
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(domain, event, action)
    power = SubElement(domain, "pm")
    SubElement(power, "suspend-to-mem", enabled="no")
    SubElement(power, "suspend-to-disk", enabled="no")
    domain.append(_devices(spec, disks, files, host, is_q35="q35" in machine))
    return _serialised(domain)


def volume_xml(volume: VolumeAttachmentSpec, *, device: str, bus: str, cache: str) -> str:
    """A volume as a disk to plug in; its serial is the volume's id."""
    return _serialised(_volume_disk(volume, device=device, bus=bus, cache=cache))


def interface_xml(vif: VifSpec, *, model: str) -> str:
    """A port as a network card to plug in, on a tap that is somebody else's."""
    return _serialised(_interface(vif, model))


def vif_model(properties: Mapping[str, str]) -> str:
    """The network card an image wants. Raises BadDevice."""
    return _one_of(properties, "hw_vif_model", VIF_MODELS)


def file_of_volume(connection: Mapping[str, object]) -> tuple[str, str]:
    """Path and format of a volume that is a file, the only kind this driver attaches. Raises BadDevice."""
    kind = connection.get("driver_volume_type", "")
    data = connection.get("data", connection)
    if kind != "file" or not isinstance(data, Mapping):
        raise BadDevice(what="volume connection", value=kind)
    path, written_as = data.get("path"), data.get("format")
    if not isinstance(path, str) or not path.startswith("/"):
        raise BadDevice(what="volume path", value="")
    if written_as not in FORMATS:
        raise BadDevice(what="volume format", value=written_as)
    return path, str(written_as)


# -- the parts of a definition ------------------------------------------------------------------------------------
def _metadata(spec: GuestSpec, disks: Disks) -> Element:
    metadata = Element("metadata")
    guest = SubElement(metadata, "pileus:guest", {"xmlns:pileus": NAMESPACE})
    facts = {
        "id": spec.server_id,
        "epoch": str(spec.epoch),
        "root": disks.root,
        "bus": disks.bus,
        "vif-model": vif_model(spec.image_properties),
        "admin": spec.image_properties.get("os_admin_user", "root"),
    }
    SubElement(guest, "pileus:server", {key: _clean(value) for key, value in facts.items()})
    _text(guest, "pileus:name", spec.name)
    for tag, key, name in (
        ("project", spec.project_id, spec.project_name),
        ("user", spec.user_id, spec.user_name),
        ("flavor", "", spec.flavor_name),
        ("image", spec.image_id, ""),
    ):
        SubElement(guest, f"pileus:{tag}", {"id": _clean(key), "name": _clean(name)})
    return metadata


def _sysinfo(spec: GuestSpec) -> Element:
    """What the guest reads from its SMBIOS; cloud-init looks for exactly these two names."""
    sysinfo = Element("sysinfo", type="smbios")
    system = SubElement(sysinfo, "system")
    for name, value in (
        ("manufacturer", "OpenStack Foundation"),
        ("product", "OpenStack Compute"),
        ("serial", spec.server_id),
        ("uuid", spec.server_id),
        ("family", "Virtual Machine"),
    ):
        _text(system, "entry", value, name=name)
    return sysinfo


def _os(machine: str, firmware: str) -> Element:
    os = Element("os", {"firmware": "efi"} if firmware == "uefi" else {})
    _text(os, "type", "hvm", arch="x86_64", machine=machine)
    SubElement(os, "smbios", mode="sysinfo")
    SubElement(os, "bios", useserial="no")
    return os


def _cpu(spec: GuestSpec, host: HostWays) -> Element:
    mode = host.cpu_mode or ("host-model" if host.virt_type == "kvm" else "custom")
    cpu = Element("cpu", mode=mode)
    if mode == "custom":
        cpu.set("match", "exact")
        _text(cpu, "model", host.cpu_model or "qemu64", fallback="allow")
    topology = _topology(spec)
    if topology:
        SubElement(cpu, "topology", topology)
    return cpu


def _topology(spec: GuestSpec) -> dict[str, str]:
    """Sockets, cores and threads as the image wants them, if they make the flavor's number of processors."""
    wishes = {name: spec.image_properties.get(f"hw_cpu_{name}", "") for name in ("sockets", "cores", "threads")}
    if not any(wishes.values()):
        return {}
    numbers = {name: int(wish) if re.fullmatch("[1-9][0-9]{0,3}", wish) else 1 for name, wish in wishes.items()}
    if not wishes["sockets"]:
        numbers["sockets"] = max(1, spec.vcpus // (numbers["cores"] * numbers["threads"]))
    if numbers["sockets"] * numbers["cores"] * numbers["threads"] != spec.vcpus:
        raise BadDevice(what=f"processor topology for {spec.vcpus} vCPUs", value=wishes)
    return {name: str(number) for name, number in numbers.items()}


def _clock() -> Element:
    clock = Element("clock", offset="utc")
    SubElement(clock, "timer", name="pit", tickpolicy="delay")
    SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    SubElement(clock, "timer", name="hpet", present="no")
    return clock


def _devices(spec: GuestSpec, disks: Disks, files: GuestFiles, host: HostWays, *, is_q35: bool) -> Element:
    devices = Element("devices")
    for disk in _disks(spec, disks, files, host.disk_cache):
        devices.append(disk)
    for controller in _controllers(spec, disks, is_q35=is_q35):
        devices.append(controller)
    for vif in spec.vifs:
        devices.append(_interface(vif, vif_model(spec.image_properties)))
    serial = SubElement(devices, "serial", type="pty")
    SubElement(serial, "log", file=files.console_log, append="on")
    SubElement(serial, "target", port="0")
    agent = SubElement(devices, "channel", type="unix")
    SubElement(agent, "target", type="virtio", name="org.qemu.guest_agent.0")
    _add_graphics(devices, spec.image_properties, host)
    rng = SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    balloon = SubElement(devices, "memballoon", model="virtio")
    SubElement(balloon, "stats", period="10")
    return devices


def _add_graphics(devices: Element, properties: Mapping[str, str], host: HostWays) -> None:
    """A screen that listens nowhere: only libvirt hands out a connection to it."""
    video = _one_of(properties, "hw_video_model", VIDEO_MODELS) if host.has_graphics else "none"
    if video != "none":
        graphics = SubElement(devices, "graphics", type="vnc")
        SubElement(graphics, "listen", type="none")
    element = SubElement(devices, "video")
    SubElement(element, "model", type=video)


def _controllers(spec: GuestSpec, disks: Disks, *, is_q35: bool) -> list[Element]:
    found = []
    if is_q35:
        found.append(Element("controller", type="pci", index="0", model="pcie-root"))
        found += [Element("controller", type="pci", model="pcie-root-port") for _ in range(HOTPLUG_PORTS)]
    buses = {disks.bus, disks.config_drive_bus, *(volume.bus for volume in spec.volumes)}
    if "scsi" in buses:
        model = _one_of(spec.image_properties, "hw_scsi_model", SCSI_MODELS)
        found.append(Element("controller", type="scsi", index="0", model=model))
    usb = Element("controller", type="usb", index="0")
    usb.set("model", "qemu-xhci" if "usb" in buses else "none")
    if "usb" in buses:
        usb.set("ports", "15")
    found.append(usb)
    return found


def _disks(spec: GuestSpec, disks: Disks, files: GuestFiles, cache: str) -> list[Element]:
    if isinstance(spec.root, ImageRoot):
        found = [_disk(files.root, "qcow2", device=disks.root, bus=disks.bus, cache=cache)]
    else:
        root = spec.root.volume
        found = [_volume_disk(root, device=disks.root, bus=disks.bus, cache=cache)]
    SubElement(found[0], "boot", order="1")
    for path, device in ((files.ephemeral, disks.ephemeral), (files.swap, disks.swap)):
        if device:
            found.append(_disk(path, "raw", device=device, bus=disks.bus, cache=cache))
    for volume in spec.volumes:
        device, bus = disks.volumes[volume.volume_id], volume.bus or disks.bus
        found.append(_volume_disk(volume, device=device, bus=bus, cache=cache))
    if disks.config_drive:
        found.append(_cdrom(files.config_drive, device=disks.config_drive, bus=disks.config_drive_bus))
    return found


def _disk(path: str, format: str, *, device: str, bus: str, cache: str) -> Element:
    disk = Element("disk", type="file", device="disk")
    SubElement(disk, "driver", name="qemu", type=format, cache=cache, io="threads", discard="unmap")
    SubElement(disk, "source", file=path)
    SubElement(disk, "target", dev=_target(device), bus=bus)
    return disk


def _volume_disk(volume: VolumeAttachmentSpec, *, device: str, bus: str, cache: str) -> Element:
    path, written_as = file_of_volume(volume.connection)
    disk = _disk(path, written_as, device=device, bus=bus, cache=cache)
    if volume.read_only:
        SubElement(disk, "readonly")
    _text(disk, "serial", volume.volume_id)
    return disk


def _cdrom(path: str, *, device: str, bus: str) -> Element:
    disk = Element("disk", type="file", device="cdrom")
    SubElement(disk, "driver", name="qemu", type="raw", cache="writeback")
    SubElement(disk, "source", file=path)
    SubElement(disk, "target", dev=_target(device), bus=bus)
    SubElement(disk, "readonly")
    return disk


def _interface(vif: VifSpec, model: str) -> Element:
    for what, value, pattern in (("MAC", vif.mac, _MAC), ("tap", vif.tap, _TAP), ("port id", vif.port_id, _ALIAS)):
        if not pattern.fullmatch(value):
            raise BadDevice(what=what, value=value)
    wanted = vif.model or model
    if wanted not in VIF_MODELS:
        raise BadDevice(what="interface model", value=wanted)
    interface = Element("interface", type="ethernet")
    SubElement(interface, "mac", address=vif.mac)
    SubElement(interface, "target", dev=vif.tap, managed="no")
    SubElement(interface, "model", type=wanted)
    if wanted == "virtio":
        SubElement(interface, "driver", name="qemu")
    SubElement(interface, "mtu", size=str(vif.mtu))
    SubElement(interface, "alias", name=PORT_ALIAS + vif.port_id)
    return interface


# -- small things -------------------------------------------------------------------------------------------------
_DEFAULTS = {
    "hw_firmware_type": "bios",
    "hw_vif_model": "virtio",
    "hw_video_model": "cirrus",
    "hw_scsi_model": "virtio-scsi",
}


def _one_of(properties: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    value = properties.get(name) or _DEFAULTS[name]
    if value not in known:
        raise BadDevice(what=name, value=value)
    return value


def _target(device: str) -> str:
    """ "/dev/vdb" as libvirt writes it."""
    name = device.removeprefix("/dev/")
    if name[:2] not in PREFIXES.values():
        raise BadDevice(what="device name", value=device)
    return name


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = _clean(text)


def _clean(text: str) -> str:
    """What XML cannot hold at all becomes U+FFFD; the rest is escaped when it is written."""
    return _NOT_XML.sub("\ufffd", text)


def _serialised(element: Element) -> str:
    return tostring(element, encoding="unicode")
