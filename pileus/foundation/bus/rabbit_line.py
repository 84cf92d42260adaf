"""One connection to RabbitMQ while it holds: what is declared on it, what is taken and what is sent through it.

Only what RabbitMQ 4 accepts: shared queues are durable, only exclusive ones are not; prefetch is per consumer. Every
topic has two queues on one topic exchange, so that an account's rights can be said per topic (`rabbit_accounts`).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.connection import Connection
from aiormq.exceptions import (
    AMQPError,
    ChannelAccessRefused,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ConnectionInternalError,
    DeliveryError,
    PublishError,
)

from pileus.foundation.bus.broker import MOST_WAITING, PARKED, Deliver
from pileus.foundation.bus.rabbit_accounts import EXCHANGE
from pileus.foundation.runtime import Runtime

log = logging.getLogger("pileus.bus")
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # we say ourselves what happened, once

NEWS = "pileus.news."
"""The beginning of a channel's exchange."""

PREFETCH = 64
"""How many messages of one queue a process has in hand."""
HELD_S = 20.0
"""A message whose handler takes longer is acknowledged meanwhile: it must not stop those behind it."""
MOST_REDELIVERED = 5
"""A message that came back so often, because its consumer died each time, is parked."""
DELIVERY_LIMIT = 20
"""The broker parks it itself then: its consumers die before they can count."""
UNUSED_MS = 7 * 86_400_000
"""A queue that nobody takes from for so long goes; whoever sends to it makes it again."""
PAUSE_S = 0.5
LOOK_S = 15.0
"""How often a process looks whether its queues still have consumers: RabbitMQ may lose them without a word."""
DECLARE_S = 5.0
NEW_QUEUE_S = (0.02, 0.1, 0.3)
ROOM_S = 1.0
"""A broker that has room says so at once."""
MOST_BREAKDOWNS = 2
"""A quorum queue at which the broker itself broke down so often, one time after the other, has lost its data."""
PROBE_S = 3.0
"""A quorum queue that needs longer to answer has no leader."""
CONFIRM_S = 5.0
"""A broker that has not confirmed a message by then has stalled the channel, as RabbitMQ 3.10 does while a quorum
queue has no leader yet: the channel is given up, and what was on it goes by another."""

Arguments = dict[str, Any]
CLASSIC: Arguments = {"x-queue-type": "classic", "x-max-length": MOST_WAITING, "x-expires": UNUSED_MS}
QUORUM: Arguments = {
    "x-queue-type": "quorum", "x-max-length": MOST_WAITING, "x-overflow": "reject-publish", "x-expires": UNUSED_MS,
    "x-delivery-limit": DELIVERY_LIMIT, "x-dead-letter-exchange": PARKED,
}  # fmt: skip
KEPT: Arguments = {"x-queue-type": "classic", "x-max-length": MOST_WAITING}

CLOSED = (AMQPError, ChannelInvalidStateError, OSError, RuntimeError)
"""How aiormq says that a channel or connection is no more."""


@contextlib.contextmanager
def awaiting() -> Iterator[None]:
    """A wait for the broker that ends with the connection raises an OSError.

    aiormq ends it in other ways, too: it cancels what we wait for, which is no cancellation of ours, or it runs out of
    frames.
    """
    try:
        yield
    except StopAsyncIteration as end:
        raise ConnectionResetError("the broker broke the conversation off") from end
    except asyncio.CancelledError as end:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionResetError("the connection ended") from end


@dataclass(slots=True)
class Parcel:
    """A message on its way. `until` is the monotonic time after which nobody waits for it; 0: no such time."""

    number: int
    exchange: str
    key: str
    body: bytes
    topic: str = ""  # whose queues must be there: calls and casts
    survives: bool = False
    until: float = 0.0
    why: str = ""
    tries: int = 0


@dataclass(slots=True)
class Taking:
    """What this process takes of a topic, an address or a channel; it outlives connections."""

    kind: str  # topic, reply, news
    name: str
    delivers: list[Deliver] = field(default_factory=list)
    anew: Callable[[], None] = lambda: None  # called when what is sent to it begins to arrive, and does so again

    breakdowns: int = 0  # of the broker, one after the other, when it was to be taken

    def next(self) -> Deliver | None:
        if not self.delivers:
            return None
        if len(self.delivers) > 1:
            self.delivers.append(self.delivers.pop(0))
        return self.delivers[-1]


class NoLeader(Exception):
    """A quorum queue that answers nothing though the connection does."""


