"""Where the fake hypervisor keeps its guests: one append-only file, of which a torn end is forgotten.

A record is written with one `write` and is in the kernel's hands when `put` or `remove` returns, so it survives a
kill -9 of the process; a power cut may cost the last ones, as it costs a real host its running guests. Nothing else
writes the file: a lock refuses a second process.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from pileus.compute.drivers.base import HypervisorFailed, HypervisorUnavailable, NoDiskSpace

MAGIC = b"pileus guests 1\n"
_FRAME = struct.Struct("<II")  # length, CRC-32
_LONGEST = 1 << 20
T = TypeVar("T", bound=msgspec.Struct)


class Journal(Generic[T]):
    """Values by key, held in memory and in a file. The file is made with the first value."""

    def __init__(self, path: Path, kind: type[T]):
        self._path = path
        self._encode = msgspec.msgpack.Encoder().encode
        record: Any = tuple[str, kind | None]  # type: ignore[valid-type]
        self._decode: Callable[[bytes], tuple[str, T | None]] = msgspec.msgpack.Decoder(record).decode
        self._fd = -1
        self._end = 0  # offset behind the last whole record
        self._records = 0
        self.items: dict[str, T] = {}

    def open(self) -> None:
        """Read what is there. Raises HypervisorUnavailable when another process has the file."""
        if self._path.exists():
            self._open_file()
            self._recover()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def put(self, key: str, value: T) -> None:
        """Keep `value`, in the file first. Raises NoDiskSpace and changes nothing."""
        self._append(self._encode((key, value)))
        self.items[key] = value
        self._compact_when_due()

    def remove(self, key: str) -> None:
        """Forget a key; an unknown one is fine."""
        if key in self.items:
            self._append(self._encode((key, None)))
            del self.items[key]
            self._compact_when_due()

    # -- the file -------------------------------------------------------------------------------------------------
    def _open_file(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lock()

    def _lock(self) -> None:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            self.close()
            raise HypervisorUnavailable(log=f"another process uses {self._path}") from taken

    def _recover(self) -> None:
        """Replay the file up to the first record that is not whole, and cut off the rest."""
        raw = self._path.read_bytes()
        if not MAGIC.startswith(raw[: len(MAGIC)]):
            self.close()
            raise HypervisorFailed(action="find", log=f"{self._path} was written by another version")
        self._end = self._replay(raw) if len(raw) >= len(MAGIC) else 0
        if self._end < len(raw):
            os.ftruncate(self._fd, self._end)

    def _replay(self, raw: bytes) -> int:
        at = len(MAGIC)
        while at + _FRAME.size <= len(raw):
            length, checksum = _FRAME.unpack_from(raw, at)
            body = raw[at + _FRAME.size : at + _FRAME.size + length]
            if len(body) < length or zlib.crc32(body) != checksum:
                break
            key, value = self._decode(body)
            if value is None:
                self.items.pop(key, None)
            else:
                self.items[key] = value
            self._records += 1
            at += _FRAME.size + length
        return at

    def _append(self, body: bytes) -> None:
        if len(body) > _LONGEST:
            raise HypervisorFailed(action="keep", log=f"a record of {len(body)} bytes")
        if self._fd < 0:
            self._open_file()
        frame = _FRAME.pack(len(body), zlib.crc32(body)) + body
        if self._end == 0:
            frame = MAGIC + frame
        self._write(frame)
        self._end += len(frame)
        self._records += 1

    def _write(self, frame: bytes) -> None:
        """All of it or nothing: what was written of a frame that does not fit is cut off again."""
        try:
            written = os.write(self._fd, frame)
            reason: OSError | None = None
        except OSError as failure:
            written, reason = 0, failure
        if written != len(frame):
            os.ftruncate(self._fd, self._end)
            raise NoDiskSpace(action="keep", log=f"{self._path}: {reason or 'short write'}") from reason

    def _compact_when_due(self) -> None:
        if self._records > 2 * len(self.items) + 1000:
            self._compact()

    def _compact(self) -> None:
        """Write the living values to a new file and put it in the old one's place."""
        fresh = self._path.with_suffix(".new")
        parts = [MAGIC]
        for entry in self.items.items():
            body = self._encode(entry)
            parts += (_FRAME.pack(len(body), zlib.crc32(body)), body)
        whole = b"".join(parts)
        try:
            fresh.write_bytes(whole)
        except OSError:  # no room for two files: the long one serves on
            fresh.unlink(missing_ok=True)
            return
        fresh.chmod(0o600)
        fresh.rename(self._path)
        self.close()
        self._open_file()
        self._end, self._records = len(whole), len(self.items)
