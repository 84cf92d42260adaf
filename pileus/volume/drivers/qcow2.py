"""A last look at a qcow2 file before a tool opens it: it must not reach for another file.

The image service has inspected it; this guards the way from there.
Source: qcow2 specification, "Header"; OSSA-2024-001.
"""

import struct
from pathlib import Path

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")  # up to nb_snapshots and snapshots_offset
_FEATURES = struct.Struct(">Q")
MAGIC = b"QFI\xfb"
EXTERNAL_DATA = 1 << 2


def refuse_outside_files(path: Path) -> str:
    """Why the file must not be opened; the empty string when it may."""
    with path.open("rb") as source:
        head = source.read(_HEADER.size + _FEATURES.size)
    if len(head) < _HEADER.size or head[:4] != MAGIC:
        return "it is no qcow2 file"
    fields = _HEADER.unpack_from(head)
    version, backing_offset = fields[1], fields[2]
    if version not in (2, 3):
        return f"its version {version} is not known"
    if backing_offset:
        return "it has a backing file"
    if version == 3:
        if len(head) < _HEADER.size + _FEATURES.size:
            return "its header is cut off"
        if _FEATURES.unpack_from(head, _HEADER.size)[0] & EXTERNAL_DATA:
            return "its data are in another file"
    return ""
