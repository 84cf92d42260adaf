"""VHDX (Hyper-V).

A hostile one has a parent, or a log that would rewrite its metadata after we have looked.
Source: Microsoft, "[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format".
"""

import uuid

from pileus.image.domain.errors import UnsafeImage
from pileus.image.domain.inspector.reading import Facts, Reading, Span, little

MAGIC = b"vhdxfile"
HEADERS, REGIONS, TABLE = (0x10000, 0x20000), 0x30000, 0x10000
MOST_REGIONS, MOST_ITEMS = 2047, 2047
REQUIRED_REGION = 1
REQUIRED_ITEM = 4


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


BAT = _guid("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA = _guid("8b7ca206-4790-4b9a-b8fe-575f050f886e")
FILE_PARAMETERS = _guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_DISK_SIZE = _guid("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
PARENT_LOCATOR = _guid("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
KNOWN_ITEMS = frozenset(
    {
        FILE_PARAMETERS,
        VIRTUAL_DISK_SIZE,
        _guid("beca12ab-b2e6-4523-93ef-c309e000c746"),  # page 83 data
        _guid("8141bf1d-a96f-4709-ba47-f233a8faab5f"),  # logical sector size
        _guid("cda348c7-445d-4471-9cc9-e9885251c556"),  # physical sector size
    }
)


def read() -> Reading:
    """Read both headers, the region table, and the metadata that it points to."""
    for offset in HEADERS:
        header = yield Span(offset, 0x50)
        if header.startswith(b"head") and any(header[0x30:0x40]):
            raise UnsafeImage(reason="it has a log that was not replayed; close it cleanly first")
    regions, reach = _regions((yield Span(REGIONS, TABLE)))
    where, length = regions
    if length > 1 << 20 or length < TABLE:
        raise UnsafeImage(reason="its metadata region has an impossible size")
    metadata = yield Span(where, length)
    return Facts(_virtual_size(metadata), reach)


def _regions(table: bytes) -> tuple[tuple[int, int], int]:
    """Where the metadata lies, and where the last region ends."""
    count = little(table, 8, 4)
    if not table.startswith(b"regi") or not 0 < count <= MOST_REGIONS:
        raise UnsafeImage(reason="its region table is broken")
    metadata: list[tuple[int, int]] = []
    reach = 0
    for at in range(16, 16 + count * 32, 32):
        kind, flags = table[at : at + 16], table[at + 28]
        offset, length = little(table, at + 16, 8), little(table, at + 24, 4)
        if kind == METADATA:
            metadata.append((offset, length))
        elif kind != BAT and flags & REQUIRED_REGION:
            raise UnsafeImage(reason="it requires an unknown region")
        reach = max(reach, offset + length)
    if len(metadata) != 1:
        raise UnsafeImage(reason="it has no single metadata region")
    return metadata[0], reach


def _virtual_size(region: bytes) -> int:
    """The disk's size, once every item of the metadata has been found harmless."""
    count = little(region, 10, 2)
    if not region.startswith(b"metadata") or count > MOST_ITEMS:
        raise UnsafeImage(reason="its metadata table is broken")
    sizes: list[int] = []
    parameters = 0
    for at in range(32, 32 + count * 32, 32):
        kind, flags = region[at : at + 16], little(region, at + 24, 4)
        value = _item(region, little(region, at + 16, 4), little(region, at + 20, 4))
        if kind == PARENT_LOCATOR:
            raise UnsafeImage(reason="it has a parent")
        if kind not in KNOWN_ITEMS and flags & REQUIRED_ITEM:
            raise UnsafeImage(reason="it requires unknown metadata")
        if kind == FILE_PARAMETERS:
            parameters += 1
            if len(value) != 8 or little(value, 4, 4) & 2:
                raise UnsafeImage(reason="it has a parent")
        elif kind == VIRTUAL_DISK_SIZE:
            sizes.append(little(value, 0, 8))
    if len(sizes) != 1 or parameters != 1:
        raise UnsafeImage(reason="its metadata is incomplete")
    return sizes[0]


def _item(region: bytes, offset: int, length: int) -> bytes:
    if not length:
        return b""
    if offset < TABLE or offset + length > len(region):
        raise UnsafeImage(reason="its metadata table is broken")
    return region[offset : offset + length]
