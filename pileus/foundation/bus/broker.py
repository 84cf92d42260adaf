"""The broker of one process: a queue per topic, always encoded bytes; under test it drops, doubles and delays."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

log = logging.getLogger("pileus.bus")

Deliver = Callable[[bytes, str], "asyncio.Future[Any] | None"]
"""Takes a message and who sent it, as the transport has verified it: '' where only parts of the cloud have access.

Returns the work that the message began; until that has ended, a transport that can gives it to another if this
process dies.
"""

MOST_WAITING = 10_000
PARKED = "pileus.parked"
"""The topic of messages that nobody could handle; they are there to be looked at."""


@dataclass(frozen=True)
class Fate:
    """What happens to one message: how often it arrives (0: lost), and after how many seconds."""

    copies: int = 1
    delay_s: float = 0.0


class Transport(Protocol):
    """What carries encoded messages between processes; a topic's message reaches one consumer, a channel's all.

    Nothing here blocks. What is sent while the way is closed is kept, the newest `MOST_WAITING` messages of it; but
    not questions: who asks is told when to ask again.
    """

    def ask(self, topic: str, message: bytes, timeout_s: float, answer_to: str) -> None:
        """Send what is worth an answer for `timeout_s` and nothing afterwards; it may be lost with what carries it.

        It is dropped while nothing that is sent to `answer_to` would arrive: see `take_replies`.
        """
        ...

    def cast(self, topic: str, message: bytes) -> None:
        """Send what should arrive in the end, though its consumer or what carries it dies."""
        ...

    def reply(self, address: str, message: bytes) -> None: ...
    def publish(self, channel: str, message: bytes) -> None: ...
    def consume(self, topic: str, deliver: Deliver) -> None: ...
    def take_replies(self, name: str, deliver: Deliver, anew: Callable[[], None]) -> str:
        """Take what comes to an address of this process alone, made from the unique `name`; returns the address.

        `anew` is called when answers begin to arrive there, and each time they do so again: what was asked before may
        be lost, or its answer.
        """
        ...

    def subscribe(self, channel: str, deliver: Deliver) -> None: ...
    def drop(self, deliver: Deliver) -> None:
        """Forget a consumer or subscriber: its process is gone."""
        ...

    def park(self, topic: str, message: bytes, why: str) -> None:
        """Put aside, and log, a message of `topic` that nobody can handle."""
        ...

    async def depth(self, topics: Collection[str] = ()) -> dict[str, int]:
        """Messages that wait for a consumer, by topic, none shown as absent; `PARKED` are those put aside.

        Looks at `topics` besides those that the transport knows of. Raises: Unavailable.
        """
        ...

    @property
    def trouble(self) -> str:
        """What keeps all messages from arriving now, and what to do about it; "" when nothing does."""
        ...

    def watch(self, listen: Callable[[bool], None]) -> None:
        """Call `listen` with False while what is published does not reach this process, with True when it does again.

        Called at once when it does not yet.
        """
        ...

    async def close(self) -> None:
        """Let go, once what was sent is on its way."""
        ...


class Broker:
    """Topics and channels in memory. Without a consumer a topic keeps its newest messages until one comes."""

    def __init__(self, fate: Callable[[str, bytes], Fate] | None = None):
        self.fate = fate
        self._consumers: dict[str, deque[Deliver]] = {}
        self._waiting: dict[str, deque[bytes]] = {}
        self._subscribers: dict[str, list[Deliver]] = {}

    def send(self, topic: str, message: bytes) -> None:
        """What `ask`, `cast` and `reply` are here: nothing is safer than this process' memory."""
        if self.fate is None:
            self._put(topic, message)
            return
        fate = self.fate(topic, message)
        for _ in range(fate.copies):
            self._later(fate.delay_s, self._put, topic, message)

    cast = reply = send

    def ask(self, topic: str, message: bytes, timeout_s: float, answer_to: str) -> None:
        self.send(topic, message)

    def _later(self, delay_s: float, act: Callable[[str, bytes], None], name: str, message: bytes) -> None:
        if delay_s > 0:
            asyncio.get_running_loop().call_later(delay_s, act, name, message)
        else:
            act(name, message)

    def _put(self, topic: str, message: bytes) -> None:
        consumers = self._consumers.get(topic)
        if consumers:
            consumers[0](message, "")
            consumers.rotate(-1)
        else:
            self._waiting.setdefault(topic, deque(maxlen=MOST_WAITING)).append(message)

    def consume(self, topic: str, deliver: Deliver) -> None:
        self._consumers.setdefault(topic, deque()).append(deliver)
        for message in self._waiting.pop(topic, ()):
            deliver(message, "")

    def take_replies(self, name: str, deliver: Deliver, anew: Callable[[], None]) -> str:
        address = f"reply.{name}"
        self.consume(address, deliver)
        return address

    def publish(self, channel: str, message: bytes) -> None:
        if self.fate is None:
            self._spread(channel, message)
            return
        fate = self.fate(channel, message)
        for _ in range(fate.copies):
            self._later(fate.delay_s, self._spread, channel, message)

    def _spread(self, channel: str, message: bytes) -> None:
        for deliver in list(self._subscribers.get(channel, ())):
            deliver(message, "")

    def subscribe(self, channel: str, deliver: Deliver) -> None:
        self._subscribers.setdefault(channel, []).append(deliver)

    def drop(self, deliver: Deliver) -> None:
        for consumers in self._consumers.values():
            if deliver in consumers:
                consumers.remove(deliver)
        for subscribers in self._subscribers.values():
            if deliver in subscribers:
                subscribers.remove(deliver)

    def park(self, topic: str, message: bytes, why: str) -> None:
        log.error("%s: parked a message: %s", topic, why)
        self._put(PARKED, message)

    async def depth(self, topics: Collection[str] = ()) -> dict[str, int]:
        return self.waiting()

    def waiting(self) -> dict[str, int]:
        """What `depth` tells; here it is known at once."""
        return {topic: len(waiting) for topic, waiting in self._waiting.items() if waiting}

    trouble = ""

    def watch(self, listen: Callable[[bool], None]) -> None:
        """In one process there is no way that could break."""

    async def close(self) -> None:
        """Nothing is held that would outlive this process."""