Park = Callable[[str, bytes, str], None]


class Line:
    """A connection with its channels. When it ends, everything on it is forgotten and made again on the next."""

    def __init__(
        self, connection: Connection, account: str, runtime: Runtime, park: Park, held_s: float,
        changed: Callable[[], None],
    ):  # fmt: skip
        self._connection = connection
        self._account = account
        self._runtime = runtime
        self._park = park
        self._held_s = held_s
        self._changed = changed  # told when something begins or ceases to arrive
        self._sending: dict[bool, asyncio.Task[Channel]] = {}  # casts have a channel apart: only quorum queues stall
        self._renewing: dict[str, asyncio.Task[None]] = {}
        self._closers: set[asyncio.Task[None]] = set()
        self._declaring = asyncio.Lock()  # what is taken is declared, and left, in the order in which it was said
        self._known: dict[str, asyncio.Task[None]] = {}  # topics with queues, by the first message to each
        self._declared: dict[str, asyncio.Task[None]] = {}  # channels' exchanges
        self._keepers: dict[int, asyncio.Task[None]] = {}
        self._tags: dict[int, tuple[Channel, list[str]]] = {}
        self._arrives: dict[int, asyncio.Event] = {}  # by taking
        self._suspect: Taking | None = None  # whose queues the broker was last asked to consume, without an answer

    def is_open(self) -> bool:
        return bool(self._connection.is_opened)

    async def ended(self) -> BaseException | None:
        """Wait until the connection is no more; returns why."""
        closing = self._connection.closing
        await asyncio.wait({closing})
        why = asyncio.CancelledError() if closing.cancelled() else closing.exception()
        if isinstance(why, ConnectionInternalError) and self._suspect is not None:
            self._suspect.breakdowns += 1
        return why

    async def has_room(self) -> bool:
        """False while the broker takes nothing: its memory or its disk has an alarm."""
        try:
            async with self._runtime.timeout(ROOM_S):
                await self._connection.ready()
        except TimeoutError:
            return False
        return True

    async def room(self) -> None:
        """Wait until it takes messages again, or the connection is no more."""
        ready = asyncio.ensure_future(self._connection.ready())
        await asyncio.wait({self._connection.closing, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def close(self) -> None:
        for task in (*self._keepers.values(), *self._closers):
            task.cancel()
        with contextlib.suppress(*CLOSED):
            await self._connection.close()

    # -- what must be there -------------------------------------------------------------------------------
    async def prepare(self) -> None:
        """Declare what all share. An account that may not leaves it to those who may."""
        with contextlib.suppress(ChannelAccessRefused):
            async with self._channel() as channel:
                await channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
                await channel.exchange_declare(PARKED, exchange_type="fanout", durable=True)
                await channel.queue_declare(PARKED, durable=True, arguments=KEPT)
                await channel.queue_bind(PARKED, PARKED)

    async def _ensure_news(self, exchange: str) -> None:
        """Declare it once on this connection. Those who wait for it go on in the order in which they came."""
        declared = self._declared.get(exchange)
        if declared is None:
            declared = asyncio.get_running_loop().create_task(self._declare(exchange, _declare_news))
            self._declared[exchange] = declared
        if not declared.done():
            await asyncio.shield(declared)
        else:
            declared.result()

    async def _declare(self, name: str, declare: Callable[[Channel, str], Coroutine[Any, Any, None]]) -> None:
        try:
            async with self._declaring, self._runtime.timeout(DECLARE_S), self._channel() as channel:
                await declare(channel, name)
        except ChannelAccessRefused:
            log.debug("%s only sends to %s: others declare it", self._account, name)
        except CLOSED as failure:
            if self.is_open():
                log.error("cannot declare %s: %s", name, failure)
                self._declared.pop(name, None)
            raise

    async def renew(self, topic: str) -> None:
        """Make the queue of a topic's casts anew, for it has no leader.

        RabbitMQ that dies within seconds of a quorum queue's birth may find no leader for it, ever, or no data: then it
        breaks down, connection and all, when somebody wants to take from it. What was in it is lost, as with a broker
        that is wiped.
        """
        renewing = self._renewing.get(topic)
        if renewing is None:
            renewing = self._renewing[topic] = asyncio.get_running_loop().create_task(self._renew(topic))
            renewing.add_done_callback(lambda _: self._renewing.pop(topic, None))
        await asyncio.shield(renewing)

    async def _renew(self, topic: str) -> None:
        _, name = _queues(topic)
        log.error("the queue %s has no leader; making it anew", name)
        with contextlib.suppress(*CLOSED):
            async with self._runtime.timeout(4 * DECLARE_S), self._channel() as channel:
                await channel.queue_delete(name)
        self.forget(topic)

    def forget(self, topic: str) -> None:
        """Its queues were not there: see to them with the next message."""
        known = self._known.get(topic)
        if known is not None and known.done():
            del self._known[topic]

    @contextlib.asynccontextmanager
    async def _channel(self) -> AsyncIterator[Channel]:
        channel = await self._open()
        try:
            yield channel
        finally:
            if not channel.is_closed:
                self._close_soon(channel)

    async def _open(self, *, confirms: bool = False) -> Channel:
        channel = await self._connection.channel(publisher_confirms=confirms)
        assert isinstance(channel, Channel)
        return channel

    # -- taking -------------------------------------------------------------------------------------------
    async def take(self, taking: Taking) -> None:
        """Take from now on, also after its queue was deleted or its channel failed; returns when that was tried."""
        tried = asyncio.Event()
        arrives = self._arrives[id(taking)] = asyncio.Event()
        keeper = asyncio.get_running_loop().create_task(self._keep(taking, tried, arrives), name=f"bus {taking.name}")
        self._keepers[id(taking)] = keeper
        keeper.add_done_callback(_setter(tried))
        keeper.add_done_callback(_setter(arrives))  # nobody waits for it on a connection that has ended
        await tried.wait()

    def takes(self, taking: Taking) -> bool:
        return id(taking) in self._keepers

    def has(self, taking: Taking) -> bool:
        """True while what is sent to it arrives."""
        arrives = self._arrives.get(id(taking))
        return arrives is not None and arrives.is_set() and self.is_open()

    async def leave(self, taking: Taking) -> None:
        """Take no more; what is in hand is finished and acknowledged."""
        async with self._declaring:
            self._arrives.pop(id(taking), None)
            keeper = self._keepers.pop(id(taking), None)
            if keeper is not None:
                keeper.cancel()
            channel, tags = self._tags.pop(id(taking), (None, []))
            with contextlib.suppress(*CLOSED):
                for tag in tags:
                    assert channel is not None
                    await channel.basic_cancel(tag)

    async def _keep(self, taking: Taking, tried: asyncio.Event, arrives: asyncio.Event) -> None:
        said = ""
        while self.is_open():
            try:
                with awaiting():
                    if taking.breakdowns >= MOST_BREAKDOWNS:
                        await self.renew(taking.name)
                    channel, lost = await self._take_once(taking)
                    taking.breakdowns = 0
                    tried.set()
                    arrives.set()
                    self._changed()
                    await self._watch(taking, channel, lost)
                self._close_soon(channel)  # what is in hand comes again
                said = "its queue or its channel was lost"
            except NoLeader:
                await self.renew(taking.name)
            except CLOSED as failure:
                if self.is_open() and said != str(failure):
                    said = str(failure)
                    log.error("%s cannot take %s: %s. Going on to try.", self._account, taking.name, said)
            finally:
                tried.set()
                arrives.clear()
                self._changed()
            if self.is_open():
                await self._runtime.sleep(PAUSE_S)

    async def _take_once(self, taking: Taking) -> tuple[Channel, asyncio.Event]:
        """Declare and consume; what is returned is set when that holds no more."""
        declare = {"topic": self._open_topic, "reply": self._open_reply, "news": self._open_news}[taking.kind]
        lost = asyncio.Event()
        async with self._runtime.timeout(DECLARE_S), self._declaring:
            channel = await self._open()
            channel.on_consumer_cancel_callbacks.add(_setter(lost))
            channel.closing.add_done_callback(_setter(lost))
            self._tags[id(taking)] = channel, await declare(channel, taking)
        return channel, lost

    async def _watch(self, taking: Taking, channel: Channel, lost: asyncio.Event) -> None:
        """Until nothing is taken any more."""
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with self._runtime.timeout(LOOK_S):
                    await lost.wait()
            if taking.kind == "topic" and not lost.is_set():
                for name in _queues(taking.name):
                    if not (await channel.queue_declare(name, passive=True)).consumer_count:
                        return

    async def _open_topic(self, channel: Channel, taking: Taking) -> list[str]:
        await _declare_topic(channel, taking.name)
        await channel.basic_qos(prefetch_count=PREFETCH)
        tags = []
        self._suspect = taking
        for name in _queues(taking.name):
            try:
                consuming = await channel.basic_consume(name, self._consumer(taking), timeout=PROBE_S)
            except TimeoutError as stalled:
                raise NoLeader(name) from stalled
            tags.append(str(consuming.consumer_tag))
        self._suspect = None
        return tags

    async def _open_reply(self, channel: Channel, taking: Taking) -> list[str]:
        return await self._open_own(channel, taking, EXCHANGE, taking.name)

    async def _open_news(self, channel: Channel, taking: Taking) -> list[str]:
        await _declare_news(channel, NEWS + taking.name)
        return await self._open_own(channel, taking, NEWS + taking.name, "")

    async def _open_own(self, channel: Channel, taking: Taking, exchange: str, key: str) -> list[str]:
        """A queue of this connection alone, which goes with it."""
        declared = await channel.queue_declare(exclusive=True, auto_delete=True)
        assert declared.queue is not None
        await channel.queue_bind(declared.queue, exchange, key)
        consuming = await channel.basic_consume(declared.queue, self._listener(taking), no_ack=True)
        return [str(consuming.consumer_tag)]

    def _consumer(self, taking: Taking) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
        async def took(message: DeliveredMessage) -> None:
            channel, tag = message.channel, message.delivery_tag
            assert tag is not None
            with contextlib.suppress(*CLOSED):  # the channel is gone: somebody else has got the message
                deliver = taking.next()
                if deliver is None:  # its last consumer left while this was on its way
                    await channel.basic_nack(tag, requeue=True, wait=False)
                elif await self._handled(taking, message, deliver):
                    await channel.basic_ack(tag, wait=False)

        return took

    async def _handled(self, taking: Taking, message: DeliveredMessage, deliver: Deliver) -> bool:
        """False when this process dies or stops before the work was done: then another has to do it."""
        properties = message.header.properties
        fault = _fault(properties)
        if fault:
            self._park(taking.name, message.body, fault)
            return True
        work = deliver(message.body, str(properties.user_id))
        if work is not None:
            await asyncio.wait({work}, timeout=self._held_s)
            if work.cancelled():
                return False
        return self._runtime.alive

    def _listener(self, taking: Taking) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
        async def heard(message: DeliveredMessage) -> None:
            fault = _fault(message.header.properties)
            if fault:
                self._park(taking.name, message.body, fault)
                return
            for deliver in list(taking.delivers):
                deliver(message.body, str(message.header.properties.user_id))

        return heard

    # -- sending ------------------------------------------------------------------------------------------
    async def send(self, parcel: Parcel) -> None:
        """Bring it to the broker and wait until it has it.

        Raises: PublishError when no queue is there for it; DeliveryError when its queue is full; ChannelAccessRefused;
        CLOSED.
        """
        await self._connection.ready()  # not while the broker has no room
        if parcel.exchange.startswith(NEWS):
            await self._ensure_news(parcel.exchange)
        elif parcel.topic:
            while (known := self._known.get(parcel.topic)) is not None and not known.done():
                await asyncio.wait({known})
            if known is None:
                known = self._known[parcel.topic] = asyncio.get_running_loop().create_task(self._send_first(parcel))
                await asyncio.shield(known)
                return
        await self._publish(parcel)

    async def _send_first(self, parcel: Parcel) -> None:
        """Make the topic's queues only if the message comes back; those behind it wait, and keep their order.

        Whose queues are there already, as those of thousands of hosts, costs nothing but the message.
        """
        try:
            try:
                await self._publish(parcel)
            except PublishError:
                await self._declare(parcel.topic, _declare_topic)
                await self._publish_to_new(parcel)
        except BaseException:
            self._known.pop(parcel.topic, None)
            raise

    async def _publish_to_new(self, parcel: Parcel) -> None:
        """A quorum queue refuses what comes before its leader was chosen."""
        for pause in NEW_QUEUE_S:
            with contextlib.suppress(DeliveryError):
                await self._publish(parcel)
                return
            await self._runtime.sleep(pause)
        await self._publish(parcel)

    async def _publish(self, parcel: Parcel) -> None:
        sending = await self._sender(parcel.survives)
        try:
            await sending.basic_publish(
                parcel.body, exchange=parcel.exchange, routing_key=parcel.key, properties=self._properties(parcel),
                mandatory=bool(parcel.topic), wait=len(parcel.body) > 65_536, timeout=CONFIRM_S,
            )  # fmt: skip
        except TimeoutError:
            self._give_up(parcel.survives, sending)
            raise

    async def send_alone(self, parcel: Parcel) -> None:
        """The same on a channel of its own, after it went nowhere with others. Raises: NoLeader, and as `send`."""
        await self._connection.ready()
        channel = await self._open(confirms=True)
        try:
            await channel.basic_publish(
                parcel.body, exchange=parcel.exchange, routing_key=parcel.key, properties=self._properties(parcel),
                mandatory=True, timeout=PROBE_S,
            )  # fmt: skip
        except TimeoutError as stalled:
            async with self._runtime.timeout(1.0):
                await self._connection.ready()  # a broker that has no room confirms nothing, either
            raise NoLeader(parcel.key) from stalled
        finally:
            self._close_soon(channel)

    async def _sender(self, survives: bool) -> Channel:
        """The channel that messages of a kind leave by; another one after the broker closed it for a fault."""
        sending = self._sending.get(survives)
        if sending is None or (sending.done() and (sending.exception() or sending.result().is_closed)):
            sending = self._sending[survives] = asyncio.get_running_loop().create_task(self._open(confirms=True))
        return sending.result() if sending.done() else await asyncio.shield(sending)

    def _give_up(self, survives: bool, channel: Channel) -> None:
        sending = self._sending.get(survives)
        if sending is None or not sending.done() or sending.result() is not channel:
            return  # somebody else has
        log.warning("RabbitMQ has confirmed nothing for %s s: trying again on another channel", CONFIRM_S)
        del self._sending[survives]
        self._close_soon(channel)

    def _close_soon(self, channel: Channel) -> None:
        """Nobody waits for it: a channel that the broker has stalled closes late."""
        closer = asyncio.get_running_loop().create_task(self._close(channel))
        self._closers.add(closer)
        closer.add_done_callback(self._closers.discard)

    async def _close(self, channel: Channel) -> None:
        with contextlib.suppress(*CLOSED):
            await channel.close()

    def _properties(self, parcel: Parcel) -> aiormq.spec.Basic.Properties:
        expiration = None
        if parcel.until:
            expiration = str(max(1, int((parcel.until - self._runtime.monotonic()) * 1000)))
        return aiormq.spec.Basic.Properties(
            delivery_mode=2 if parcel.survives else 1, user_id=self._account, message_id=str(parcel.number),
            expiration=expiration, headers={"why": parcel.why} if parcel.why else None,
        )  # fmt: skip

    # -- looking ------------------------------------------------------------------------------------------
    async def depth(self, topics: Collection[str]) -> dict[str, int]:
        found = {PARKED: await self._messages(PARKED)}
        for topic in set(topics) - {PARKED}:
            found[topic] = sum([await self._messages(name) for name in _queues(topic)])
        return {topic: count for topic, count in found.items() if count}

    async def _messages(self, queue: str) -> int:
        """Messages of a queue that wait; a queue that is not there has none."""
        with contextlib.suppress(ChannelNotFoundEntity):
            async with self._channel() as channel:
                declared = await channel.queue_declare(queue, passive=True)
                return int(declared.message_count or 0)
        return 0


def _setter(event: asyncio.Event) -> Callable[[object], None]:
    return lambda _: event.set()


def _queues(topic: str) -> tuple[str, str]:
    return f"call.{topic}", f"cast.{topic}"


async def _declare_topic(channel: Channel, topic: str) -> None:
    for name, arguments in zip(_queues(topic), (CLASSIC, QUORUM), strict=True):
        await channel.queue_declare(name, durable=True, arguments=arguments)
        await channel.queue_bind(name, EXCHANGE, name)


async def _declare_news(channel: Channel, exchange: str) -> None:
    await channel.exchange_declare(exchange, exchange_type="fanout", durable=True)


def _fault(properties: Any) -> str:
    """Why nobody shall handle this message; '' for one in order."""
    if not properties.user_id:
        return "it does not say who sent it"
    count = (properties.headers or {}).get("x-delivery-count", 0)
    if count >= MOST_REDELIVERED:
        return f"it came back {count} times, for whoever took it died"
    return ""


__all__ = [
    "CLOSED", "HELD_S", "NEWS", "ChannelAccessRefused", "DeliveryError", "Line", "NoLeader", "Parcel", "PublishError",
    "Taking", "awaiting",
]  # fmt: skip
