"""A back end without bytes: it keeps which volumes there are in a file of its own, and fails when told to.

It never reads the cloud's database. Each change is one `write` of one line, in the kernel's hands when a method
returns, so it survives a kill -9 of the process; a torn end is forgotten.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.runtime import Runtime
from pileus.volume.domain.errors import BackendFull, BackendUnusable, NoSuchVolumeThere
from pileus.volume.drivers.base import Capacity, ImageSource, Volume, VolumeSpec
from pileus.volume.drivers.rehearsal import WORDS, Rehearsal, parse, read_rehearsal

FILE = "fake-volumes"
_encode = msgspec.json.Encoder().encode


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the file: a volume as it is now; a size of 0 says that it is gone."""

    volume_id: str
    size_gib: int = 0
    metadata: dict[str, str] = {}
    image_id: str = ""
    copy_of: str = ""
    users: list[str] = []  # what is connected: attachments, or hosts where there is none


_decode = msgspec.json.Decoder(Held).decode


class FakeBackend:
    """Volumes in name only, `capacity_gib` of them."""

    def __init__(
        self, directory: Path, runtime: Runtime, *, capacity_gib: int = 1 << 20, fail: str = "", delay: str = ""
    ):
        self._path = directory / FILE
        self._runtime = runtime
        self._capacity_gib = capacity_gib
        self._all: Rehearsal = parse(fail, delay)
        self._held: dict[str, Held] = {}
        self._fd = -1
        self._lines = 0
        self._failed: dict[tuple[str, str], int] = {}

    # -- the file -------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._open_file()
        raw = self._path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        try:
            for line in whole.splitlines():
                self._remember(_decode(line))
        except msgspec.DecodeError as broken:
            raise BackendUnusable(path=self._path, reason=f"it was not written by this program ({broken})") from broken
        os.ftruncate(self._fd, len(whole))

    def _open_file(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            os.close(self._fd)
            self._fd = -1
            raise BackendUnusable(path=self._path, reason="another process uses it") from taken

    async def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._held.clear()

    def _remember(self, held: Held) -> None:
        self._lines += 1
        if held.size_gib:
            self._held[held.volume_id] = held
        else:
            self._held.pop(held.volume_id, None)

    def _put(self, held: Held) -> None:
        """Keep it, in the file first; what was written of a line that does not fit is cut off again."""
        line = _encode(held) + b"\n"
        end = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
        except OSError as failure:
            raise BackendFull(volume_id=held.volume_id, log=str(failure)) from failure
        if written != len(line):
            os.ftruncate(self._fd, end)
            raise BackendFull(volume_id=held.volume_id, log="short write")
        self._remember(held)
        if self._lines > 2 * len(self._held) + 10_000:
            self._compact()

    def _compact(self) -> None:
        """Write the living volumes to a new file and put it in the old one's place."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(b"".join(_encode(held) + b"\n" for held in self._held.values()))
        except OSError:  # no room for two files: the long one serves on
            fresh.unlink(missing_ok=True)
            return
        fresh.chmod(0o600)
        fresh.rename(self._path)
        os.close(self._fd)
        self._open_file()
        self._lines = len(self._held)

    # -- what goes wrong ------------------------------------------------------------------------------------------
    async def _rehearse(self, operation: str, volume_id: str, metadata: Mapping[str, str]) -> None:
        """Wait and fail as the user, or whoever started this back end, asked for."""
        own = read_rehearsal(metadata)
        if own.rules or own.delays or self._all.rules or self._all.delays:
            for told in (self._all, own):
                delay = told.delay_s(operation)
                if delay:
                    await self._runtime.sleep(delay)
                for rule in told.rules_for(operation):
                    self._maybe_fail(operation, volume_id, rule.word, rule.times, rule.percent)

    def _maybe_fail(self, operation: str, volume_id: str, word: str, times: int | None, percent: float | None) -> None:
        if percent is not None and self._runtime.random() * 100 >= percent:
            return
        failed = self._failed.get((volume_id, word), 0)
        if times is not None and failed >= times:
            return
        self._failed[(volume_id, word)] = failed + 1
        raise WORDS[word][1](action=operation, volume_id=volume_id, log=f"rehearsed: {word}")

    def _get(self, volume_id: str) -> Held:
        held = self._held.get(volume_id)
        if held is None:
            raise NoSuchVolumeThere(volume_id=volume_id)
        return held

    # -- volumes --------------------------------------------------------------------------------------------------
    async def ensure_volume(self, spec: VolumeSpec, image: ImageSource | None = None) -> None:
        await self._make(spec, image_id=image.image_id if image is not None else "")

    async def ensure_copy(self, spec: VolumeSpec, source_id: str, *, is_live: bool = False) -> None:
        self._get(source_id)
        await self._make(spec, copy_of=source_id)

    async def _make(self, spec: VolumeSpec, *, image_id: str = "", copy_of: str = "") -> None:
        if spec.volume_id in self._held:
            return
        await self._rehearse("create", spec.volume_id, spec.metadata)
        if spec.size_gib > self._capacity_gib:
            raise BackendFull(volume_id=spec.volume_id)
        self._put(Held(spec.volume_id, spec.size_gib, spec.metadata, image_id, copy_of))

    async def ensure_no_volume(self, volume_id: str, metadata: Mapping[str, str] | None = None) -> None:
        held = self._held.get(volume_id)
        if held is None:
            return
        await self._rehearse("delete", volume_id, held.metadata if metadata is None else metadata)
        if volume_id in self._held:
            self._put(Held(volume_id))
            for key in [key for key in self._failed if key[0] == volume_id]:
                del self._failed[key]

    async def extend(self, spec: VolumeSpec) -> None:
        self._get(spec.volume_id)
        await self._rehearse("extend", spec.volume_id, spec.metadata)
        held = self._get(spec.volume_id)
        if spec.size_gib > self._capacity_gib:
            raise BackendFull(volume_id=spec.volume_id)
        if held.size_gib < spec.size_gib:
            self._put(msgspec.structs.replace(held, size_gib=spec.size_gib))

    async def connect(self, spec: VolumeSpec, connector: Mapping[str, Any]) -> dict[str, Any]:
        self._get(spec.volume_id)
        await self._rehearse("attach", spec.volume_id, spec.metadata)
        held, user = self._get(spec.volume_id), _user(connector)
        if user not in held.users:
            self._put(msgspec.structs.replace(held, users=[*held.users, user]))
        path = str(self._path.with_name(f"volume-{spec.volume_id}"))
        return {"driver_volume_type": "file", "data": {"path": path, "format": "raw"}}

    async def disconnect(self, spec: VolumeSpec, connector: Mapping[str, Any]) -> None:
        held, user = self._held.get(spec.volume_id), _user(connector)
        if held is None or user not in held.users:
            return
        await self._rehearse("detach", spec.volume_id, spec.metadata)
        held = self._held.get(spec.volume_id)
        if held is not None and user in held.users:
            self._put(msgspec.structs.replace(held, users=[one for one in held.users if one != user]))

    async def capacity(self) -> Capacity:
        used = sum(held.size_gib for held in self._held.values())
        return Capacity(total_gib=self._capacity_gib, free_gib=max(self._capacity_gib - used, 0))

    async def list_volumes(self) -> list[Volume]:
        return [Volume(volume_id=held.volume_id, size_gib=held.size_gib) for held in self._held.values()]


def _user(connector: Mapping[str, Any]) -> str:
    return str(connector.get("attachment_id") or connector.get("host") or "")
