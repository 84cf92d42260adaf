"""What happened during one request or flow, recorded where it happens and carried back with the answer.

A `Trace` is a list of events that belongs to one request or one flow step; it is handed on explicitly. Never put a
secret into an event: tokens, passwords and user data stay out.
"""

from typing import Any

import msgspec


class Event(msgspec.Struct, omit_defaults=True):
    """One thing that happened between two parts.

    `step` is the number in the launch of design section 5, 0 for what has no number there; `sub` as in "10a".
    """

    step: int
    source: str
    target: str
    start: int  # UTC microseconds
    duration_us: int = 0
    sub: str = ""
    attempt_try: int = 1
    process: str = ""
    cached: bool = False
    validated_by: str = ""  # the request id that first validated a cached token
    data: dict[str, Any] = {}


class Trace:
    """Collects events in order."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, event: Event) -> None:
        self.events.append(event)

    def extend(self, events: list[Event]) -> None:
        self.events.extend(events)


def encode(events: list[Event]) -> bytes:
    return msgspec.msgpack.encode(events)


def decode(raw: bytes) -> list[Event]:
    return msgspec.msgpack.decode(raw, type=list[Event])
