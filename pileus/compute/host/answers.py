"""What this host has done for flows: asked again, it answers the same and does nothing twice.

Whoever runs a flow may die before he wrote the answer down, or wake up after another has taken the flow over; and a
message may come twice. Most actions may be repeated all the same; a reboot is seen by the guest.
"""

import logging
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger("pileus.compute.host")

MOST = 1000


class Answers:
    """The newest answers by flow, in a file that outlives the process. Nothing secret: power states, a few facts."""

    def __init__(self, path: Path):
        self._path = path
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._file = -1
        self._lines = 0  # in the file, those of forgotten answers too

    def open(self) -> None:
        """Read what an earlier life has answered, up to what a crash has torn."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            for line in self._path.read_bytes().split(b"\n")[:-1]:
                try:
                    flow_id, answer = msgspec.json.decode(line, type=tuple[str, dict[str, Any]])
                except msgspec.DecodeError:
                    log.warning("%s is torn: what was answered after is forgotten", self._path)
                    break
                self._keep(flow_id, answer)
        self._write_anew()

    def _write_anew(self) -> None:
        """With what is known, and nothing else."""
        self.close()
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(b"".join(_line(*entry) for entry in self._known.items()))
        fresh.chmod(0o600)
        fresh.rename(self._path)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._lines = len(self._known)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def find(self, flow_id: str) -> dict[str, Any] | None:
        return self._known.get(flow_id)

    def add(self, flow_id: str, answer: dict[str, Any]) -> None:
        """In the kernel's hands when it returns, as the guests are: it survives a kill -9."""
        os.write(self._file, _line(flow_id, answer))
        self._keep(flow_id, answer)
        self._lines += 1
        if self._lines > 2 * MOST:
            self._write_anew()

    def _keep(self, flow_id: str, answer: dict[str, Any]) -> None:
        self._known[flow_id] = answer
        while len(self._known) > MOST:
            self._known.popitem(last=False)


def _line(flow_id: str, answer: dict[str, Any]) -> bytes:
    return msgspec.json.encode((flow_id, answer)) + b"\n"
