"""How a format is read while its bytes stream past: a generator asks for spans and gets them, in file order.

A reader is plain sequential code (`header = yield Span(0, 104)`), knows nothing of chunks, and holds nothing but
what it asked for. Within the first `HEAD` bytes spans may come in any order; later one behind the stream is refused.
"""

from collections.abc import Generator
from dataclasses import dataclass

from pileus.image.domain.errors import TruncatedImage, UnsafeImage

HEAD = 1 << 16
MOST = 1 << 21  # the longest span a reader may ask for


@dataclass(frozen=True, slots=True)
class Span:
    """So many bytes from an offset of the file."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of the file."""

    length: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a header says: the size of the disk inside, and how far the file must at least reach to hold its tables."""

    virtual_size: int
    reach: int = 0


Reading = Generator[Span | Tail, bytes, Facts]


class Reader:
    """Feeds one generator from a stream. Holds at most the head it is given and one span."""

    __slots__ = ("_buffer", "_position", "_reading", "_want", "facts")

    def __init__(self, reading: Reading, head: bytes):
        self._reading = reading
        self._position = len(head)
        self._buffer = bytearray()
        self.facts: Facts | None = None
        self._want: Span | Tail = self._first(head)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file. Raises: UnsafeImage (415)."""
        start, self._position = self._position, self._position + len(chunk)
        while self.facts is None and isinstance(self._want, Span) and self._want.offset < self._position:
            if not self._take(self._want, start, chunk):
                return

    def finish(self, tail: bytes, size: int) -> Facts:
        """The facts, now that the file is whole. Raises: UnsafeImage (415)."""
        while self.facts is None:
            if isinstance(self._want, Span) or self._want.length > len(tail):
                raise TruncatedImage(reason="it ends inside its own header")
            self._answer(tail[len(tail) - self._want.length :])
        if self.facts.reach > size:
            raise TruncatedImage(reason=f"its tables end at byte {self.facts.reach}, the file at byte {size}")
        return self.facts

    def _first(self, head: bytes) -> Span | Tail:
        self._want = next(self._reading)
        while self.facts is None and isinstance(self._want, Span):
            if self._want.end > len(head):
                self._check(self._want)
                if self._want.offset < len(head):
                    self._buffer += head[self._want.offset :]
                break
            self._answer(head[self._want.offset : self._want.end])
        return self._want

    def _take(self, want: Span, start: int, chunk: bytes) -> bool:
        """Add what `chunk` holds of the span; whether the span is complete and another one may be asked for."""
        have = want.offset + len(self._buffer)
        if have < start:
            raise UnsafeImage(reason="its tables are laid out backwards")
        self._buffer += chunk[have - start : want.end - start]
        if len(self._buffer) < want.length:
            return False
        found = bytes(self._buffer)
        self._buffer.clear()
        self._answer(found)
        if self.facts is None and isinstance(self._want, Span):
            self._check(self._want)
        return True

    def _answer(self, found: bytes) -> None:
        try:
            self._want = self._reading.send(found)
        except StopIteration as done:
            self.facts = done.value

    def _check(self, want: Span) -> None:
        if want.length > MOST:
            raise UnsafeImage(reason="a table in its header is too large")


def little(raw: bytes, offset: int, length: int) -> int:
    """The unsigned little-endian integer at an offset of `raw`."""
    return int.from_bytes(raw[offset : offset + length], "little")


def big(raw: bytes, offset: int, length: int) -> int:
    """The unsigned big-endian integer at an offset of `raw`."""
    return int.from_bytes(raw[offset : offset + length], "big")
