"""Disk images made by hand, small and valid, with a knob for every way in which one can be hostile."""

import uuid

MIB = 1 << 20


def be(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")


def le(value: int, length: int) -> bytes:
    return value.to_bytes(length, "little")


def overlay(size: int, **parts: bytes) -> bytes:
    """`size` zero bytes with parts at offsets: at_12=b"..." ."""
    raw = bytearray(size)
    for name, part in parts.items():
        at = int(name.removeprefix("at_"), 0)
        raw[at : at + len(part)] = part
    return bytes(raw)


def qcow2(
    *,
    version: int = 3,
    virtual_size: int = 10 * MIB,
    backing: int = 0,
    crypt: int = 0,
    incompatible: int = 0,
    header_length: int = 104,
    cluster_bits: int = 12,
    extensions: bytes = b"",
    compression: int = 0,
    l1_entries: int = 1,
) -> bytes:
    cluster = 1 << cluster_bits if cluster_bits < 22 else 4096
    head = b"QFI\xfb" + be(version, 4) + be(backing, 8) + be(20 if backing else 0, 4) + be(cluster_bits, 4)
    head += be(virtual_size, 8) + be(crypt, 4) + be(l1_entries, 4) + be(cluster, 8) + be(2 * cluster, 8) + be(1, 4)
    head += be(0, 12)
    if version == 3:
        head += be(incompatible, 8) + be(0, 16) + be(4, 4) + be(header_length, 4) + bytes([compression]) + bytes(7)
    start = header_length if version == 3 else 72
    raw = bytearray(3 * cluster)
    raw[: len(head)] = head
    raw[start : start + len(extensions)] = extensions
    return bytes(raw)


def extension(kind: int, data: bytes) -> bytes:
    return be(kind, 4) + be(len(data), 4) + data + bytes(-len(data) % 8)


DESCRIPTOR = b"""# Disk DescriptorFile
version=1
CID=85bf3aa6
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW 16384 SPARSE "disk.vmdk"

# The Disk Data Base
#DDB
ddb.adapterType = "ide"
"""


def vmdk(
    descriptor: bytes = DESCRIPTOR,
    *,
    version: int = 1,
    capacity: int = 16384,
    descriptor_sectors: int = 20,
    descriptor_at: int = 1,
    footer: bytes | None = None,
    behind: bytes = b"",
) -> bytes:
    grains = 0xFFFFFFFFFFFFFFFF if footer is not None else 26
    head = b"KDMV" + le(version, 4) + le(3, 4) + le(capacity, 8) + le(128, 8)
    head += le(descriptor_at, 8) + le(descriptor_sectors, 8) + le(512, 4) + le(21, 8) + le(grains, 8) + le(128, 8)
    raw = bytearray(128 * 512)
    raw[: len(head)] = head
    raw[512 : 512 + len(descriptor)] = descriptor
    if behind:
        raw[512 * (1 + descriptor_sectors) : 512 * (1 + descriptor_sectors) + len(behind)] = behind
    return bytes(raw) + (footer or b"")


def vmdk_footer(**changes: int) -> bytes:
    """Marker, a copy of the header, end of stream; `changes` are by offset, eight bytes each."""
    head = bytearray(vmdk(footer=b"")[:512])
    head[56:64] = le(26, 8)
    for name, value in changes.items():
        at = int(name.removeprefix("at_"))
        head[at : at + 8] = le(value, 8)
    return le(1, 8) + le(0, 4) + le(3, 4) + bytes(496) + bytes(head) + bytes(512)


def vhd_footer(kind: int, size: int, header_at: int = 0xFFFFFFFFFFFFFFFF, cylinders: int = 0) -> bytes:
    geometry = be(cylinders, 2) + bytes([16, 63])
    footer = b"conectix" + be(2, 4) + be(0x10000, 4) + be(header_at, 8) + bytes(16) + be(size, 8) * 2 + geometry
    return (footer + be(kind, 4)).ljust(512, b"\0")


def vhd(size: int = 8 * MIB, *, kind: int = 3, header_at: int = 512, parent: bytes = b"", cylinders: int = 0) -> bytes:
    header = b"cxsparse" + be(0xFFFFFFFFFFFFFFFF, 8) + be(1536, 8) + be(0x10000, 4) + be(4, 4) + be(2 * MIB, 4)
    header = header.ljust(40, b"\0") + parent
    footer = vhd_footer(kind, size, header_at, cylinders)
    return footer + header.ljust(1024, b"\0") + b"\xff" * 512 + footer


def fixed_vhd(data: bytes = bytes(64 * 1024), *, kind: int = 2) -> bytes:
    return data + vhd_footer(kind, len(data))


def guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


METADATA_REGION = guid("8b7ca206-4790-4b9a-b8fe-575f050f886e")
BAT_REGION = guid("2dc27766-f623-4200-9d64-115e9bfd4a08")
PARAMETERS = guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
DISK_SIZE = guid("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
PARENT = guid("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
UNKNOWN = guid("11111111-2222-3333-4444-555555555555")


def vhdx(
    size: int = 8 * MIB,
    *,
    log: bytes = bytes(16),
    flags: int = 0,
    items: tuple[tuple[bytes, bytes, int], ...] = (),
    regions: tuple[tuple[bytes, int], ...] = (),
) -> bytes:
    """A VHDX with its metadata at 1 MiB; `items` and `regions` are added to the usual ones, each with its flags."""
    raw = bytearray(2 * MIB)
    raw[:8] = b"vhdxfile"
    for at in (0x10000, 0x20000):
        raw[at : at + 4] = b"head"
        raw[at + 0x30 : at + 0x40] = log
    table = [(METADATA_REGION, MIB, 0x10000 * 2, 1), (BAT_REGION, MIB + 0x20000, 0x10000, 1)]
    table += [(kind, MIB + 0x30000, 0x10000, required) for kind, required in regions]
    raw[0x30000:0x30010] = b"regi" + bytes(4) + le(len(table), 4) + bytes(4)
    for number, (kind, offset, length, required) in enumerate(table):
        at = 0x30010 + 32 * number
        raw[at : at + 32] = kind + le(offset, 8) + le(length, 4) + le(required, 4)
    known = ((PARAMETERS, le(MIB, 4) + le(flags, 4), 4), (DISK_SIZE, le(size, 8), 6))
    _put_items(raw, (*known, *items))
    return bytes(raw)


def _put_items(raw: bytearray, items: tuple[tuple[bytes, bytes, int], ...]) -> None:
    raw[MIB : MIB + 12] = b"metadata" + bytes(2) + le(len(items), 2)
    for number, (kind, value, flags) in enumerate(items):
        at, where = MIB + 32 * (number + 1), 0x10000 + 64 * number
        raw[at : at + 32] = kind + le(where, 4) + le(len(value), 4) + le(flags, 4) + bytes(4)
        raw[MIB + where : MIB + where + len(value)] = value


def vdi(size: int = 8 * MIB, *, version: int = 0x10001, kind: int = 1, parent: bytes = b"") -> bytes:
    return overlay(
        4096,
        at_0=b"<<< Oracle VM VirtualBox Disk Image >>>\n",
        at_0x40=le(0xBEDA107F, 4) + le(version, 4) + le(0x190, 4) + le(kind, 4),
        at_0x154=le(512, 4) + le(1024, 4),
        at_0x170=le(size, 8) + le(MIB, 4) + le(0, 4) + le(size // MIB, 4),
        at_0x1b8=parent,
    )


def iso(size: int = 64 * 1024) -> bytes:
    descriptor = b"\x01CD001\x01\x00" + bytes(72) + le(size // 2048, 4) + be(size // 2048, 4)
    descriptor = descriptor.ljust(128, b"\0") + le(2048, 2) + be(2048, 2)
    return overlay(size, at_0x8000=descriptor)


def gpt(size: int = 128 * 1024) -> bytes:
    entry = bytes([0]) + b"\0\x02\0" + b"\xee" + b"\xff\xff\xff" + le(1, 4) + le(size // 512 - 1, 4)
    return overlay(size, at_446=entry, at_510=b"\x55\xaa", at_512=b"EFI PART")


def ploop(size: int = 8 * MIB) -> bytes:
    head = b"WithouFreSpacExt" + le(2, 4) + le(16, 4) + le(32, 4) + le(2048, 4) + le(8, 4) + le(size // 512, 8)
    return head.ljust(4096, b"\0")


VALID: dict[str, bytes] = {
    "qcow2": qcow2(),
    "vmdk": vmdk(),
    "vhd": vhd(),
    "vhdx": vhdx(),
    "vdi": vdi(),
    "iso": iso(),
    "raw": gpt(),
    "ploop": ploop(),
}
