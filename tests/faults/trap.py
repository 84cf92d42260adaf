"""What a process under test does at one seam: it dies, it stops, it tells the test, or a message goes astray.

A trap is a file `PART.trap` in the directory that all processes of a cluster watch. Whoever reaches its seams, one
after the other, removes it, so that it springs once; `PART.sprung` then tells who it was.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.bus.broker import Transport
from pileus.foundation.bus.bus import Envelope
from pileus.foundation.runtime import Runtime

KILL, STOP, TELL, DOUBLE, DROP = "kill", "stop", "tell", "double", "drop"
COPIES = {DOUBLE: 2, DROP: 0}
ENVIRONMENT = ("FAULTS_DIRECTORY", "FAULTS_PARTS", "FAULTS_SOCKET")


class Trap(msgspec.Struct):
    """`seams` are to be reached in this order: a point, and what each of its facts contains."""

    seams: list[list[str]]
    does: str

    def is_next(self, at: int, point: str, facts: tuple[str, ...]) -> bool:
        wanted = self.seams[at]
        return wanted[0] == point and all(want in fact for want, fact in zip(wanted[1:], facts, strict=False))


class TrappedRuntime(Runtime):
    """The machine's own runtime, with traps at its seams."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        directory, parts, self._socket = (os.environ[name] for name in ENVIRONMENT)
        self._directory = Path(directory)
        self._parts = parts.split(",")
        self._changed = 0
        self._armed: dict[str, tuple[Trap, int]] = {}  # by part: how many of its seams were reached
        self._copies = 1

    def reached(self, point: str, *facts: str) -> None:
        if (changed := self._directory.stat().st_mtime_ns) != self._changed:
            self._look(changed)
        for part, (trap, at) in list(self._armed.items()):
            if not trap.is_next(at, point, facts):
                continue
            self._armed[part] = (trap, at + 1)
            if at + 1 == len(trap.seams):
                del self._armed[part]
                self._spring(part, trap)

    def _look(self, changed: int) -> None:
        self._changed = changed
        for part in self._parts:
            try:
                trap = msgspec.json.decode((self._directory / f"{part}.trap").read_bytes(), type=Trap)
            except FileNotFoundError:
                self._armed.pop(part, None)
                continue
            self._armed.setdefault(part, (trap, 0))

    def _spring(self, part: str, trap: Trap) -> None:
        try:
            (self._directory / f"{part}.trap").unlink()
        except FileNotFoundError:
            return  # somebody else was faster
        whole = self._directory / f"{part}.{os.getpid()}"
        whole.write_text(self.name)
        whole.rename(self._directory / f"{part}.sprung")
        if trap.does == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif trap.does == STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif trap.does == TELL:
            self._tell()
        else:
            self._copies = COPIES[trap.does]

    def _tell(self) -> None:
        """Wait until the test has done what it does here: nothing else of this process goes on meanwhile."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self._socket)
            line.sendall(self.name.encode() + b"\n")
            line.recv(16)

    def copies(self) -> int:
        """How often the message that is under way arrives."""
        copies, self._copies = self._copies, 1
        return copies


class TrappedTransport:
    """A process' way to the bus on which a message may be lost or doubled, on leaving or on arriving."""

    def __init__(self, transport: Transport, runtime: TrappedRuntime):
        self._transport, self._runtime = transport, runtime
        self._wrapped: dict[Any, Any] = {}

    def ask(self, topic: str, message: bytes, timeout_s: float, answer_to: str) -> None:
        for _ in range(self._runtime.copies()):
            self._transport.ask(topic, message, timeout_s, answer_to)

    def cast(self, topic: str, message: bytes) -> None:
        for _ in range(self._runtime.copies()):
            self._transport.cast(topic, message)

    def reply(self, address: str, message: bytes) -> None:
        for _ in range(self._runtime.copies()):
            self._transport.reply(address, message)

    def consume(self, topic: str, deliver: Callable[[bytes, str], Any]) -> None:
        def took(raw: bytes, sender: str) -> Any:
            envelope = msgspec.msgpack.decode(raw, type=Envelope)
            self._runtime.reached("take.before", topic, envelope.method)
            works = [deliver(raw, sender) for _ in range(self._runtime.copies())]
            begun = [work for work in works if work is not None]
            return asyncio.gather(*begun) if len(begun) > 1 else begun[0] if begun else None

        self._wrapped[deliver] = took
        self._transport.consume(topic, took)

    def drop(self, deliver: Any) -> None:
        self._transport.drop(self._wrapped.pop(deliver, deliver))

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._transport, name)
