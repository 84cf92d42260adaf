"""The disks of a server: what was asked for in any of the three ways, brought into one list.

Nothing here asks the image or volume service; whoever calls has resolved what must exist.
"""

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from pileus.compute.domain.errors import (
    BlockDeviceLimit,
    BlockDevicesInvalid,
    BootSequenceInvalid,
    EphemeralTooLarge,
    SwapTooLarge,
    TooManyDisks,
)

Source = Literal["blank", "image", "snapshot", "volume"]
Destination = Literal["local", "volume"]

DISK_BUSES: dict[str, str] = {
    "virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd", "xen": "xvd", "uml": "ubd",
    "lxc": "vd", "nvme": "vd",
}  # fmt: skip
"""Disk buses that a request may name, and how device names begin there."""

_DEFAULT_DESTINATION: dict[str, Destination] = {
    "blank": "local", "image": "local", "snapshot": "volume", "volume": "volume",
}  # fmt: skip

_SUFFIXES: list[str] = [*string.ascii_lowercase]
_SUFFIXES += [first + second for first in string.ascii_lowercase for second in string.ascii_lowercase]


BEING_MADE = frozenset({"creating", "downloading"})
"""The status of a volume that nobody can attach or delete yet."""
MADE_FOR_DEVICE, MADE_FOR = "pileus_block_device", "pileus_server"


class BlockDevice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One disk of a server. Size in GiB, of swap in MiB; None takes the source's own size."""

    id: str = ""
    boot_index: int | None = None  # 0 is the root; None is never booted from
    source: Source = "blank"
    destination: Destination = "local"
    image_id: str | None = None
    snapshot_id: str | None = None
    volume_id: str | None = None
    attachment_id: str | None = None
    size: int | None = None
    device_name: str | None = None  # as the guest will most likely call it: /dev/vda
    disk_bus: str | None = None
    device_type: str = "disk"  # or "cdrom", "floppy", "lun"
    guest_format: str | None = None  # "swap", or a file system
    volume_type: str | None = None
    tag: str | None = None
    delete_on_termination: bool = False

    @property
    def is_root(self) -> bool:
        return self.boot_index == 0

    @property
    def is_volume(self) -> bool:
        return self.destination == "volume"

    @property
    def is_swap(self) -> bool:
        return self.source == "blank" and self.destination == "local" and self.guest_format == "swap"

    @property
    def is_ephemeral(self) -> bool:
        return self.source == "blank" and self.destination == "local" and self.guest_format != "swap"

    @property
    def needs_volume(self) -> bool:
        """Whether a volume has to be made for it first."""
        return self.is_volume and self.volume_id is None

    @property
    def is_made(self) -> bool:
        """Whether its volume is made for the server, or was; the others are brought."""
        return self.is_volume and self.source != "volume"

    def marks(self, server_id: str) -> dict[str, str]:
        """In the metadata of the volume that is made for it: for which device, of which server."""
        return {MADE_FOR_DEVICE: self.id, MADE_FOR: server_id}

    def as_asked(self) -> "BlockDevice":
        """The device before anything was made or attached for it."""
        return replace(self, volume_id=None if self.is_made else self.volume_id, attachment_id=None)


class DiskSizes(Struct, frozen=True):
    """How much local disk a flavor grants besides the root."""

    ephemeral_gib: int = 0
    swap_mib: int = 0


def read_block_devices(
    *,
    image_id: str | None,
    legacy: Sequence[Mapping[str, Any]] = (),
    v2: Sequence[Mapping[str, Any]] = (),
    sizes: DiskSizes,
    max_local: int = 3,
) -> tuple[BlockDevice, ...]:
    """Return the disks that a request asks for, the flavor's swap and ephemeral disk included, root first.

    `max_local` bounds local disks, negative for no bound. Raises: BlockDevicesInvalid and its kinds (400).
    """
    if legacy and v2:
        raise BlockDevicesInvalid("Using different block_device_mapping syntaxes is not allowed in the same request.")
    if legacy:
        devices = _read_legacy(legacy, image_id)
    else:
        devices = [_read_v2(entry, image_id) for entry in v2 if not entry.get("no_device")]
        if image_id and not any(d.is_root and d.image_id == image_id and not d.is_volume for d in devices):
            devices.insert(0, _image_disk(image_id))
    devices = _with_flavor_disks(devices, sizes)
    _check_boot_sequence(devices)
    _check_local(devices, sizes, max_local)
    return tuple(sorted(devices, key=lambda device: not device.is_root))


