"""Hostile and broken images are refused by their bytes, whatever they are declared to be."""

import io
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_utils.imageutils import format_inspector as oracle

from pileus.image.domain.errors import FormatMismatch, TruncatedImage, UnsafeImage, VirtualSizeTooLarge
from pileus.image.domain.inspector import Inspection, Inspector
from tests.unit.image.domain import samples
from tests.unit.image.domain.samples import MIB


def inspect(raw: bytes, declared: str, container: str = "bare", step: int = 65_536, most: int = 16 << 40) -> Inspection:
    inspector = Inspector(declared, container, most_virtual_bytes=most)
    for at in range(0, len(raw), step):
        inspector.feed(raw[at : at + step])
    return inspector.finish()


def refusal(raw: bytes, declared: str, container: str = "bare") -> str:
    with pytest.raises(UnsafeImage) as refused:
        inspect(raw, declared, container)
    assert refused.value.status == 415
    return refused.value.text


@pytest.mark.parametrize("name", samples.VALID)
@pytest.mark.parametrize("step", [1 << 20, 65_536, 1000, 511])
def test_a_plain_image_of_each_format_is_let_in(name: str, step: int) -> None:
    raw = samples.VALID[name]
    found = inspect(raw, name, step=step)
    assert found.disk_format == name
    assert found.size == len(raw)
    assert found.virtual_size == (len(raw) if name in ("iso", "raw") else 10 * MIB if name == "qcow2" else 8 * MIB)


@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso"])
def test_the_sizes_agree_with_the_oracle(name: str) -> None:
    raw = samples.VALID[name]
    wrapper = oracle.InspectWrapper(io.BytesIO(raw))
    while wrapper.read(65_536):
        pass
    wrapper.close()
    assert str(wrapper.format) == name
    assert wrapper.format.virtual_size == inspect(raw, name).virtual_size


@pytest.mark.parametrize("declared", ["raw", "ami", "ari", "aki", "iso", "ploop"])
@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vhd", "vhdx", "vdi"])
def test_a_disk_image_hides_in_no_other_format(name: str, declared: str) -> None:
    assert "does not match stream data" in refusal(samples.VALID[name], declared)


@pytest.mark.parametrize("declared", ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "ploop"])
def test_plain_bytes_are_not_a_disk_image(declared: str) -> None:
    text = refusal(b"\x5a" * 200_000, declared)
    assert text == f"Image disk_format {declared} does not match stream data raw"


def test_a_mismatch_is_told_as_soon_as_the_head_is_there() -> None:
    inspector = Inspector("qcow2")
    with pytest.raises(FormatMismatch):
        inspector.feed(bytes(1 << 16))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (samples.qcow2(backing=512), "backing file"),
        (samples.qcow2(version=2, backing=512), "backing file"),
        (samples.qcow2(incompatible=1 << 2), "external data file"),
        (samples.qcow2(extensions=samples.extension(0x44415441, b"/etc/passwd")), "external data file"),
        (samples.qcow2(version=2, extensions=samples.extension(0x44415441, b"/etc/passwd")), "external data file"),
        (
            samples.qcow2(
                extensions=samples.extension(0x6803F857, bytes(48)) + samples.extension(0x44415441, b"/etc/shadow")
            ),
            "external data file",
        ),
        (samples.qcow2(crypt=1), "encrypted"),
        (samples.qcow2(crypt=2), "encrypted"),
        (samples.qcow2(extensions=samples.extension(0x0537BE77, bytes(16))), "encrypted"),
        (samples.qcow2(incompatible=1 << 5), "unknown incompatible features"),
        (samples.qcow2(incompatible=1 << 63), "unknown incompatible features"),
        (samples.qcow2(incompatible=1 << 1), "corrupt"),
        (samples.qcow2(incompatible=1 << 3, header_length=112, compression=2), "compression"),
        (samples.qcow2(incompatible=1 << 3, compression=0), "compression"),
        (samples.qcow2(version=1), "version 1"),
        (samples.qcow2(version=4), "version 4"),
        (samples.qcow2(cluster_bits=8), "cluster size"),
        (samples.qcow2(cluster_bits=40), "cluster size"),
        (samples.qcow2(header_length=96), "impossible length"),
        (samples.qcow2(header_length=105), "impossible length"),
        (samples.qcow2(extensions=samples.extension(0x11111111, b"") * 65), "header extensions"),
        (samples.qcow2(extensions=samples.be(0x11111111, 4) + samples.be(0xFFFFFFFF, 4)), "longer than"),
        (samples.qcow2(l1_entries=0x0FFFFFFF), "L1 table"),
        (samples.qcow2(l1_entries=1 << 20), "truncated"),
        (samples.qcow2()[:-4096], "truncated"),
        (samples.qcow2()[:80], "truncated"),
        (b"QFI\xfb", "truncated"),
    ],
)
def test_a_hostile_qcow2_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw, "qcow2")


