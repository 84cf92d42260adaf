"""The revocation epoch: one number that changes whenever a token's answer may have changed.

Identity advances it after the commit that revoked something, and tells every process over the bus. Who remembers a
validation keeps the mark that it saw: when the mark is another one, what was remembered is worth nothing.
"""

from collections.abc import Callable
from typing import Any

from pileus.foundation.bus.bus import Bus

CHANNEL = "identity.epoch"


LEAP = 1 << 32
"""How far the epoch jumps when every token ends: further than a history that was put back can have come."""


class Epoch:
    """The newest epoch this process has heard of. It only grows."""

    __slots__ = ("mark", "on_advance", "value")

    def __init__(self, value: int = 0):
        self.value = value
        self.mark: object | None = object()  # None while nothing may be remembered: news do not reach us
        self.on_advance: Callable[[int], None] | None = None

    def advance(self, value: int) -> None:
        """Take over a newer epoch; an older one, heard late, changes nothing."""
        if value > self.value:
            self.value = value
            if self.mark is not None:
                self.mark = object()
            if self.on_advance is not None:
                self.on_advance(value)

    def hears(self, *, is_so: bool) -> None:
        """Whether news of revocations reach this process; what was remembered before a break is forgotten."""
        self.mark = object() if is_so else None


def tell(epoch: Epoch, bus: Bus) -> None:
    """Let every process hear of epochs that this one makes."""

    def published(value: int) -> None:
        bus.publish(CHANNEL, "advanced", {"epoch": value})

    epoch.on_advance = published


def listen(epoch: Epoch, bus: Bus) -> None:
    """Hear of the epochs that others make; remember nothing while the bus is away."""

    def heard(event: str, args: dict[str, Any]) -> None:
        epoch.advance(int(args["epoch"]))

    bus.subscribe(CHANNEL, heard)
    bus.watch(lambda is_there: epoch.hears(is_so=is_there))
