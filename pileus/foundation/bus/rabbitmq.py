"""The bus of many machines: RabbitMQ, one connection for each process.

The broker is no store of truth: it may be restarted or wiped at any moment. The connection is made again, for ever, and
everything on it declared again; what is sent meanwhile is kept, the newest `MOST_WAITING` messages of it, but calls are
asked again. Calls wait in classic queues and die with their time-out, casts in quorum queues; both come again
when their consumer dies at work.
"""

import asyncio
import logging
import re
import ssl
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from typing import Any
from urllib.parse import unquote, urlsplit

import aiormq
from aiormq.exceptions import AuthenticationError, ProbableAuthenticationError
from yarl import URL

from pileus.foundation import errors
from pileus.foundation.bus.broker import MOST_WAITING, PARKED, Deliver
from pileus.foundation.bus.rabbit_accounts import EXCHANGE
from pileus.foundation.bus.rabbit_line import (
    CLOSED,
    HELD_S,
    NEWS,
    ChannelAccessRefused,
    DeliveryError,
    Line,
    NoLeader,
    Parcel,
    PublishError,
    Taking,
    awaiting,
)
from pileus.foundation.bus.socket import MessageTooLarge
from pileus.foundation.runtime import Runtime
from pileus.foundation.tls import Tls

log = logging.getLogger("pileus.bus")

MOST_BYTES = 16 << 20
"""The largest message: what RabbitMQ 4 carries unless told otherwise."""
MOST_IN_FLIGHT = 256
"""Messages given to the broker that it has not confirmed yet; those behind them wait here."""
MOST_REFUSED = 3
RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
HEARTBEAT_S = 10
LOOK_S = 5.0
"""How often a process looks whether the broker has room."""
CLOSE_S = 5.0
"""How long the last messages may take to leave."""


class BrokerAway(errors.Unavailable):
    code, message = (
        "bus.broker-away",
        "RabbitMQ does not answer at {where}: {why}. Is it started, is the address right?",
    )


class BrokerRefuses(errors.Forbidden):
    code = "bus.broker-refuses"
    message = "RabbitMQ at {where} refuses the account {account}: check its password and its rights ({why})."


class CertificateRefused(errors.Forbidden):
    code = "bus.certificate"
    message = (
        "The certificate of RabbitMQ at {where} is refused: {why}. It must name that host and come from the CA given."
    )


class PlainRefused(errors.BadRequest):
    code = "bus.plain"
    message = (
        "TLS is configured for RabbitMQ, but {where} is not reached by it: write amqps://, or remove the certificates."
    )