def with_ids(devices: Iterable[BlockDevice], new_id: Callable[[], str]) -> tuple[BlockDevice, ...]:
    """Return the devices, each with an id of its own."""
    return tuple(device if device.id else replace(device, id=new_id()) for device in devices)


def with_device_names(devices: Iterable[BlockDevice], *, default_bus: str = "virtio") -> tuple[BlockDevice, ...]:
    """Return the devices named in their order: /dev/vda, /dev/vdb ... by the bus of each; names once given stay.

    A name that the request chose is not honoured: a guest names its disks by itself.
    """
    named: list[BlockDevice] = []
    taken = [device.device_name for device in devices if device.device_name]
    for device in devices:
        if device.device_name is None:
            name = next_device_name(taken, device.disk_bus or default_bus)
            taken.append(name)
            device = replace(device, device_name=name)
        named.append(device)
    return tuple(named)


def next_device_name(taken: Iterable[str], bus: str = "virtio") -> str:
    """The first free name on the bus, /dev/vda to /dev/vdzz. Raises: TooManyDisks (403)."""
    used = set(taken)
    prefix = "/dev/" + DISK_BUSES.get(bus, "vd")
    for suffix in _SUFFIXES:
        if prefix + suffix not in used:
            return prefix + suffix
    raise TooManyDisks(maximum=len(_SUFFIXES))


def root_of(devices: Iterable[BlockDevice]) -> BlockDevice | None:
    """The disk that the server boots from."""
    return next((device for device in devices if device.is_root), None)


def _read_v2(entry: Mapping[str, Any], image_id: str | None) -> BlockDevice:
    source = entry.get("source_type")
    if source not in _DEFAULT_DESTINATION:
        raise BlockDevicesInvalid(details="Some required fields are missing")
    uuid = entry.get("uuid") or entry.get(f"{source}_id")
    if source == "blank" and uuid:
        raise BlockDevicesInvalid(details="Invalid device UUID.")
    if source != "blank" and not uuid:
        raise BlockDevicesInvalid(details="Missing device UUID.")
    device = BlockDevice(
        boot_index=_boot_index(entry.get("boot_index")),
        source=source,
        destination=entry.get("destination_type") or _DEFAULT_DESTINATION[source],
        image_id=uuid if source == "image" else None,
        snapshot_id=uuid if source == "snapshot" else None,
        volume_id=uuid if source == "volume" else None,
        size=_size(entry.get("volume_size")),
        disk_bus=entry.get("disk_bus"),
        device_type=entry.get("device_type") or "disk",
        guest_format=entry.get("guest_format"),
        volume_type=entry.get("volume_type"),
        tag=entry.get("tag"),
        delete_on_termination=_truth(entry.get("delete_on_termination")),
    )
    _check_device(device, image_id)
    # What is local lives and dies with the server.
    return device if device.is_volume else replace(device, delete_on_termination=True)


