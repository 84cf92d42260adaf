"""VHD (Virtual PC, Azure): fixed disks carry a footer only, dynamic ones a copy of it in front.

A hostile one is differencing: its parent is another file.
Source: Microsoft, "Virtual Hard Disk Image Format Specification", 1.0.
"""

from pileus.image.domain.errors import UnsafeImage
from pileus.image.domain.inspector.reading import Facts, Reading, Span, Tail, big

MAGIC, DYNAMIC_MAGIC = b"conectix", b"cxsparse"
FIXED, DYNAMIC = 2, 3
FOOTER = 512


def read_dynamic() -> Reading:
    """Read the footer's copy in front and the dynamic header behind it."""
    footer = yield Span(0, FOOTER)
    _check_kind(footer, DYNAMIC)
    where = big(footer, 16, 8)
    if not FOOTER <= where <= 1 << 20:
        raise UnsafeImage(reason="its dynamic disk header is out of place")
    header = yield Span(where, 1024)
    if not header.startswith(DYNAMIC_MAGIC):
        raise UnsafeImage(reason="its dynamic disk header is missing")
    if any(header[40:60]) or any(header[64:768]):
        raise UnsafeImage(reason="it is a differencing disk: its data lies in another file")
    return Facts(_virtual_size(footer), big(header, 16, 8) + big(header, 28, 4) * 4)


def read_fixed() -> Reading:
    """Read the footer of a disk that is otherwise raw."""
    footer = yield Tail(FOOTER)
    _check_kind(footer, FIXED)
    size = _virtual_size(footer)
    return Facts(size, big(footer, 48, 8))


def _check_kind(footer: bytes, wanted: int) -> None:
    kind = big(footer, 60, 4)
    if kind != wanted:
        raise UnsafeImage(reason=f"VHD disk type {kind} is not supported here (2, fixed, and 3, dynamic, are)")


def _virtual_size(footer: bytes) -> int:
    """The larger of the two sizes that a footer tells; tools differ in which they believe."""
    geometry = big(footer, 56, 2) * footer[58] * footer[59] * 512
    return max(big(footer, 48, 8), geometry)