@pytest.mark.parametrize(
    "raw",
    [
        samples.qcow2(version=2),
        samples.qcow2(incompatible=1),
        samples.qcow2(incompatible=1 << 4),
        samples.qcow2(incompatible=1 << 3, header_length=112, compression=1),
        samples.qcow2(extensions=samples.extension(0x6803F857, bytes(48))),
        samples.qcow2(l1_entries=0, virtual_size=0),
    ],
)
def test_harmless_features_of_qcow2_are_let_in(raw: bytes) -> None:
    assert inspect(raw, "qcow2").disk_format == "qcow2"


FLAT = samples.DESCRIPTOR.replace(b"monolithicSparse", b"monolithicFlat")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (samples.vmdk(FLAT), "subformat"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b"monolithicSparse", b"twoGbMaxExtentFlat")), "subformat"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b"createType", b"#")), "subformat"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b"version", b'# createType="monolithicFlat"\nversion')), "subformat"),
        (samples.vmdk(b"version=1\n" + samples.DESCRIPTOR), "broken"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b"ide", "idé".encode())), "broken"),
        (samples.vmdk(samples.DESCRIPTOR + b'createType="monolithicFlat"\n'), "subformat"),
        (samples.vmdk(samples.DESCRIPTOR + b'parentFileNameHint="/etc/passwd"\n'), "parent"),
        (samples.vmdk(samples.DESCRIPTOR + b"\0" * 9 + b'PARENTFILENAMEHINT="/etc/passwd"\n'), "parent"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b"ffffffff", b"12345678")), "parent"),
        (samples.vmdk(samples.DESCRIPTOR + b'RW 63 FLAT "/etc/passwd" 0\n'), "extents"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b'SPARSE "disk', b'FLAT "disk')), "extents"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b'"disk.vmdk"', b'"/etc/passwd"')), "extents"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b'"disk.vmdk"', b'"..\\disk.vmdk"')), "extents"),
        (samples.vmdk(samples.DESCRIPTOR.replace(b"RW 16384", b"# ")), "extents"),
        (samples.vmdk(capacity=0), "points to other files"),
        (samples.vmdk(descriptor_at=0), "points to other files"),
        (samples.vmdk(descriptor_sectors=0), "points to other files"),
        (samples.vmdk(descriptor_sectors=1 << 40), "too large"),
        (samples.vmdk(version=9), "version 9"),
        (samples.vmdk(footer=bytes(1536)), "footer is missing"),
        (samples.vmdk(footer=samples.vmdk_footer(at_12=0)), "contradicts"),
        (samples.vmdk(footer=samples.vmdk_footer(at_28=7)), "contradicts"),
        (samples.vmdk(footer=samples.vmdk_footer(at_56=0xFFFFFFFFFFFFFFFF)), "contradicts"),
        (samples.vmdk()[:4096], "truncated"),
        (FLAT, "descriptor, whose data lies in other files"),
        (b"\n\n# a comment\nVERSION=1\nRW 1 FLAT", "descriptor, whose data lies in other files"),
        (b"COWD" + bytes(4096), "ESX"),
    ],
)
def test_a_hostile_vmdk_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw, "vmdk")