def _check_device(device: BlockDevice, image_id: str | None) -> None:
    """Refuse combinations of source and destination that mean nothing."""
    if device.source == "image" and not device.is_volume and not (device.is_root and device.image_id == image_id):
        raise BlockDevicesInvalid(details="Mapping image to local is not supported.")
    if device.source in ("volume", "snapshot") and not device.is_volume:
        raise BlockDevicesInvalid(details=f"Mapping {device.source} to local is not supported.")
    if device.volume_type and not device.is_volume:
        raise BlockDevicesInvalid(details="Specifying a volume_type with destination_type=local is not supported.")
    if device.volume_type and device.source == "volume":
        raise BlockDevicesInvalid(details="Specifying volume type to existing volume is not supported.")
    if device.source == "image" and device.is_volume and not device.size:
        raise BlockDevicesInvalid("Images with destination_type 'volume' need to have a non-zero size specified")
    if device.source == "blank" and device.is_volume and not device.size:
        raise BlockDevicesInvalid("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
    if device.disk_bus and device.disk_bus not in DISK_BUSES:
        raise BlockDevicesInvalid(
            f"Block Device Mapping is invalid: The provided disk bus {device.disk_bus} is not valid."
        )


def _read_legacy(entries: Sequence[Mapping[str, Any]], image_id: str | None) -> list[BlockDevice]:
    """The oldest form: volumes and snapshots by device name; without an image the first of them is the root."""
    devices = [_legacy_device(entry) for entry in entries if not _truth(entry.get("no_device"))]
    if image_id:
        return [_image_disk(image_id), *devices]
    for at, device in enumerate(devices):
        if device.source != "blank":
            devices[at] = replace(device, boot_index=0)
            break
    return devices


def _legacy_device(entry: Mapping[str, Any]) -> BlockDevice:
    virtual, size = entry.get("virtual_name") or "", _size(entry.get("volume_size"))
    if virtual == "swap" or virtual.startswith("ephemeral"):
        guest_format = "swap" if virtual == "swap" else None
        return BlockDevice(source="blank", size=size, guest_format=guest_format, delete_on_termination=True)
    keep = _truth(entry.get("delete_on_termination"))
    if entry.get("snapshot_id"):
        return BlockDevice(
            source="snapshot",
            destination="volume",
            snapshot_id=entry["snapshot_id"],
            size=size,
            delete_on_termination=keep,
        )
    if entry.get("volume_id"):
        return BlockDevice(
            source="volume", destination="volume", volume_id=entry["volume_id"], size=size, delete_on_termination=keep
        )
    raise BlockDevicesInvalid(details="Unrecognized legacy format.")


def _image_disk(image_id: str) -> BlockDevice:
    return BlockDevice(source="image", image_id=image_id, boot_index=0, delete_on_termination=True)


def _with_flavor_disks(devices: list[BlockDevice], sizes: DiskSizes) -> list[BlockDevice]:
    """Add the ephemeral disk and the swap that the flavor grants where the request did not divide them itself."""
    found = list(devices)
    if sizes.ephemeral_gib and not any(device.is_ephemeral for device in devices):
        found.append(BlockDevice(source="blank", size=sizes.ephemeral_gib, delete_on_termination=True))
    if sizes.swap_mib and not any(device.is_swap for device in devices):
        found.append(BlockDevice(source="blank", size=sizes.swap_mib, guest_format="swap", delete_on_termination=True))
    return [_sized(device, sizes) for device in found]


def _sized(device: BlockDevice, sizes: DiskSizes) -> BlockDevice:
    if device.size is not None or not (device.is_ephemeral or device.is_swap):
        return device
    return replace(device, size=sizes.swap_mib if device.is_swap else sizes.ephemeral_gib)


def _check_boot_sequence(devices: Sequence[BlockDevice]) -> None:
    """Boot indexes are 0, 1, 2 ... without gap or twin, and something must be bootable."""
    indexes = sorted(device.boot_index for device in devices if device.boot_index is not None)
    if not indexes or indexes != list(range(len(indexes))):
        raise BootSequenceInvalid
    root = root_of(devices)
    if root is not None and root.source == "blank" and not root.is_volume:
        raise BootSequenceInvalid


def _check_local(devices: Sequence[BlockDevice], sizes: DiskSizes, max_local: int) -> None:
    if sum(device.size or 0 for device in devices if device.is_ephemeral) > sizes.ephemeral_gib:
        raise EphemeralTooLarge
    swaps = [device for device in devices if device.is_swap]
    if len(swaps) > 1:
        raise BlockDevicesInvalid(details="More than one swap drive requested.")
    if swaps and (swaps[0].size or 0) > sizes.swap_mib:
        raise SwapTooLarge
    if 0 <= max_local < sum(1 for device in devices if not device.is_volume):
        raise BlockDeviceLimit


def _boot_index(value: Any) -> int | None:
    """None and anything negative: not a boot device."""
    if value is None:
        return None
    try:
        index = int(value)
    except (TypeError, ValueError) as wrong:
        raise BlockDevicesInvalid(details="Boot index is invalid.") from wrong
    return index if index >= 0 else None


def _size(value: Any) -> int | None:
    if value is None or value == "":
        return None
    try:
        size = int(value)
    except (TypeError, ValueError) as wrong:
        raise BlockDevicesInvalid(details="Invalid volume_size.") from wrong
    if size < 0:
        raise BlockDevicesInvalid(details="Invalid volume_size.")
    return size or None


def _truth(value: Any) -> bool:
    """The API takes booleans also as words and numbers."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "t", "true", "on", "y", "yes")
    return bool(value)
