"""Definitions of guests: complete, escaped, and every disk says what format it has."""

from typing import Any
from xml.etree.ElementTree import Element, fromstring

import msgspec
import pytest

from pileus.compute.drivers.base import BadDevice, GuestSpec, ImageRoot, VifSpec, VolumeAttachmentSpec, VolumeRoot
from pileus.compute.drivers.devices import place_disks
from pileus.compute.drivers.libvirt.domain_facts import read_definition
from pileus.compute.drivers.libvirt.domain_xml import (
    GuestFiles,
    HostWays,
    domain_xml,
    file_of_volume,
    interface_xml,
    volume_xml,
)

SERVER = "11111111-2222-3333-4444-555555555555"
FILES = GuestFiles(
    root="/g/disk.qcow2", ephemeral="/g/e.raw", swap="/g/s.raw", config_drive="/g/c.iso", console_log="/g/console.log"
)
QEMU = HostWays(virt_type="qemu")
SPEC = GuestSpec(
    server_id=SERVER,
    epoch=7,
    name="web",
    hostname="web",
    vcpus=2,
    ram_mib=512,
    root=ImageRoot(base_path="/b", base_format="raw", base_size_bytes=1),
)
HOSTILE = [
    "</name>",
    "\"'><evil/>",
    "a\nb\r\tc",
    "\x00\x07\x1b",
    "]]>",
    "<!--",
    "&lt;",
    "☂",
    "\ud800",
    "$(id)`id`",
    "x" * 255,
]


def volume(**changes: Any) -> VolumeAttachmentSpec:
    connection = {"driver_volume_type": "file", "data": {"path": "/v/1", "format": "raw"}}
    return msgspec.structs.replace(VolumeAttachmentSpec(volume_id="vol-1", connection=connection), **changes)


def vif(**changes: Any) -> VifSpec:
    return msgspec.structs.replace(VifSpec(port_id="port-1", mac="fa:16:3e:01:02:03", tap="tap-1", mtu=1450), **changes)


def built(spec: GuestSpec = SPEC, host: HostWays = QEMU, **changes: Any) -> Element:
    spec = msgspec.structs.replace(spec, **changes)
    return fromstring(domain_xml(spec, place_disks(spec), FILES, host))


def attribute(domain: Element, path: str, name: str) -> str:
    found = domain.find(path)
    assert found is not None, path
    return found.get(name, "")


def test_a_guest_is_what_was_asked_for() -> None:
    domain = built()
    assert domain.get("type") == "qemu"
    assert (domain.findtext("name"), domain.findtext("uuid")) == (f"pileus-{SERVER}", SERVER)
    assert (domain.findtext("memory"), attribute(domain, "memory", "unit")) == ("512", "MiB")
    assert domain.findtext("vcpu") == "2"
    assert domain.findtext("cpu/model") == "qemu64"
    assert attribute(domain, "devices/serial/log", "file") == "/g/console.log"
    assert domain.findtext("sysinfo/system/entry[@name='product']") == "OpenStack Compute"


def test_kvm_gets_the_hosts_processor() -> None:
    domain = built(host=HostWays(virt_type="kvm"))
    assert (domain.get("type"), attribute(domain, "cpu", "mode")) == ("kvm", "host-model")
    assert domain.find("cpu/model") is None


def test_the_mark_is_read_back_as_it_was_written() -> None:
    definition = read_definition(domain_xml(SPEC, place_disks(SPEC), FILES, QEMU))
    assert definition is not None
    assert (definition.mark.server_id, definition.mark.epoch, definition.mark.root) == (SERVER, 7, "/dev/vda")
    assert (definition.vcpus, definition.ram_mib, definition.root_source) == (2, 512, "/g/disk.qcow2")


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_user_writes_stays_text(text: str) -> None:
    calm, wild = built(), built(name=text, project_name=text, user_name=text, flavor_name=text, project_id=text)
    assert [element.tag for element in wild.iter()] == [element.tag for element in calm.iter()]
    mark = "{urn:pileus:guest:1}"
    written = wild.findtext(f"metadata/{mark}guest/{mark}name") or ""
    allowed = [sign if sign in "\n\t" or " " <= sign < "\ud800" else "\ufffd" for sign in text.replace("\r", "\n")]
    assert written == "".join(allowed)


def test_every_disk_names_its_format_and_none_is_guessed() -> None:
    domain = built(
        ephemeral_gib=1, swap_mib=1, config_drive={}, volumes=(volume(), volume(volume_id="vol-2", device="/dev/vdz"))
    )
    disks = domain.findall("devices/disk")
    assert [attribute(disk, "driver", "type") for disk in disks] == ["qcow2", "raw", "raw", "raw", "raw", "raw"]
    assert [attribute(disk, "target", "dev") for disk in disks] == ["vda", "vdb", "vdc", "vdd", "vdz", "hda"]
    assert [disk.findtext("serial") for disk in disks] == [None, None, None, "vol-1", "vol-2", None]
    assert disks[5].get("device") == "cdrom" and disks[5].find("readonly") is not None
    assert [disk.find("boot") is not None for disk in disks] == [True] + [False] * 5