def test_what_a_tool_reads_past_the_end_of_a_short_descriptor_is_judged_too() -> None:
    short = samples.DESCRIPTOR + b"#" * (512 - len(samples.DESCRIPTOR))
    assert inspect(samples.vmdk(short, descriptor_sectors=1), "vmdk").virtual_size == 8 * MIB
    hidden = samples.vmdk(short, descriptor_sectors=1, behind=b'\nparentFileNameHint="/etc/passwd"\n')
    assert "parent" in refusal(hidden, "vmdk")


def test_a_stream_optimised_vmdk_with_its_footer_is_let_in() -> None:
    descriptor = samples.DESCRIPTOR.replace(b"monolithicSparse", b"streamOptimized").replace(b"\n", b"\r\n")
    raw = samples.vmdk(descriptor, footer=samples.vmdk_footer())
    assert inspect(raw, "vmdk").virtual_size == 8 * MIB


def test_a_descriptor_of_blank_lines_costs_no_time() -> None:
    assert "subformat" in refusal(
        samples.vmdk(b"# Disk DescriptorFile" + b"\n" * 60_000, descriptor_sectors=120), "vmdk"
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (samples.vhd(kind=4), "type 4"),
        (samples.vhd(kind=2), "type 2"),
        (samples.vhd(parent=b"\1" * 16), "another file"),
        (samples.vhd(parent=bytes(24) + b"/etc/passwd"), "another file"),
        (samples.vhd(header_at=4), "out of place"),
        (samples.vhd(header_at=1 << 60), "out of place"),
        (samples.vhd(header_at=1024), "missing"),
        (samples.vhd()[:1000], "truncated"),
        (samples.fixed_vhd(kind=3), "type 3"),
        (samples.fixed_vhd()[4096:], "truncated"),
    ],
)
def test_a_hostile_vhd_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw, "vhd")


def test_a_fixed_vhd_is_known_by_its_last_sector() -> None:
    raw = samples.fixed_vhd(samples.gpt())
    assert inspect(raw, "vhd").virtual_size == len(raw) - 512
    assert "does not match stream data vhd" in refusal(raw, "raw")


def test_the_larger_size_of_a_vhd_counts() -> None:
    assert inspect(samples.vhd(cylinders=65_535), "vhd").virtual_size == 65_535 * 16 * 63 * 512


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (samples.vhdx(flags=2), "parent"),
        (samples.vhdx(items=((samples.PARENT, bytes(20), 4),)), "parent"),
        (samples.vhdx(items=((samples.PARENT, b"", 0),)), "parent"),
        (samples.vhdx(items=((samples.UNKNOWN, b"x", 4),)), "unknown metadata"),
        (samples.vhdx(items=((samples.DISK_SIZE, bytes(8), 6),)), "incomplete"),
        (samples.vhdx(items=((samples.PARAMETERS, bytes(8), 4),)), "incomplete"),
        (samples.vhdx(regions=((samples.UNKNOWN, 1),)), "unknown region"),
        (samples.vhdx(regions=((samples.METADATA_REGION, 1),)), "metadata region"),
        (samples.vhdx(log=b"\1" * 16), "log"),
        (samples.vhdx().replace(b"regi", b"nope"), "region table"),
        (samples.vhdx().replace(b"metadata", b"nometada"), "metadata table"),
        (samples.vhdx()[: MIB + 10], "truncated"),
        (samples.vhdx()[: MIB + 0x20001], "truncated"),
    ],
)
def test_a_hostile_vhdx_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw, "vhdx")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (samples.vdi(kind=4), "difference"),
        (samples.vdi(kind=3), "difference"),
        (samples.vdi(parent=b"\1" * 16), "difference"),
        (samples.vdi(version=0x20000), "version"),
        (samples.vdi(size=1 << 36)[:4096], "truncated"),
        (samples.vdi()[:400], "truncated"),
    ],
)
def test_a_hostile_vdi_is_refused(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw, "vdi")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"QED\0", "qed"),
        (b"LUKS\xba\xbe\0\1", "luks"),
        (b"Bochs Virtual HD Image", "bochs"),
        (b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file", "cloop"),
    ],
)
@pytest.mark.parametrize("declared", ["raw", "qcow2", "aki"])
def test_formats_that_nobody_here_reads_are_refused(head: bytes, name: str, declared: str) -> None:
    assert f"its format is {name}" in refusal(head + bytes(100_000), declared)


