"""Which name each disk of a guest has: pure rules that every driver shares, so that the API answers alike."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from pileus.compute.drivers.base import BadDevice, DeviceInUse, GuestSpec, VolumeRoot

PREFIXES: Mapping[str, str] = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
HOTPLUG_BUSES = ("virtio", "scsi", "usb")
_SLOTS: Mapping[str, int] = {"vd": 52, "sd": 52, "hd": 4}
_DEVICE = re.compile(r"(?:/dev/)?(xvd|vd|sd|hd)([a-z]{1,2})")
_MACHINES_WITH_IDE = ("pc", "i440fx")


class Disks(msgspec.Struct, frozen=True, kw_only=True):
    """The devices of one guest; "" for what it does not have."""

    bus: str
    root: str
    ephemeral: str = ""
    swap: str = ""
    volumes: dict[str, str] = {}  # by volume id, the root volume included
    config_drive: str = ""
    config_drive_bus: str = ""


def disk_bus(properties: Mapping[str, str]) -> str:
    """The bus an image wants for its disks. Raises BadDevice."""
    bus = properties.get("hw_disk_bus", "virtio")
    device_prefix(bus)
    return bus


def cdrom_bus(properties: Mapping[str, str]) -> str:
    """The bus for a config drive: the image's wish, else what its machine has without a driver."""
    wish = properties.get("hw_cdrom_bus", "")
    if wish:
        device_prefix(wish)
        return wish
    return "ide" if machine_type(properties).startswith(_MACHINES_WITH_IDE) else "sata"


_MACHINE = re.compile(r"(pc|q35|pc-i440fx-[0-9.]+|pc-q35-[0-9.]+)")


def machine_type(properties: Mapping[str, str]) -> str:
    """The machine an image wants. Raises BadDevice."""
    machine = properties.get("hw_machine_type", "pc")
    if not _MACHINE.fullmatch(machine):
        raise BadDevice(what="machine type", value=machine)
    return machine


def device_prefix(bus: str) -> str:
    """The letters with which a bus' devices begin. Raises BadDevice."""
    if bus not in PREFIXES:
        raise BadDevice(what="disk bus", value=bus)
    return PREFIXES[bus]


def need_hotplug(bus: str) -> None:
    """Raises BadDevice for a bus whose disks cannot change while a guest runs."""
    if bus not in HOTPLUG_BUSES:
        raise BadDevice(what="changing the disks of a running guest on the bus", value=bus)


def choose_device(in_use: Iterable[str], *, wanted: str, prefix: str, server_id: str) -> str:
    """A free device; the wanted one if it can be had, whatever bus' letters it was written with.

    Raises DeviceInUse, BadDevice.
    """
    taken = set(in_use)
    if wanted:
        match = _DEVICE.fullmatch(wanted)
        if match is None:
            raise BadDevice(what="device name", value=wanted)
        if match[1] == prefix:
            device = f"/dev/{prefix}{match[2]}"
            if device in taken:
                raise DeviceInUse(device=device, server_id=server_id)
            return device
    for slot in range(_SLOTS[prefix]):
        device = f"/dev/{prefix}{_letters(slot)}"
        if device not in taken:
            return device
    raise DeviceInUse(device=f"/dev/{prefix}*", server_id=server_id)


def place_disks(spec: GuestSpec) -> Disks:
    """Name every disk of a new guest: root, then what was asked for by name, then the rest. Raises DeviceInUse."""
    bus = disk_bus(spec.image_properties)
    taken: list[str] = []

    def take(disk_bus: str, wanted: str = "") -> str:
        device = choose_device(taken, wanted=wanted, prefix=device_prefix(disk_bus), server_id=spec.server_id)
        taken.append(device)
        return device

    volumes: dict[str, str] = {}
    if isinstance(spec.root, VolumeRoot):
        bus = spec.root.volume.bus or bus
        root = volumes[spec.root.volume.volume_id] = take(bus, spec.root.volume.device)
    else:
        root = take(bus)
    for volume in spec.volumes:
        if volume.device:
            volumes[volume.volume_id] = take(volume.bus or bus, volume.device)
    ephemeral = take(bus) if spec.ephemeral_gib else ""
    swap = take(bus) if spec.swap_mib else ""
    for volume in spec.volumes:
        if not volume.device:
            volumes[volume.volume_id] = take(volume.bus or bus)
    cdrom = cdrom_bus(spec.image_properties) if spec.config_drive is not None else ""
    return Disks(
        bus=bus,
        root=root,
        ephemeral=ephemeral,
        swap=swap,
        volumes=volumes,
        config_drive=take(cdrom) if cdrom else "",
        config_drive_bus=cdrom,
    )


def _letters(slot: int) -> str:
    return chr(97 + slot) if slot < 26 else "a" + chr(97 + slot - 26)
