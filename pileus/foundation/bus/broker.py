"""The broker of one process: a queue per topic, always encoded bytes; under test it drops, doubles and delays."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Deliver = Callable[[bytes], None]

MOST_WAITING = 10_000


@dataclass(frozen=True)
class Fate:
    """What happens to one message: how often it arrives (0: lost), and after how many seconds."""

    copies: int = 1
    delay_s: float = 0.0


class Transport(Protocol):
    """What carries encoded messages between processes; a queue's message reaches one consumer, a channel's all."""

    def send(self, topic: str, message: bytes) -> None: ...
    def consume(self, topic: str, deliver: Deliver) -> None: ...
    def publish(self, channel: str, message: bytes) -> None: ...
    def subscribe(self, channel: str, deliver: Deliver) -> None: ...
    def drop(self, deliver: Deliver) -> None:
        """Forget a consumer or subscriber: its process is gone."""
        ...


class Broker:
    """Topics and channels in memory. Without a consumer a topic keeps its newest messages until one comes."""

    def __init__(self, fate: Callable[[str, bytes], Fate] | None = None):
        self.fate = fate
        self._consumers: dict[str, deque[Deliver]] = {}
        self._waiting: dict[str, deque[bytes]] = {}
        self._subscribers: dict[str, list[Deliver]] = {}

    def send(self, topic: str, message: bytes) -> None:
        if self.fate is None:
            self._put(topic, message)
            return
        fate = self.fate(topic, message)
        for _ in range(fate.copies):
            self._later(fate.delay_s, self._put, topic, message)

    def _later(self, delay_s: float, act: Callable[[str, bytes], None], name: str, message: bytes) -> None:
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, act, name, message)
        else:
            act(name, message)

    def _put(self, topic: str, message: bytes) -> None:
        consumers = self._consumers.get(topic)
        if consumers:
            consumers[0](message)
            consumers.rotate(-1)
        else:
            self._waiting.setdefault(topic, deque(maxlen=MOST_WAITING)).append(message)

    def consume(self, topic: str, deliver: Deliver) -> None:
        self._consumers.setdefault(topic, deque()).append(deliver)
        for message in self._waiting.pop(topic, ()):
            deliver(message)

    def publish(self, channel: str, message: bytes) -> None:
        if self.fate is None:
            self._spread(channel, message)
            return
        fate = self.fate(channel, message)
        for _ in range(fate.copies):
            self._later(fate.delay_s, self._spread, channel, message)

    def _spread(self, channel: str, message: bytes) -> None:
        for deliver in list(self._subscribers.get(channel, ())):
            deliver(message)

    def subscribe(self, channel: str, deliver: Deliver) -> None:
        self._subscribers.setdefault(channel, []).append(deliver)

    def drop(self, deliver: Deliver) -> None:
        for consumers in self._consumers.values():
            if deliver in consumers:
                consumers.remove(deliver)
        for subscribers in self._subscribers.values():
            if deliver in subscribers:
                subscribers.remove(deliver)

    def depth(self) -> dict[str, int]:
        """Messages that wait for a consumer, by topic."""
        return {topic: len(waiting) for topic, waiting in self._waiting.items() if waiting}
