"""qcow2: what QEMU writes by default.

A hostile one names other files: a backing file, or an external data file (CVE-2024-32498).
Source: QEMU's docs/interop/qcow2.txt.
"""

from pileus.image.domain.errors import UnsafeImage
from pileus.image.domain.inspector.reading import Facts, Reading, Span, big

MAGIC = b"QFI\xfb"

DIRTY, CORRUPT, DATA_FILE, COMPRESSION, LONG_ENTRIES = (1 << bit for bit in range(5))
HARMLESS = DIRTY | COMPRESSION | LONG_ENTRIES

END, BACKING_FORMAT, ENCRYPTION, DATA_FILE_NAME = 0x00000000, 0xE2792ACA, 0x0537BE77, 0x44415441
REFUSED = {ENCRYPTION: "it is encrypted", DATA_FILE_NAME: "it has an external data file"}
MOST_EXTENSIONS = 64
MOST_L1_BYTES = 32 << 20  # QEMU's own limit


def read() -> Reading:
    """Read the header and its extensions."""
    head = yield Span(0, 72)
    version = big(head, 4, 4)
    if version not in (2, 3):
        raise UnsafeImage(reason=f"qcow version {version} is not supported")
    cluster_bits = big(head, 20, 4)
    if not 9 <= cluster_bits <= 21:
        raise UnsafeImage(reason="its cluster size is out of range")
    if big(head, 8, 8):
        raise UnsafeImage(reason="it has a backing file")
    if big(head, 32, 4):
        raise UnsafeImage(reason="it is encrypted")
    length = 72
    if version == 3:
        length = _check_features((yield Span(72, 40)), cluster_bits)
    yield from _read_extensions(length, 1 << cluster_bits)
    return Facts(big(head, 24, 8), _reach(head, cluster_bits))


def _check_features(rest: bytes, cluster_bits: int) -> int:
    """Judge what only version 3 has (from offset 72 on); the length of the header."""
    incompatible, length = big(rest, 0, 8), big(rest, 28, 4)
    if incompatible & DATA_FILE:
        raise UnsafeImage(reason="it has an external data file")
    if incompatible & CORRUPT:
        raise UnsafeImage(reason="it is marked as corrupt; repair it with qemu-img check -r all")
    if incompatible & ~HARMLESS:
        raise UnsafeImage(reason="it uses unknown incompatible features")
    if not 104 <= length <= 1 << cluster_bits or length % 8:
        raise UnsafeImage(reason="its header has an impossible length")
    if incompatible & COMPRESSION and (length < 112 or rest[32] > 1):
        raise UnsafeImage(reason="its compression type is unknown")
    return length


def _read_extensions(offset: int, end: int) -> Reading:
    for _ in range(MOST_EXTENSIONS):
        if offset + 8 > end:
            return Facts(0)
        extension = yield Span(offset, 8)
        kind, length = big(extension, 0, 4), big(extension, 4, 4)
        if kind == END:
            return Facts(0)
        if kind in REFUSED:
            raise UnsafeImage(reason=REFUSED[kind])
        if length > end - offset - 8:
            raise UnsafeImage(reason="a header extension is longer than the header's cluster")
        offset += 8 + (length + 7 & ~7)
    raise UnsafeImage(reason=f"it has more than {MOST_EXTENSIONS} header extensions")


def _reach(head: bytes, cluster_bits: int) -> int:
    """How far the file must reach to hold its two main tables."""
    l1_bytes, l1_offset = big(head, 36, 4) * 8, big(head, 40, 8)
    if l1_bytes > MOST_L1_BYTES:
        raise UnsafeImage(reason="its L1 table is too large")
    refcounts = big(head, 48, 8) + (big(head, 56, 4) << cluster_bits)
    return max(refcounts, l1_offset + l1_bytes if l1_bytes else 0)
