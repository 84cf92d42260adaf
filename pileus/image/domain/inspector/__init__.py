"""Looks at an image's bytes while they stream in, and refuses what could make a tool touch what is not its own.

Our own reader comes before every tool: nothing is ever probed by a program that would also open what it finds. It
decides the format by the bytes, holds no more than some spans of the header, and raises nothing but `UnsafeImage`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pileus.image.domain.errors import FormatMismatch, TruncatedImage, UnsafeImage, VirtualSizeTooLarge
from pileus.image.domain.inspector import detect, ploop, qcow2, vdi, vhd, vhdx, vmdk
from pileus.image.domain.inspector.reading import HEAD, Reader, Reading

__all__ = ["MOST_VIRTUAL_BYTES", "Inspection", "Inspector"]

MOST_VIRTUAL_BYTES = 16 << 40
TAIL = 4096
RAW_LIKE = frozenset({"raw", "ami", "ari", "aki"})
RAW_CONTENT = frozenset({"raw", "gpt", "iso"})
PLAIN_CONTAINERS = frozenset({"bare", "ami", "ari", "aki"})

READERS: dict[str, Callable[[], Reading]] = {
    "qcow2": qcow2.read,
    "vmdk": vmdk.read,
    "vmdk-descriptor": vmdk.refuse_descriptor,
    "vmdk-esx": vmdk.refuse_esx,
    "vhd": vhd.read_dynamic,
    "vhdx": vhdx.read,
    "vdi": vdi.read,
    "ploop": ploop.read,
}
_FAMILY = {"vmdk-descriptor": "vmdk", "vmdk-esx": "vmdk"}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the bytes turned out to be. `content` tells of a raw disk whether it holds an ISO or a partition table."""

    disk_format: str
    content: str
    size: int
    virtual_size: int


class Inspector:
    """Judges one upload, chunk by chunk.

    An archive (container ova, docker ...) is only searched for a disk image in disguise: it is unpacked by nobody here.
    """

    def __init__(
        self, disk_format: str, container_format: str = "bare", *, most_virtual_bytes: int = MOST_VIRTUAL_BYTES
    ):
        self._declared = disk_format
        self._is_plain = container_format in PLAIN_CONTAINERS
        self._most = most_virtual_bytes
        self._head: bytearray | None = bytearray()
        self._tail = b""
        self._reader: Reader | None = None
        self._found = ""
        self._content = "raw"
        self.size = 0

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes. Raises: UnsafeImage (415), as early as that is certain."""
        self.size += len(chunk)
        self._tail = chunk[-TAIL:] if len(chunk) >= TAIL else (self._tail + chunk)[-TAIL:]
        if self._head is not None:
            room = HEAD - len(self._head)
            self._head += chunk[:room]
            chunk = chunk[room:]
            if len(self._head) < HEAD:
                return
            self._begin()
        if chunk and self._reader is not None:
            self._reader.feed(chunk)

    def finish(self) -> Inspection:
        """The verdict on the whole file; an empty one passes as anything, for there is nothing to open.

        Raises: UnsafeImage (415).
        """
        if not self.size:
            return Inspection(self._declared, "raw", 0, 0)
        if self._head is not None:
            self._begin()
        if self._reader is None:
            self._look_at_the_end()
        size = self.size
        if self._reader is not None:
            size = self._reader.finish(self._tail, self.size).virtual_size
        elif self._declared == "iso" and self.size < detect.ISO_REACH:
            raise TruncatedImage(reason="it ends inside its volume descriptor")
        if size > self._most:
            raise VirtualSizeTooLarge(size=size, most=self._most)
        return Inspection(self._found or self._declared, self._content, self.size, size)

    def _begin(self) -> None:
        """Decide by the head what this is, and start the format's reader on it."""
        head, self._head = bytes(self._head or b""), None
        found = detect.formats(head)
        self._content = detect.content(head)
        if len(found) > 1 or (found and self._content == "iso"):
            names = sorted({*found, *(["iso"] if self._content == "iso" else [])})
            raise UnsafeImage(reason=f"it looks like several formats at once: {', '.join(names)}")
        if found:
            self._decide(found[0])
            self._reader = Reader(READERS[found[0]](), head)
        elif self._declared != "vhd":
            self._decide("")

    def _look_at_the_end(self) -> None:
        """A disk that is raw in front may still be a fixed VHD."""
        found = detect.trailing_format(self._tail)
        self._decide(found)
        if found:
            self._reader = Reader(vhd.read_fixed(), b"")

    def _decide(self, found: str) -> None:
        """Compare what was found with what was declared."""
        self._found = _FAMILY.get(found, found)
        if found and found not in READERS:
            raise UnsafeImage(reason=f"its format is {found}, which is not supported")
        if not self._is_plain:
            return
        declared = self._declared
        fits = declared in RAW_LIKE if not found else self._found == declared
        if declared == "iso" and not found:
            fits = self._content == "iso"
        if not fits:
            raise FormatMismatch(declared=declared, found=self._found or self._content)
