"""Ploop, or Parallels: an expanding image without any reference to the outside.

Source: QEMU's docs/interop/parallels.txt.
"""

from pileus.image.domain.errors import UnsafeImage
from pileus.image.domain.inspector.reading import Facts, Reading, Span, little

MAGICS = (b"WithoutFreeSpace", b"WithouFreSpacExt")


def read() -> Reading:
    """Read the header."""
    head = yield Span(0, 64)
    if little(head, 16, 4) != 2:
        raise UnsafeImage(reason="its ploop version is not 2")
    sectors = little(head, 36, 8) if head.startswith(MAGICS[1]) else little(head, 36, 4)
    return Facts(sectors * 512, 64 + little(head, 32, 4) * 4)
