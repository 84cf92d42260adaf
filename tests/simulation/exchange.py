"""What carries messages between the processes of a town, as a broker does: queues, announcements, lines that break.

A message whose taker dies at work goes to another; calls that nobody takes in time are dropped; what happens to a
message on its way is for `fate` to say.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from pileus.foundation.bus import Fate
from pileus.foundation.bus.broker import MOST_WAITING, PARKED, Deliver
from pileus.foundation.runtime import Runtime

Decide = Callable[[str, bytes], Fate]
FOR_EVER = float("inf")


@dataclass(eq=False)
class Letter:
    """One message in a queue or in somebody's hands."""

    topic: str
    raw: bytes
    sender: str
    until: float = FOR_EVER


@dataclass(eq=False)
class Taker:
    """Somebody who takes what comes to a name."""

    line: "Line"
    name: str
    deliver: Deliver
    at_work: list[Letter] = field(default_factory=list)


class Exchange:
    """The broker. `wipe` empties every queue, as when its disk is lost."""

    def __init__(self, fate: Decide):
        self._fate = fate
        self._queues: dict[str, deque[Letter]] = {}
        self._takers: dict[str, deque[Taker]] = {}
        self._subscribers: dict[str, list[Taker]] = {}
        self.parked: list[str] = []

    def line(self, runtime: Runtime, account: str) -> "Line":
        """A process' connection, in the name of an account."""
        return Line(self, runtime, account)

    def wipe(self) -> None:
        for queue in self._queues.values():
            queue.clear()

    def waiting(self) -> dict[str, int]:
        found = {topic: len(queue) for topic, queue in self._queues.items() if queue}
        return found | ({PARKED: len(self.parked)} if self.parked else {})

    # -- on the way -----------------------------------------------------------------------------------------------
    def send(self, letter: Letter) -> None:
        self._travel(letter.topic, letter.raw, lambda: self._queue(letter))

    def publish(self, channel: str, raw: bytes, sender: str) -> None:
        self._travel(channel, raw, lambda: self._spread(channel, raw, sender))

    def _travel(self, name: str, raw: bytes, arrive: Callable[[], None]) -> None:
        fate = self._fate(name, raw)
        for _ in range(fate.copies):
            asyncio.get_running_loop().call_later(fate.delay_s, arrive)

    def _queue(self, letter: Letter) -> None:
        self._queues.setdefault(letter.topic, deque(maxlen=MOST_WAITING)).append(letter)
        self.hand_out(letter.topic)

    def _spread(self, channel: str, raw: bytes, sender: str) -> None:
        for taker in list(self._subscribers.get(channel, ())):
            taker.deliver(raw, sender)

    # -- taking ---------------------------------------------------------------------------------------------------
    def hand_out(self, topic: str) -> None:
        """Give what waits to those who take it, in turn."""
        queue, takers = self._queues.get(topic), self._takers.get(topic)
        now = asyncio.get_running_loop().time()
        while queue and takers:
            letter = queue.popleft()
            if letter.until >= now:
                takers.rotate(-1)
                self._give(takers[-1], letter)

    def _give(self, taker: Taker, letter: Letter) -> None:
        work = taker.deliver(letter.raw, letter.sender)
        if work is None:
            return
        taker.at_work.append(letter)

        def ended(_: "asyncio.Future[Any]") -> None:
            if taker.line.is_whole and letter in taker.at_work:  # the dead acknowledge nothing
                taker.at_work.remove(letter)

        work.add_done_callback(ended)

    def add(self, taker: Taker, *, listens: bool) -> None:
        if listens:
            self._subscribers.setdefault(taker.name, []).append(taker)
        else:
            self._takers.setdefault(taker.name, deque()).append(taker)
            self.hand_out(taker.name)

    def remove(self, taker: Taker) -> None:
        """What it had in its hands goes to another."""
        for takers in (self._takers.get(taker.name), self._subscribers.get(taker.name)):
            if takers is not None and taker in takers:
                takers.remove(taker)
        if taker.at_work:
            self._queues.setdefault(taker.name, deque(maxlen=MOST_WAITING)).extendleft(reversed(taker.at_work))
            taker.at_work = []
            self.hand_out(taker.name)


