"""VMDK: VMware's format, of which only the two self-contained kinds are let in.

The descriptor is a text that may name any file as an extent or a parent (CVE-2022-47951); a header may send its reader
to a footer, or, with a capacity of zero, to a descriptor of other files.
Source: VMware, "Virtual Disk Format 5.0".
"""

import re

from pileus.image.domain.errors import TruncatedImage, UnsafeImage
from pileus.image.domain.inspector.reading import Facts, Reading, Span, Tail, little

MAGIC = b"KDMV"
SECTOR = 512
AT_END = 0xFFFFFFFFFFFFFFFF
ALLOWED = frozenset({b"monolithicsparse", b"streamoptimized"})
MOST_DESCRIPTOR = 1 << 17
READ_BY_TOOLS = 20 * SECTOR  # QEMU reads so much of a descriptor, however long the header calls it
FOOTER, END_OF_STREAM = 3, 0

_CREATE_TYPE = re.compile(rb'^[ \t]*createtype[ \t]*=[ \t]*"?([^"\r\n]*)"?[ \t\r]*$', re.MULTILINE)
_PARENT = re.compile(rb'^[ \t]*parentcid[ \t]*=[ \t]*"?([^"\s]*)"?[ \t\r]*$', re.MULTILINE)
_EXTENT = re.compile(rb"^[ \t]*(?:rw|rdonly|noaccess)\b(.*)$", re.MULTILINE)
_OWN_EXTENT = re.compile(rb'[ \t]+\d+[ \t]+sparse[ \t]+"([^"/\\\x00-\x1f]+)"[ \t\r]*$')


def read() -> Reading:
    """Read the sparse header, the descriptor inside, and a footer where there is one."""
    head = yield Span(0, SECTOR)
    if not 1 <= little(head, 4, 4) <= 3:
        raise UnsafeImage(reason=f"VMDK version {little(head, 4, 4)} is not supported")
    capacity, where, sectors = little(head, 12, 8), little(head, 28, 8), little(head, 36, 8)
    if capacity == 0 or where == 0 or sectors == 0:
        raise UnsafeImage(reason="its VMDK header points to other files or has no descriptor of its own")
    if sectors * SECTOR > MOST_DESCRIPTOR or where * SECTOR > MOST_DESCRIPTOR:
        raise UnsafeImage(reason="its VMDK descriptor is too large or too far away")
    descriptor = yield Span(where * SECTOR, sectors * SECTOR)
    if b"\0" not in descriptor and len(descriptor) < READ_BY_TOOLS:
        descriptor += yield Span((where + sectors) * SECTOR, READ_BY_TOOLS - len(descriptor))
    check_descriptor(descriptor)
    if little(head, 56, 8) == AT_END:
        _check_footer(head, (yield Tail(3 * SECTOR)))
    return Facts(capacity * SECTOR, little(head, 64, 8) * SECTOR)


def check_descriptor(raw: bytes) -> None:
    """Refuse a descriptor that tells of any file but the one it is in. Tools search it without regard to case."""
    whole = raw.lower()
    text = whole.split(b"\0", 1)[0]
    if not text.startswith(b"# disk descriptorfile") or not text.isascii():
        raise UnsafeImage(reason="its VMDK descriptor is broken")
    if b"parentfilenamehint" in whole:
        raise UnsafeImage(reason="its VMDK descriptor names a parent")
    kinds = _CREATE_TYPE.findall(text)
    if len(kinds) != 1 or whole.count(b"createtype") != 1 or kinds[0] not in ALLOWED:
        raise UnsafeImage(reason="its VMDK subformat is not monolithicSparse or streamOptimized")
    parents = _PARENT.findall(text)
    if whole.count(b"parentcid") != len(parents) or any(parent != b"ffffffff" for parent in parents):
        raise UnsafeImage(reason="its VMDK descriptor names a parent")
    extents = _EXTENT.findall(text)
    if len(extents) != 1 or not _OWN_EXTENT.match(extents[0]):
        raise UnsafeImage(reason="its VMDK descriptor has extents in other files")


def _check_footer(head: bytes, tail: bytes) -> None:
    """A footer overrides the header: it may not change what the header says of disk, descriptor and compression."""
    marker, footer, end = tail[:SECTOR], tail[SECTOR : 2 * SECTOR], tail[2 * SECTOR :]
    if little(marker, 8, 4) != 0 or little(marker, 12, 4) != FOOTER or any(end[:16]):
        raise TruncatedImage(reason="its VMDK footer is missing")
    if footer[:48] != head[:48] or footer[77:79] != head[77:79] or little(footer, 56, 8) == AT_END:
        raise UnsafeImage(reason="its VMDK footer contradicts the header")


def refuse_descriptor() -> Reading:
    """A descriptor alone: a text whose data lies in other files."""
    yield Span(0, 1)
    raise UnsafeImage(reason="it is a VMDK descriptor, whose data lies in other files")


def refuse_esx() -> Reading:
    yield Span(0, 4)
    raise UnsafeImage(reason="the VMDK subformat of ESX hosts is not supported")


def is_descriptor(head: bytes) -> bool:
    """Whether a tool would take these bytes for a VMDK descriptor: comments and blank lines, then a version."""
    for line in head[:4096].removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        line = line.strip().lower()
        if line.startswith((b"# disk descriptorfile", b"version=")):
            return True
        if line and not line.startswith(b"#"):
            return False
    return False