def test_a_mac_disk_image_is_known_by_its_trailer() -> None:
    assert "its format is dmg" in refusal(bytes(4096) + b"koly" + bytes(508), "raw")


def test_two_formats_in_one_file_are_refused() -> None:
    both = bytearray(samples.iso())
    both[:12288] = samples.qcow2()
    for declared in ("iso", "qcow2", "raw"):
        assert "several formats at once: iso, qcow2" in refusal(bytes(both), declared)
    vdi_and_qcow = samples.qcow2()[:0x40] + samples.vdi()[0x40:]
    assert "qcow2, vdi" in refusal(vdi_and_qcow, "qcow2")


@pytest.mark.parametrize("declared", ["raw", "ami", "aki"])
@pytest.mark.parametrize("content", ["raw", "gpt", "iso"])
def test_a_raw_disk_may_hold_partitions_or_an_iso(declared: str, content: str) -> None:
    raw = {"raw": b"\1" * 70_000, "gpt": samples.gpt(), "iso": samples.iso()}[content]
    found = inspect(raw, declared)
    assert (found.disk_format, found.content, found.virtual_size) == (declared, content, len(raw))


def test_a_bootable_iso_with_a_partition_table_is_an_iso() -> None:
    raw = bytearray(samples.iso())
    raw[446:520] = samples.gpt()[446:520]
    assert inspect(bytes(raw), "iso").content == "iso"


@pytest.mark.parametrize(
    ("raw", "declared"),
    [
        (samples.qcow2(virtual_size=1 << 62), "qcow2"),
        (samples.qcow2(virtual_size=(1 << 64) - 1), "qcow2"),
        (samples.vmdk(capacity=1 << 60), "vmdk"),
        (samples.vhd(size=1 << 62), "vhd"),
        (samples.vhdx(size=1 << 62), "vhdx"),
        (samples.ploop(size=1 << 62), "ploop"),
    ],
)
def test_an_enormous_disk_is_refused(raw: bytes, declared: str) -> None:
    with pytest.raises(VirtualSizeTooLarge):
        inspect(raw, declared)


def test_the_largest_disk_is_configurable() -> None:
    assert inspect(samples.qcow2(virtual_size=MIB), "qcow2", most=MIB).virtual_size == MIB
    with pytest.raises(VirtualSizeTooLarge):
        inspect(samples.qcow2(virtual_size=MIB + 512), "qcow2", most=MIB)
    with pytest.raises(VirtualSizeTooLarge):
        inspect(bytes(MIB + 1), "raw", most=MIB)


@pytest.mark.parametrize("declared", ["raw", "qcow2", "vmdk"])
def test_an_empty_upload_is_an_image_of_nothing(declared: str) -> None:
    assert inspect(b"", declared) == Inspection(declared, "raw", 0, 0)


@pytest.mark.parametrize("container", ["ova", "ovf", "docker", "compressed"])
def test_an_archive_is_let_in_unless_it_is_a_hostile_disk(container: str) -> None:
    assert inspect(b"disk.ovf".ljust(512, b"\0") + bytes(9999), "vmdk", container).size == 10_511
    assert "backing file" in refusal(samples.qcow2(backing=512), "vmdk", container)


CHUNKS = st.lists(st.integers(1, 200_000), min_size=1, max_size=6)
FORMATS = st.sampled_from([*samples.VALID, "ami"])


def pieces(raw: bytes, sizes: Iterable[int]) -> Iterable[bytes]:
    at = 0
    for size in sizes:
        yield raw[at : at + size]
        at += size
    yield raw[at:]


