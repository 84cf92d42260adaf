"""Which format the first bytes of a file are in, judged by what the tools would take it for.

Partition tables and ISO file systems are content of a raw disk, not a format that a tool opens as anything but raw.
"""

from pileus.image.domain.inspector import ploop, qcow2, vdi, vhd, vhdx, vmdk
from pileus.image.domain.inspector.reading import little

# Formats that nothing here reads and nobody may hide in a raw disk.
FOREIGN = {
    b"QED\0": "qed",
    b"LUKS\xba\xbe": "luks",
    b"Bochs Virtual HD Image": "bochs",
    b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop": "cloop",
    b"SKUL\xba\xbe": "luks",
}
_KNOWN = {
    qcow2.MAGIC: "qcow2",
    vmdk.MAGIC: "vmdk",
    b"COWD": "vmdk-esx",
    vhd.MAGIC: "vhd",
    vhdx.MAGIC: "vhdx",
    ploop.MAGICS[0]: "ploop",
    ploop.MAGICS[1]: "ploop",
}
_AT_START = _KNOWN | FOREIGN
ISO_AT = 0x8001
ISO_REACH = 0x8800
ISO_WORDS = frozenset({b"CD001", b"BEA01", b"NSR02", b"NSR03"})
TRAILER = 512


def formats(head: bytes) -> list[str]:
    """Every disk format whose signature is in the head; usually one or none."""
    found = [name for magic, name in _AT_START.items() if head.startswith(magic)]
    if little(head, vdi.SIGNATURE_AT, 4) == vdi.SIGNATURE:
        found.append("vdi")
    if vmdk.is_descriptor(head):
        found.append("vmdk-descriptor")
    return found


def content(head: bytes) -> str:
    """What a raw disk holds, as far as it matters: "iso", "gpt" or "raw"."""
    if head[ISO_AT : ISO_AT + 5] in ISO_WORDS:
        return "iso"
    if head[510:512] == b"\x55\xaa" and head[512:520] == b"EFI PART":
        return "gpt"
    return "raw"


def trailing_format(tail: bytes) -> str:
    """The format that is told apart by its last sector only, or nothing."""
    last = tail[-TRAILER:]
    if len(last) == TRAILER and last.startswith(vhd.MAGIC):
        return "vhd"
    if len(last) == TRAILER and last.startswith(b"koly"):
        return "dmg"
    return ""