class RabbitTransport:
    """The bus over a RabbitMQ; `url` is amqp(s)://ACCOUNT[:PASSWORD]@HOST[:PORT][/VHOST]. Raises: PlainRefused."""

    def __init__(
        self, url: str, runtime: Runtime, *, password: str = "", tls: Tls | None = None, held_s: float = HELD_S
    ):
        parts = urlsplit(url)
        self._url = URL(url) if parts.password or not password else URL(url).with_password(password)
        self._runtime = runtime
        self._account = unquote(parts.username or "guest")
        self._where = f"{parts.hostname}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"
        self._tls = tls or Tls()
        if parts.scheme != "amqps" and self._tls.authority:
            raise PlainRefused(where=self._where)
        self._held_s = held_s
        self._takings: dict[tuple[str, str], Taking] = {}
        self._unsent: deque[Parcel] = deque(maxlen=MOST_WAITING)
        self._number = 0
        self._in_flight = 0
        self._astray = 0  # returned to us, and to be tried again
        self._line: Line | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._watchers: list[Callable[[bool], None]] = []
        self._has_news = False
        self._answered: set[str] = set()  # addresses of ours at which answers arrive
        self._is_full = False
        self.connections = 0

    # -- the connection -----------------------------------------------------------------------------------
    async def connect(self, timeout_s: float = 10.0) -> None:
        """Reach the broker for the first time, and stay with it from then on.

        Raises: BrokerAway, BrokerRefuses, CertificateRefused.
        """
        failure: errors.Error | None = None
        try:
            async with self._runtime.timeout(timeout_s):
                for tries in range(1_000_000):
                    try:
                        line = await self._dial()
                        break
                    except BrokerAway as away:
                        failure = away
                    await self._pause(tries)
        except TimeoutError as late:
            raise failure or BrokerAway(where=self._where, why=f"no answer within {timeout_s} s") from late
        self._spawn(self._stay(line), f"bus {self._where}")

    async def _stay(self, line: Line) -> None:
        tries = 0
        while True:
            since = self._runtime.monotonic()
            why = await line.ended()
            if self._runtime.monotonic() - since > RETRY_S[-1]:  # one that breaks down at once is no reason to hurry
                tries = 0
            self._line = None
            if self._closed:
                return
            log.warning("RabbitMQ at %s is away (%s); looking for it", self._where, why)
            self._unsent = deque((parcel for parcel in self._unsent if not parcel.until), MOST_WAITING)
            self._arrivals_changed()
            while True:
                if tries:
                    await self._pause(tries - 1)
                tries += 1
                try:
                    line = await self._dial()
                    break
                except errors.Error as error:
                    if tries % 20 == 1:
                        log.warning("%s", error)

    async def _pause(self, tries: int) -> None:
        """Somewhat at random, so that not all processes come back at once."""
        await self._runtime.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)] * (0.5 + self._runtime.random()))

    async def _dial(self) -> Line:
        """Raises: BrokerAway, BrokerRefuses, CertificateRefused."""
        url = self._url.update_query(heartbeat=str(HEARTBEAT_S), name=self._runtime.name)
        context = self._tls.client() if url.scheme == "amqps" else None
        connection = aiormq.Connection(url, context=context)
        try:
            with awaiting():
                await connection.connect()
        except (AuthenticationError, ProbableAuthenticationError) as refused:
            raise BrokerRefuses(where=self._where, account=self._account, why=refused) from refused
        except ssl.SSLCertVerificationError as wrong:
            raise CertificateRefused(where=self._where, why=wrong.verify_message) from wrong
        except CLOSED as failure:
            raise self._unreached(failure) from failure
        line = Line(connection, self._account, self._runtime, self.park, self._held_s, self._arrivals_changed)
        try:
            with awaiting():
                await line.prepare()
                for taking in list(self._takings.values()):
                    await line.take(taking)
        except CLOSED as failure:
            await line.close()
            raise BrokerAway(where=self._where, why=failure) from failure
        self._begin(line)
        return line

    def _unreached(self, failure: BaseException) -> errors.Error:
        """aiormq dresses what TLS says as a connection error of its own."""
        cause = failure.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CertificateRefused(where=self._where, why=cause.verify_message)
        return BrokerAway(where=self._where, why=cause or failure)

    def _begin(self, line: Line) -> None:
        self._line = line
        self.connections += 1
        self._unsent = deque(sorted(self._unsent, key=lambda parcel: parcel.number), MOST_WAITING)
        for taking in self._takings.values():
            if not line.takes(taking):  # it came while the others were taken
                self._spawn(line.take(taking), f"bus {taking.name}")
        log.info("%s is on the bus at %s as %s", self._runtime.name, self._where, self._account)
        self._arrivals_changed()
        self._flush()
        self._spawn(self._watch_room(line), f"bus room {self._where}")

    async def _watch_room(self, line: Line) -> None:
        """Say so while the broker takes nothing: otherwise everything only seems slow."""
        while line.is_open():
            await self._runtime.sleep(LOOK_S)
            if await line.has_room():
                continue
            self._is_full = True
            log.error("%s", self.trouble)
            await line.room()
            self._is_full = False
            if line.is_open():
                log.info("RabbitMQ at %s takes messages again", self._where)

    @property
    def trouble(self) -> str:
        if self._line is None:
            return f"RabbitMQ at {self._where} is away. Is it started?"
        if self._is_full:
            return (
                f"RabbitMQ at {self._where} takes nothing from anybody, for its memory or its disk has an alarm: "
                "'rabbitmq-diagnostics alarms' shows which. Raise vm_memory_high_watermark or free the disk; "
                "all goes on by itself then."
            )
        return ""

    def watch(self, listen: Callable[[bool], None]) -> None:
        self._watchers.append(listen)
        if not self._has_news:
            listen(False)

    def _arrivals_changed(self) -> None:
        """Have asked again what waits for an answer; tell those who watch whether what is published arrives."""
        line = self._line
        here = {name: line is not None and line.has(taking) for name, taking in self._takings.items()}
        before = self._answered
        self._answered = {name for (kind, name), arrives in here.items() if kind == "reply" and arrives}
        for address in self._answered - before:
            self._takings["reply", address].anew()
        has_news = line is not None and all(arrives for (kind, _), arrives in here.items() if kind == "news")
        if has_news != self._has_news:
            self._has_news = has_news
            for listen in self._watchers:
                listen(has_news)

    async def close(self) -> None:
        self._closed = True
        line = self._line
        if line is not None:
            try:
                async with self._runtime.timeout(CLOSE_S):
                    while line.is_open() and (self._unsent or self._in_flight or self._astray):
                        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError:
                log.error("%d messages could not leave for %s", len(self._unsent) + self._in_flight, self._where)
            await line.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Not the runtime's: what was said before this process stops still has to leave."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    # -- sending ------------------------------------------------------------------------------------------
    def ask(self, topic: str, message: bytes, timeout_s: float, answer_to: str) -> None:
        if answer_to in self._answered or len(message) > MOST_BYTES:
            until = self._runtime.monotonic() + timeout_s
            self._say(EXCHANGE, f"call.{topic}", message, topic=topic, until=until)

    def cast(self, topic: str, message: bytes) -> None:
        self._say(EXCHANGE, f"cast.{topic}", message, topic=topic, survives=True)

    def reply(self, address: str, message: bytes) -> None:
        self._say(EXCHANGE, address, message)

    def publish(self, channel: str, message: bytes) -> None:
        self._say(NEWS + channel, "", message)

    def park(self, topic: str, message: bytes, why: str) -> None:
        log.error("%s: parked a message: %s", topic, why)
        self._say(PARKED, topic, message, survives=True, why=why)

    def _say(self, exchange: str, key: str, body: bytes, **how: Any) -> None:
        if len(body) > MOST_BYTES:
            raise MessageTooLarge(name=key, size=len(body), most=MOST_BYTES)
        self._number += 1
        self._post(Parcel(self._number, exchange, key, body, **how))

    def _post(self, parcel: Parcel) -> None:
        line = self._line
        if line is None or self._unsent or self._in_flight >= MOST_IN_FLIGHT or not line.is_open():
            self._unsent.append(parcel)
        else:
            self._start(line, parcel)

    def _flush(self) -> None:
        line = self._line
        while line is not None and self._unsent and self._in_flight < MOST_IN_FLIGHT and line.is_open():
            self._start(line, self._unsent.popleft())

    def _start(self, line: Line, parcel: Parcel) -> None:
        if parcel.until and parcel.until <= self._runtime.monotonic():
            return  # who asked does not wait any more
        self._in_flight += 1
        self._spawn(self._send(line, parcel), f"bus {parcel.key}")

    async def _send(self, line: Line, parcel: Parcel) -> None:
        try:
            with awaiting():
                await line.send(parcel)
        except PublishError:
            self._spawn(self._again(line, parcel), f"bus {parcel.key}")
        except DeliveryError:
            self._not_taken(line, parcel)
        except ChannelAccessRefused as refused:
            self._refused(parcel, str(refused))
        except TimeoutError:
            self._spawn(self._stalled(line, parcel), f"bus {parcel.key}")
        except CLOSED:
            if line.is_open():  # one of its channels was lost
                self._spawn(self._again(line, parcel), f"bus {parcel.key}")
            elif not parcel.until:
                self._unsent.append(parcel)
        finally:
            self._in_flight -= 1
            self._flush()

    def _not_taken(self, line: Line, parcel: Parcel) -> None:
        """The queue has no leader yet, or is full."""
        if parcel.tries >= MOST_REFUSED:
            log.error("dropped a message to %s: its queue is full. Does anybody take from it?", parcel.key)
        else:
            self._spawn(self._again(line, parcel), f"bus {parcel.key}")

    def _refused(self, parcel: Parcel, why: str) -> None:
        """The broker closed the channel because of one of the messages on it; the others go again."""
        named = re.search(r"topic '([^']*)'", why)
        parcel.tries += 1
        if (named and named[1] == parcel.key) or (not named and parcel.tries >= MOST_REFUSED):
            log.error("%s may not send to %s: %s", self._account, parcel.key, why)
        else:
            self._unsent.append(parcel)

    async def _stalled(self, line: Line, parcel: Parcel) -> None:
        """The broker confirmed nothing: because of this message's queue, or of another's on the same channel?"""
        if parcel.survives and parcel.topic and parcel.tries:
            try:
                await line.send_alone(parcel)
                return
            except NoLeader:
                await line.renew(parcel.topic)
            except (*CLOSED, DeliveryError):
                log.debug("%s did not leave alone, either", parcel.key)
        await self._again(line, parcel)

    async def _again(self, line: Line, parcel: Parcel) -> None:
        """It did not come into a queue: wait a little, so that takers come first, and see that there are queues."""
        line.forget(parcel.topic)
        if self._astray >= MOST_WAITING:
            log.error("dropped a message to %s: too many wait for queues that nobody made", parcel.key)
            return
        self._astray += 1
        try:
            await self._pause(parcel.tries)
        finally:
            self._astray -= 1
        parcel.tries += 1
        self._post(parcel)

    # -- taking -------------------------------------------------------------------------------------------
    def consume(self, topic: str, deliver: Deliver) -> None:
        self._take("topic", topic, deliver)

    def take_replies(self, name: str, deliver: Deliver, anew: Callable[[], None]) -> str:
        address = f"reply.{self._account}.{name}"
        self._take("reply", address, deliver, anew)
        return address

    def subscribe(self, channel: str, deliver: Deliver) -> None:
        self._take("news", channel, deliver)

    def _take(self, kind: str, name: str, deliver: Deliver, anew: Callable[[], None] = lambda: None) -> None:
        taking = self._takings.get((kind, name))
        if taking is not None:
            taking.delivers.append(deliver)
            return
        self._takings[kind, name] = taking = Taking(kind, name, [deliver], anew)
        if self._line is not None:
            self._spawn(self._line.take(taking), f"bus {name}")
            self._arrivals_changed()

    def drop(self, deliver: Deliver) -> None:
        for key, taking in list(self._takings.items()):
            if deliver in taking.delivers:
                taking.delivers.remove(deliver)
                if not taking.delivers:
                    del self._takings[key]
                    if self._line is not None:
                        self._spawn(self._line.leave(taking), f"bus {taking.name}")

    # -- looking ------------------------------------------------------------------------------------------
    async def depth(self, topics: Collection[str] = ()) -> dict[str, int]:
        line = self._line
        if line is None:
            raise BrokerAway(where=self._where, why="the connection was lost")
        taken = {name for kind, name in self._takings if kind == "topic"}
        try:
            return await line.depth(taken.union(topics))
        except CLOSED as failure:
            raise BrokerAway(where=self._where, why=failure) from failure