class Line:
    """One process' connection; a `Transport`."""

    def __init__(self, exchange: Exchange, runtime: Runtime, account: str):
        self._exchange = exchange
        self._runtime = runtime
        self._account = account
        self._takers: list[tuple[Taker, bool]] = []
        self._kept: deque[Letter] = deque(maxlen=MOST_WAITING)
        self._watchers: list[Callable[[bool], None]] = []
        self._askers: list[Callable[[], None]] = []
        self.is_cut = False

    @property
    def is_whole(self) -> bool:
        return self._runtime.alive and not self.is_cut

    # -- what befalls it ------------------------------------------------------------------------------------------
    def cut(self) -> None:
        """The connection breaks, with all that was on it."""
        self.is_cut = True
        for taker, _ in self._takers:
            self._exchange.remove(taker)
        self._tell(False)

    def mend(self) -> None:
        """It is there again, everything declared anew, and what waits for an answer is asked again."""
        self.is_cut = False
        for taker, listens in self._takers:
            self._exchange.add(taker, listens=listens)
        kept, self._kept = self._kept, deque(maxlen=MOST_WAITING)
        for letter in kept:
            self._exchange.send(letter)
        for ask_again in self._askers:
            ask_again()
        self._tell(True)

    def _tell(self, is_there: bool) -> None:
        for listen in self._watchers:
            listen(is_there)

    def die(self) -> None:
        self.is_cut = True
        for taker, _ in self._takers:
            self._exchange.remove(taker)
        self._takers, self._watchers, self._askers = [], [], []

    # -- Transport ------------------------------------------------------------------------------------------------
    def ask(self, topic: str, message: bytes, timeout_s: float, answer_to: str) -> None:
        self._send_until(topic, message, timeout_s)

    def _send_until(self, topic: str, message: bytes, timeout_s: float) -> None:
        if not self.is_cut:
            until = asyncio.get_running_loop().time() + timeout_s
            self._exchange.send(Letter(topic, message, self._account, until))

    def cast(self, topic: str, message: bytes) -> None:
        letter = Letter(topic, message, self._account)
        if self.is_cut:
            self._kept.append(letter)
        else:
            self._exchange.send(letter)

    def reply(self, address: str, message: bytes) -> None:
        self._send_until(address, message, 60.0)

    def publish(self, channel: str, message: bytes) -> None:
        if not self.is_cut:
            self._exchange.publish(channel, message, self._account)

    def consume(self, topic: str, deliver: Deliver) -> None:
        self._add(Taker(self, topic, deliver), listens=False)

    def take_replies(self, name: str, deliver: Deliver, anew: Callable[[], None]) -> str:
        address = f"reply.{name}"
        self.consume(address, deliver)
        self._askers.append(anew)
        return address

    def subscribe(self, channel: str, deliver: Deliver) -> None:
        self._add(Taker(self, channel, deliver), listens=True)

    def _add(self, taker: Taker, *, listens: bool) -> None:
        self._takers.append((taker, listens))
        if not self.is_cut:
            self._exchange.add(taker, listens=listens)

    def drop(self, deliver: Deliver) -> None:
        for taker, listens in list(self._takers):
            if taker.deliver == deliver:
                self._takers.remove((taker, listens))
                self._exchange.remove(taker)

    def park(self, topic: str, message: bytes, why: str) -> None:
        self._exchange.parked.append(f"{topic}: {why}")

    trouble = ""

    async def depth(self, topics: Collection[str] = ()) -> dict[str, int]:
        return self._exchange.waiting()

    def watch(self, listen: Callable[[bool], None]) -> None:
        self._watchers.append(listen)

    async def close(self) -> None:
        self.die()
