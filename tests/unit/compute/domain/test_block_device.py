"""The disks a request asks for, in whichever of the three ways."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pileus.compute.domain.block_device import (
    BlockDevice,
    DiskSizes,
    next_device_name,
    read_block_devices,
    root_of,
    with_device_names,
    with_ids,
)
from pileus.compute.domain.errors import (
    BlockDeviceLimit,
    BlockDevicesInvalid,
    BootSequenceInvalid,
    EphemeralTooLarge,
    SwapTooLarge,
    TooManyDisks,
)
from pileus.foundation.errors import BadRequest

BARE = DiskSizes()
RICH = DiskSizes(ephemeral_gib=10, swap_mib=512)


def read(
    *v2: dict[str, Any], image_id: str | None = None, sizes: DiskSizes = BARE, **more: Any
) -> tuple[BlockDevice, ...]:
    return read_block_devices(image_id=image_id, v2=v2, sizes=sizes, **more)


def volume(**facts: Any) -> dict[str, Any]:
    return {"source_type": "volume", "destination_type": "volume", "uuid": "v1", **facts}


# -- what becomes of a request ---------------------------------------------------
def test_an_image_alone_is_a_local_root_that_dies_with_the_server() -> None:
    (root,) = read(image_id="img")
    assert (root.source, root.destination, root.image_id) == ("image", "local", "img")
    assert (root.boot_index, root.is_root, root.delete_on_termination) == (0, True, True)


def test_an_image_named_both_ways_is_one_root() -> None:
    named = {"source_type": "image", "destination_type": "local", "uuid": "img", "boot_index": 0}
    assert len(read(named, image_id="img")) == 1


def test_a_flavor_with_more_disks_adds_them() -> None:
    root, ephemeral, swap = read(image_id="img", sizes=RICH)
    assert root.is_root
    assert (ephemeral.is_ephemeral, ephemeral.size) == (True, 10)
    assert (swap.is_swap, swap.size) == (True, 512)


def test_ephemeral_disks_may_be_divided_and_without_a_size_take_all() -> None:
    halves = [{"source_type": "blank", "destination_type": "local", "volume_size": 5} for _ in range(2)]
    devices = read(*halves, image_id="img", sizes=DiskSizes(ephemeral_gib=10))
    assert [device.size for device in devices] == [None, 5, 5]
    whole = read({"source_type": "blank"}, image_id="img", sizes=DiskSizes(ephemeral_gib=10))
    assert [device.size for device in whole] == [None, 10]


def test_a_volume_boots_without_an_image() -> None:
    (root,) = read(volume(boot_index=0, delete_on_termination=False, tag="root"))
    assert (root.volume_id, root.is_volume, root.needs_volume) == ("v1", True, False)
    assert (root.delete_on_termination, root.tag) == (False, "root")


def test_an_image_copied_to_a_new_volume_needs_a_size() -> None:
    entry = {"source_type": "image", "destination_type": "volume", "uuid": "img", "boot_index": 0, "volume_size": 3}
    (root,) = read(entry)
    assert (root.needs_volume, root.size, root.image_id) == (True, 3, "img")
    with pytest.raises(BlockDevicesInvalid, match="non-zero size"):
        read({**entry, "volume_size": None})


def test_the_root_comes_first_and_a_volume_beside_an_image_is_data() -> None:
    devices = read(volume(boot_index=-1), volume(uuid="v2"), image_id="img")
    assert [device.image_id or device.volume_id for device in devices] == ["img", "v1", "v2"]
    assert [device.boot_index for device in devices] == [0, None, None]


def test_a_snapshot_becomes_a_volume_of_its_own_size() -> None:
    (root,) = read({"source_type": "snapshot", "uuid": "s1", "boot_index": "0"})
    assert (root.snapshot_id, root.is_volume, root.size, root.needs_volume) == ("s1", True, None, True)


def test_an_entry_that_is_no_device_is_left_out() -> None:
    assert len(read({"no_device": True, "device_name": "/dev/vdb"}, image_id="img")) == 1


# -- the oldest form ---------------------------------------------------
def test_the_first_volume_of_the_oldest_form_is_the_root_when_no_image_is_named() -> None:
    legacy = [
        {"device_name": "vda", "volume_id": "v1", "delete_on_termination": "1"},
        {"device_name": "vdb", "snapshot_id": "s1", "volume_size": "2"},
    ]
    root, data = read_block_devices(image_id=None, legacy=legacy, sizes=BARE)
    assert (root.volume_id, root.boot_index, root.delete_on_termination) == ("v1", 0, True)
    assert (data.snapshot_id, data.boot_index, data.size) == ("s1", None, 2)


def test_the_oldest_form_beside_an_image_adds_data() -> None:
    legacy = [{"device_name": "vdb", "volume_id": "v1"}, {"device_name": "vdc", "virtual_name": "ephemeral0"}]
    devices = read_block_devices(image_id="img", legacy=legacy, sizes=DiskSizes(ephemeral_gib=4))
    assert [device.source for device in devices] == ["image", "volume", "blank"]
    assert devices[2].size == 4


def test_both_forms_at_once_are_refused() -> None:
    with pytest.raises(BadRequest, match="different block_device_mapping syntaxes"):
        read_block_devices(image_id=None, legacy=[{"volume_id": "v"}], v2=[volume()], sizes=BARE)


# -- refusals ---------------------------------------------------
@pytest.mark.parametrize(
    ("entries", "image_id", "text"),
    [
        ([{"source_type": "image", "destination_type": "local", "uuid": "x"}], "img", "Mapping image to local"),
        ([volume(destination_type="local")], "img", "Mapping volume to local"),
        ([{"source_type": "volume"}], "img", "Missing device UUID"),
        ([{"source_type": "blank", "uuid": "x"}], "img", "Invalid device UUID"),
        ([{"destination_type": "volume", "uuid": "x"}], "img", "required fields are missing"),
        ([{"source_type": "blank", "destination_type": "volume"}], "img", "Blank volumes"),
        ([volume(volume_type="ssd")], "img", "volume type to existing volume"),
        ([{"source_type": "blank", "volume_type": "ssd"}], "img", "destination_type=local"),
        ([volume(boot_index="first")], "img", "Boot index is invalid"),
        ([volume(volume_size="big")], "img", "Invalid volume_size"),
        ([volume(volume_size=-1)], "img", "Invalid volume_size"),
        ([volume(disk_bus="string")], "img", "disk bus string is not valid"),
    ],
)
def test_what_means_nothing_is_refused(entries: list[dict[str, Any]], image_id: str, text: str) -> None:
    with pytest.raises(BlockDevicesInvalid, match=text) as refused:
        read(*entries, image_id=image_id)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("entries", "image_id"),
    [
        ([], None),
        ([volume()], None),
        ([volume(boot_index=0)], "img"),
        ([volume(boot_index=1)], None),
        ([volume(boot_index=0), volume(uuid="v2", boot_index=2)], None),
        ([{"source_type": "blank", "boot_index": 0}], None),
    ],
)
def test_a_boot_sequence_has_one_root_and_no_gaps(entries: list[dict[str, Any]], image_id: str | None) -> None:
    with pytest.raises(BootSequenceInvalid):
        read(*entries, image_id=image_id, sizes=DiskSizes(ephemeral_gib=1))


def test_no_more_swap_ephemeral_or_local_disks_than_granted() -> None:
    swap = {"source_type": "blank", "guest_format": "swap", "volume_size": 1024}
    with pytest.raises(SwapTooLarge):
        read(swap, image_id="img", sizes=RICH)
    with pytest.raises(BlockDevicesInvalid, match="More than one swap"):
        read({**swap, "volume_size": 1}, {**swap, "volume_size": 1}, image_id="img", sizes=RICH)
    with pytest.raises(EphemeralTooLarge):
        read({"source_type": "blank", "volume_size": 11}, image_id="img", sizes=RICH)
    with pytest.raises(BlockDeviceLimit):
        read(image_id="img", sizes=RICH, max_local=2)
    assert len(read(image_id="img", sizes=RICH, max_local=-1)) == 3


# -- names and ids ---------------------------------------------------
def test_devices_are_named_in_order_by_their_bus() -> None:
    devices = read(volume(), volume(uuid="v2", disk_bus="scsi"), volume(uuid="v3"), image_id="img")
    assert [device.device_name for device in with_device_names(devices)] == [
        "/dev/vda", "/dev/vdb", "/dev/sda", "/dev/vdc",
    ]  # fmt: skip
    assert with_device_names(devices, default_bus="ide")[0].device_name == "/dev/hda"


def test_a_new_device_takes_the_first_free_name_also_after_z() -> None:
    assert next_device_name(["/dev/vda", "/dev/vdc"]) == "/dev/vdb"
    letters = [f"/dev/vd{chr(97 + n)}" for n in range(26)]
    assert next_device_name(letters) == "/dev/vdaa"
    everything = letters + [f"/dev/vd{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]
    with pytest.raises(TooManyDisks):
        next_device_name(everything)


def test_names_and_ids_once_given_stay() -> None:
    ids = iter(["a", "b"])
    devices = with_device_names(with_ids(read(volume(), image_id="img"), lambda: next(ids)))
    assert [device.id for device in devices] == ["a", "b"]
    assert with_device_names(with_ids(devices, lambda: "never")) == devices
    assert root_of(devices) == devices[0]


entries = st.fixed_dictionaries(
    {},
    optional={
        "source_type": st.sampled_from(["blank", "image", "snapshot", "volume"]),
        "destination_type": st.sampled_from(["local", "volume", None]),
        "uuid": st.sampled_from(["a", "b", ""]),
        "boot_index": st.sampled_from([None, -1, 0, 1, "0", "x"]),
        "volume_size": st.sampled_from([None, 0, 1, "2", -1]),
        "guest_format": st.sampled_from(["swap", "ext4"]),
        "disk_bus": st.sampled_from(["virtio", "scsi"]),
        "delete_on_termination": st.sampled_from([True, False, "true", "0"]),
        "no_device": st.booleans(),
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(entries, max_size=4), st.sampled_from([None, "a", "img"]))
def test_any_request_is_refused_or_has_exactly_one_root(requests: list[dict[str, Any]], image_id: str | None) -> None:
    try:
        devices = with_device_names(read(*requests, image_id=image_id, sizes=RICH))
    except BlockDevicesInvalid:
        return
    assert [device.is_root for device in devices].count(True) == 1
    assert devices[0].is_root
    assert len({device.device_name for device in devices}) == len(devices)
    assert all(device.is_volume or device.delete_on_termination for device in devices)