@dataclass(frozen=True)
class Mutant:
    """A valid image with some bytes changed, and perhaps an end cut off."""

    name: str
    changes: tuple[tuple[int, bytes], ...]
    size: int

    def raw(self) -> bytes:
        raw = bytearray(samples.VALID[self.name])
        for at, change in self.changes:
            raw[at : at + len(change)] = change[: len(raw) - at]
        return bytes(raw[: self.size])


@st.composite
def mutants(draw: st.DrawFn) -> Mutant:
    """Most changes are where headers are."""
    name = draw(st.sampled_from(sorted(samples.VALID)))
    size = len(samples.VALID[name])
    places = st.one_of(st.integers(0, 1100), st.integers(0, size - 1), st.integers(0x30000, 0x30060))
    change = st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\xff" * 8), st.just(bytes(8)))
    changes = draw(st.lists(st.tuples(places.filter(lambda at: at < size), change), max_size=6))
    return Mutant(name, tuple(changes), draw(st.one_of(st.just(size), st.integers(0, size))))


@settings(max_examples=400, deadline=None)
@given(mutants(), FORMATS, CHUNKS)
def test_nothing_but_its_own_refusal_ever_comes_out(image: Mutant, declared: str, sizes: list[int]) -> None:
    inspector, raw = Inspector(declared), image.raw()
    try:
        for piece in pieces(raw, sizes):
            inspector.feed(piece)
        found = inspector.finish()
    except UnsafeImage as refused:
        assert refused.text
    else:
        assert found.size == len(raw)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), FORMATS, CHUNKS)
def test_any_bytes_get_a_verdict(raw: bytes, declared: str, sizes: list[int]) -> None:
    inspector = Inspector(declared)
    try:
        for piece in pieces(raw, sizes):
            inspector.feed(piece)
        assert inspector.finish().size == len(raw)
    except UnsafeImage as refused:
        assert refused.status == 415


@settings(max_examples=300, deadline=None)
@given(mutants(), CHUNKS)
def test_the_verdict_does_not_depend_on_how_the_bytes_arrive(image: Mutant, sizes: list[int]) -> None:
    def verdict(parts: Iterable[bytes]) -> object:
        inspector = Inspector(image.name)
        try:
            for part in parts:
                inspector.feed(part)
            return inspector.finish()
        except UnsafeImage as refused:
            return type(refused), refused.text

    assert verdict([image.raw()]) == verdict(pieces(image.raw(), sizes))


@settings(max_examples=300, deadline=None)
@given(mutants())
def test_what_is_let_in_passes_the_oracle_too(image: Mutant) -> None:
    name, raw = image.name, image.raw()
    try:
        inspect(raw, name)
    except UnsafeImage:
        return
    if name in ("raw", "ploop", "vhd") or not raw:  # the oracle knows neither ploop nor fixed VHD, and probes raw
        return
    wrapper = oracle.InspectWrapper(io.BytesIO(raw))
    while wrapper.read(65_536):
        pass
    wrapper.close()
    assert name in {str(found) for found in wrapper.formats or []}
    next(found for found in wrapper.formats or [] if str(found) == name).safety_check()


@pytest.mark.parametrize("name", samples.VALID)
def test_memory_stays_flat_while_a_large_image_streams_past(name: str) -> None:
    chunk = bytes(256 * 1024)
    inspector = Inspector(name, most_virtual_bytes=1 << 60)
    inspector.feed(samples.VALID[name])
    tracemalloc.start()
    for _ in range(2000):
        inspector.feed(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert inspector.size > 500 * MIB
    assert peak < MIB


def test_an_iso_ends_behind_its_volume_descriptor() -> None:
    assert inspect(samples.iso()[:0x8800], "iso").content == "iso"
    assert "truncated" in refusal(samples.iso()[:0x87FF], "iso")


def test_a_truncation_is_told_apart_from_malice() -> None:
    with pytest.raises(TruncatedImage):
        inspect(samples.qcow2()[:100], "qcow2")
