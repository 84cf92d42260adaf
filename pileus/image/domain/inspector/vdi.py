"""VDI (VirtualBox). A hostile one is a difference to another image.

Source: VirtualBox, VDICore.h (the layout of the version 1.1 header).
"""

from pileus.image.domain.errors import UnsafeImage
from pileus.image.domain.inspector.reading import Facts, Reading, Span, little

SIGNATURE_AT, SIGNATURE = 0x40, 0xBEDA107F
DYNAMIC, STATIC = 1, 2


def read() -> Reading:
    """Read the header."""
    head = yield Span(0, 0x200)
    if little(head, 0x44, 4) != 0x00010001:
        raise UnsafeImage(reason="its VDI version is not 1.1")
    if little(head, 0x4C, 4) not in (DYNAMIC, STATIC) or any(head[0x1A8:0x1C8]):
        raise UnsafeImage(reason="it is a difference to another image")
    block_map = little(head, 0x154, 4) + little(head, 0x180, 4) * 4
    return Facts(little(head, 0x170, 8), max(block_map, little(head, 0x158, 4)))
