"""What the operators' API works with, made once by the wiring."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pileus.foundation.bus import Bus
from pileus.foundation.runtime import Runtime


@dataclass(frozen=True)
class Operations:
    """`owners` are the bus topics that answer for long work and invariants, by service."""

    bus: Bus
    runtime: Runtime
    version: str
    region: str
    owners: dict[str, str]  # "compute" -> "conductor"
    started_at: int  # UTC microseconds
    describe: Callable[[], Awaitable[dict[str, Any]]]  # where the cloud is, and its parts
