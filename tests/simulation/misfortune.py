"""What goes wrong in a history: messages, hosts that cannot be reached, deaths. All from the seed."""

import random
from dataclasses import dataclass

import msgspec

from pileus.foundation.bus import Fate
from pileus.foundation.bus.bus import Envelope
from tests.cloud import Life

_decode = msgspec.msgpack.Decoder(Envelope).decode
FINE = Fate()
LOST = Fate(copies=0)


@dataclass(frozen=True)
class Weather:
    """How bad a history is."""

    lost: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    longest_delay_s: float = 3.0
    deaths: int = 0
    reboots: bool = False
    partitions: int = 0
    jumps: int = 0  # of the wall clock
    expulsions: int = 0  # a user is disabled for a while

    @classmethod
    def forecast(cls, chance: random.Random) -> "Weather":
        """A third of the histories are calm on the bus, a third have no death."""
        is_rough = chance.random() < 0.66
        return cls(
            lost=chance.choice((0.0, 0.01, 0.05)) if is_rough else 0.0,
            doubled=chance.choice((0.0, 0.02, 0.1)) if is_rough else 0.0,
            delayed=chance.choice((0.0, 0.05, 0.2)) if is_rough else 0.0,
            deaths=chance.choice((0, 0, 1, 1, 2, 3)),
            reboots=chance.random() < 0.3,
            partitions=chance.choice((0, 0, 0, 1)),
            jumps=chance.choice((0, 0, 0, 0, 2)),
            expulsions=chance.choice((0, 0, 0, 1)),
        )


class Misfortune:
    """Decides the fate of every message and the moments of death."""

    def __init__(self, chance: random.Random, weather: Weather):
        self._chance = chance
        self.weather = weather
        self.is_over = False
        self.cut_off = ""  # the host that nothing reaches, and that reaches nobody
        self.seams = 0  # how many were passed
        self._deaths = sorted(chance.randrange(1, 2500) for _ in range(weather.deaths))

    def fate(self, topic: str, message: bytes) -> Fate:
        """Of one message on the bus."""
        weather = self.weather
        if self.is_over:
            return FINE
        if self.cut_off and self._is_cut_off(topic, message):
            return LOST
        if self._chance.random() < weather.lost:
            return LOST
        copies = 2 if self._chance.random() < weather.doubled else 1
        delay_s = self._chance.random() * weather.longest_delay_s if self._chance.random() < weather.delayed else 0.0
        return Fate(copies, delay_s) if copies > 1 or delay_s else FINE

    def _is_cut_off(self, topic: str, message: bytes) -> bool:
        if topic.endswith(f".{self.cut_off}"):
            return True
        if topic.startswith("reply."):
            return False
        args = _decode(message).args
        return args.get("host") == self.cut_off or args.get("home") == f"host:{self.cut_off}"

    def at_seam(self, life: Life, point: str, *facts: str) -> None:
        """The process dies at seams that the seed chose."""
        self.seams += 1
        if self._deaths and self.seams >= self._deaths[0] and not self.is_over:
            self._deaths.pop(0)
            life.crash()