def test_a_root_volume_is_booted_and_carries_its_id() -> None:
    disk = built(root=VolumeRoot(volume=volume())).find("devices/disk")
    assert disk is not None
    assert (attribute(disk, "source", "file"), disk.findtext("serial")) == ("/v/1", "vol-1")
    assert disk.find("boot") is not None


def test_a_tap_is_used_and_never_made() -> None:
    domain = built(vifs=(vif(),))
    assert attribute(domain, "devices/interface/target", "managed") == "no"
    assert attribute(domain, "devices/interface/target", "dev") == "tap-1"
    assert attribute(domain, "devices/interface/mtu", "size") == "1450"
    assert attribute(domain, "devices/interface/alias", "name") == "ua-port-1"


def test_a_screen_listens_nowhere_and_may_be_absent() -> None:
    domain = built()
    assert attribute(domain, "devices/graphics/listen", "type") == "none"
    assert domain.find("devices/graphics[@port]") is None
    without = built(host=HostWays(virt_type="qemu", has_graphics=False))
    assert without.find("devices/graphics") is None
    assert attribute(without, "devices/video/model", "type") == "none"


def test_image_properties_shape_the_machine() -> None:
    domain = built(
        vifs=(vif(),),
        image_properties={
            "hw_machine_type": "q35",
            "hw_disk_bus": "scsi",
            "hw_scsi_model": "virtio-scsi",
            "hw_vif_model": "e1000e",
            "hw_video_model": "vga",
            "hw_firmware_type": "uefi",
            "hw_cpu_cores": "2",
        },
    )
    assert attribute(domain, "os/type", "machine") == "q35"
    assert attribute(domain, "os", "firmware") == "efi"
    assert attribute(domain, "devices/disk/target", "bus") == "scsi"
    assert attribute(domain, "devices/controller[@type='scsi']", "model") == "virtio-scsi"
    assert attribute(domain, "devices/interface/model", "type") == "e1000e"
    assert attribute(domain, "devices/video/model", "type") == "vga"
    assert len(domain.findall("devices/controller[@model='pcie-root-port']")) > 8
    topology = domain.find("cpu/topology")
    assert topology is not None and topology.attrib == {"sockets": "1", "cores": "2", "threads": "1"}


@pytest.mark.parametrize(
    "properties",
    [
        {"hw_vif_model": "carrier"},
        {"hw_video_model": "'/>"},
        {"hw_firmware_type": "coreboot"},
        {"hw_disk_bus": "scsi", "hw_scsi_model": "x"},
        {"hw_cpu_sockets": "3"},
        {"hw_cpu_cores": "9", "hw_cpu_threads": "9"},
    ],
)
def test_properties_that_are_not_known_are_refused_and_never_ignored(properties: dict[str, str]) -> None:
    with pytest.raises(BadDevice):
        built(image_properties=properties)


@pytest.mark.parametrize(
    "bad",
    [
        vif(mac="fa:16"),
        vif(mac="fa:16:3e:01:02:03'/>"),
        vif(tap="a-name-too-long-for-linux"),
        vif(tap="tap/../1"),
        vif(tap=""),
        vif(port_id="'/>"),
        vif(model="x"),
    ],
)
def test_ports_that_are_none_are_refused(bad: VifSpec) -> None:
    with pytest.raises(BadDevice):
        interface_xml(bad, model="virtio")


@pytest.mark.parametrize(
    "connection",
    [
        {},
        {"driver_volume_type": "iscsi", "data": {"path": "/v", "format": "raw"}},
        {"driver_volume_type": "file", "data": {"path": "v", "format": "raw"}},
        {"driver_volume_type": "file", "data": {"path": "/v"}},
        {"driver_volume_type": "file", "data": {"path": "/v", "format": "vmdk"}},
        {"driver_volume_type": "file", "data": "x"},
    ],
)
def test_volumes_without_a_path_and_a_format_are_refused(connection: dict[str, object]) -> None:
    with pytest.raises(BadDevice):
        file_of_volume(connection)


def test_a_volume_to_plug_in_is_like_one_from_the_start() -> None:
    disk = fromstring(volume_xml(volume(read_only=True), device="/dev/vdq", bus="virtio", cache="none"))
    assert (attribute(disk, "target", "dev"), disk.findtext("serial")) == ("vdq", "vol-1")
    assert (attribute(disk, "driver", "type"), attribute(disk, "driver", "cache")) == ("raw", "none")
    assert disk.find("readonly") is not None
    assert file_of_volume({"driver_volume_type": "file", "path": "/v", "format": "qcow2"}) == ("/v", "qcow2")
