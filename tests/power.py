"""What is left of a SQLite database when its machine loses power: what was synced, and of the rest what chance leaves.

Source: SQLite, "WAL-mode File Format": a header of 32 bytes, then frames of 24 bytes and a page; the frames that count
are those from the first on that carry the header's salt.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

HEADER, FRAME_HEADER = 32, 24


class Extent(NamedTuple):
    """How far a WAL reaches: its generation and its number of frames."""

    salt: bytes
    frames: int


NOTHING = Extent(b"", 0)


def written(wal: Path, known: Extent = NOTHING) -> Extent:
    """How far the WAL is written now, synced or not; `known` is how far it was before."""
    if not wal.exists():
        return NOTHING
    with wal.open("rb", buffering=0) as file:
        return _extent(lambda start, size: os.pread(file.fileno(), size, start), known)


def _extent(read: Callable[[int, int], bytes], known: Extent = NOTHING) -> Extent:
    header = read(0, HEADER)
    if len(header) < HEADER:
        return NOTHING
    salt, size = header[16:24], _frame_size(header)
    frames = known.frames if known.salt == salt else 0
    while read(HEADER + frames * size + 8, len(salt)) == salt:
        frames += 1
    return Extent(salt, frames)


def _frame_size(content: bytes) -> int:
    return FRAME_HEADER + int.from_bytes(content[8:12], "big")


@dataclass(frozen=True)
class Files:
    """A database as its files were at one moment."""

    path: Path
    main: bytes
    wal: bytes

    @classmethod
    def of(cls, path: Path) -> "Files":
        wal = path.with_name(f"{path.name}-wal")
        return cls(path, path.read_bytes(), wal.read_bytes() if wal.exists() else b"")

    def put_back(self, synced: Extent, chance: random.Random) -> None:
        """Write the files anew, the WAL cut at a frame behind the last sync; its next frame may be torn."""
        extent = _extent(lambda start, size: self.wal[start : start + size])
        kept = chance.randint(synced.frames if synced.salt == extent.salt else 0, extent.frames)
        end = HEADER + kept * _frame_size(self.wal) if self.wal else 0
        torn = self.wal[end : end + chance.choice((0, 12, 24, 1000))] if kept < extent.frames else b""
        self.path.write_bytes(self.main)
        self.path.with_name(f"{self.path.name}-wal").write_bytes(self.wal[:end] + torn)
        self.path.with_name(f"{self.path.name}-shm").unlink(missing_ok=True)
