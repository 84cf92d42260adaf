"""Names of disks: which are free, which can be had, and that nothing but a name gets through."""

import msgspec
import pytest

from pileus.compute.drivers.base import (
    BadDevice,
    DeviceInUse,
    GuestSpec,
    ImageRoot,
    VolumeAttachmentSpec,
    VolumeRoot,
    tail_lines,
)
from pileus.compute.drivers.devices import choose_device, machine_type, place_disks

SPEC = GuestSpec(
    server_id="s",
    epoch=1,
    name="n",
    hostname="h",
    vcpus=1,
    ram_mib=1,
    root=ImageRoot(base_path="/b", base_format="raw", base_size_bytes=1),
)


def volume(name: str, device: str = "", bus: str = "") -> VolumeAttachmentSpec:
    return VolumeAttachmentSpec(volume_id=name, connection={}, device=device, bus=bus)


@pytest.mark.parametrize(
    ("taken", "wanted", "prefix", "device"),
    [
        ([], "", "vd", "/dev/vda"),
        (["/dev/vda", "/dev/vdc"], "", "vd", "/dev/vdb"),
        (["/dev/vda"], "/dev/vdz", "vd", "/dev/vdz"),
        (["/dev/vda"], "vdc", "vd", "/dev/vdc"),
        (["/dev/vda"], "/dev/sdc", "vd", "/dev/vdb"),
        (["/dev/vda"], "/dev/xvdf", "vd", "/dev/vdb"),
        ([f"/dev/vd{chr(97 + n)}" for n in range(26)], "", "vd", "/dev/vdaa"),
        ([f"/dev/vd{chr(97 + n)}" for n in range(26)], "/dev/vdab", "vd", "/dev/vdab"),
    ],
)
def test_a_free_device_is_chosen(taken: list[str], wanted: str, prefix: str, device: str) -> None:
    assert choose_device(taken, wanted=wanted, prefix=prefix, server_id="s") == device


def test_a_taken_device_and_a_full_bus_are_refused() -> None:
    with pytest.raises(DeviceInUse):
        choose_device(["/dev/vdb"], wanted="/dev/vdb", prefix="vd", server_id="s")
    with pytest.raises(DeviceInUse):
        choose_device([f"/dev/hd{letter}" for letter in "abcd"], wanted="", prefix="hd", server_id="s")


@pytest.mark.parametrize(
    "wanted", ["/dev/", "/dev/vd", "vdb\n", "/dev/vdb'", "/dev/../vdb", "nvme0n1", "/dev/vdabc", " "]
)
def test_what_is_no_device_name_is_refused(wanted: str) -> None:
    with pytest.raises(BadDevice):
        choose_device([], wanted=wanted, prefix="vd", server_id="s")


def test_disks_are_placed_root_first_named_ones_where_they_want_to_be_and_the_drive_last() -> None:
    spec = msgspec.structs.replace(
        SPEC,
        ephemeral_gib=1,
        swap_mib=1,
        config_drive={},
        volumes=(volume("any"), volume("named", "/dev/vdb"), volume("scsi", bus="scsi")),
    )
    disks = place_disks(spec)
    assert (disks.root, disks.ephemeral, disks.swap) == ("/dev/vda", "/dev/vdc", "/dev/vdd")
    assert disks.volumes == {"named": "/dev/vdb", "any": "/dev/vde", "scsi": "/dev/sda"}
    assert (disks.config_drive, disks.config_drive_bus) == ("/dev/hda", "ide")


def test_two_volumes_cannot_have_one_device() -> None:
    with pytest.raises(DeviceInUse):
        place_disks(msgspec.structs.replace(SPEC, volumes=(volume("a", "/dev/vdb"), volume("b", "/dev/vdb"))))


def test_a_root_volume_has_a_place_like_any_root() -> None:
    disks = place_disks(msgspec.structs.replace(SPEC, root=VolumeRoot(volume=volume("v", bus="scsi"))))
    assert (disks.root, disks.bus, disks.volumes) == ("/dev/sda", "scsi", {"v": "/dev/sda"})


def test_a_machine_without_ide_gets_its_drive_elsewhere() -> None:
    spec = msgspec.structs.replace(SPEC, config_drive={}, image_properties={"hw_machine_type": "q35"})
    assert place_disks(spec).config_drive_bus == "sata"


@pytest.mark.parametrize("machine", ["pc", "q35", "pc-i440fx-7.2", "pc-q35-6.0"])
def test_machines_that_qemu_knows_are_allowed(machine: str) -> None:
    assert machine_type({"hw_machine_type": machine}) == machine


@pytest.mark.parametrize("machine", ["microvm", "pc,accel=kvm", "pc\n", "PC"])
def test_other_machines_are_refused(machine: str) -> None:
    with pytest.raises(BadDevice):
        machine_type({"hw_machine_type": machine})


@pytest.mark.parametrize(
    ("lines", "tail"),
    [(None, b"a\nb\nc"), (-1, b"a\nb\nc"), (0, b""), (1, b"c"), (2, b"b\nc"), (9, b"a\nb\nc")],
)
def test_lines_are_counted_from_the_end(lines: int | None, tail: bytes) -> None:
    assert tail_lines(b"a\nb\nc", lines) == tail
    assert tail_lines(b"a\n", 1) == b""
