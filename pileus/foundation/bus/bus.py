"""Calls, casts and announcements over a transport: encoding, correlation, deadlines, errors, trace."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from pileus.foundation import errors
from pileus.foundation.bus.broker import Deliver, Transport
from pileus.foundation.bus.senders import Claim, NotYourName, is_control
from pileus.foundation.runtime import Crashed, Runtime
from pileus.foundation.trace import Event, Trace

log = logging.getLogger("pileus.bus")


class BusTimeout(errors.Unavailable):
    code = "bus.timeout"
    message = "{topic} did not answer {method} within {seconds} s."


class BusAway(BusTimeout, errors.CutOff):
    code = "bus.away"
    message = "{topic} could not be asked {method} for {seconds} s: the bus is away."


class NoMethod(errors.NotSupported):
    code, message = "bus.no-method", "{topic} knows no method {method}."


class Envelope(msgspec.Struct, omit_defaults=True):
    """One message. Unknown fields are ignored, so that releases can differ."""

    id: str
    method: str
    args: dict[str, Any]
    v: int = 1
    reply_to: str = ""
    request_id: str = ""
    sent: int = 0  # the sender's clock, UTC microseconds; shown, never compared
    source: str = ""


class Reply(msgspec.Struct, omit_defaults=True):
    id: str
    v: int = 1
    result: Any = None
    error: dict[str, Any] | None = None
    taken: int = 0  # when the handler began, its clock
    process: str = ""
    events: list[Event] = []


@dataclass(slots=True)
class Delivery:
    """A message as its handler gets it. Events added to `trace` ride back with the answer to a call."""

    topic: str
    method: str
    args: dict[str, Any]
    request_id: str
    id: str
    source: str
    sent: int
    taken: int
    trace: Trace
    sender: str = ""
    """The account that sent it, verified by what carried it; '' where only parts of the cloud can send."""


class _Question(NamedTuple):
    """A call that is under way; `until` is the monotonic time at which its caller gives up."""

    topic: str
    message: bytes
    until: float
    reply: "asyncio.Future[Reply]"


class Record(NamedTuple):
    """What the bus itself saw of one message: evidence that does not come from any trace."""

    id: str
    kind: str  # call, cast, taken, answered
    topic: str
    method: str
    at: int
    request_id: str


Handler = Callable[[Delivery], Awaitable[Any]]

_encode = msgspec.msgpack.Encoder().encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
_decode_reply = msgspec.msgpack.Decoder(Reply).decode

RECORDS = 4096


class Bus:
    """One process' door to the bus."""

    def __init__(self, transport: Transport, runtime: Runtime):
        self._transport = transport
        self._runtime = runtime
        self._name = runtime.hex_id()
        self._waiting: dict[str, _Question] = {}
        self._secrets: list[str] = []
        self._delivers: list[Deliver] = []
        self._number = 0
        self.records: deque[Record] = deque(maxlen=RECORDS)
        self._address = transport.take_replies(self._name, self._answered, self._ask_again)
        self._delivers.append(self._answered)

    # -- asking -------------------------------------------------------------------------------------------
    async def call(
        self,
        topic: str,
        method: str,
        args: Mapping[str, Any],
        *,
        timeout_s: float = 30.0,
        request_id: str = "",
        source: str = "",
        record: Trace | None = None,
        steps: tuple[int, int, int] = (0, 0, 0),
    ) -> Any:
        """Ask one of those who serve `topic`, and return its answer; asked again when what carried it broke.

        With `record`, sending, taking and answering become events numbered `steps` (0: none).
        Raises: what the handler raised, as its kind; BusTimeout; BusAway, as its kind, when nothing arrives now.
        """
        self._runtime.check()
        envelope = self._envelope(method, args, request_id, source, self._address)
        envelope.id += f".{self._secret()}"
        until, reply_to_come = self._runtime.monotonic() + timeout_s, asyncio.get_running_loop().create_future()
        question = self._waiting[envelope.id] = _Question(topic, _encode(envelope), until, reply_to_come)
        self._note(envelope, "call", topic)
        self._runtime.reached("call.before", topic, method)
        try:
            self._transport.ask(topic, question.message, timeout_s, self._address)
            async with self._runtime.timeout(timeout_s):
                reply = await question.reply
        except TimeoutError as late:
            kind = BusAway if self.trouble else BusTimeout
            raise kind(topic=topic, method=method, seconds=timeout_s) from late
        finally:
            self._waiting.pop(envelope.id, None)
        self._runtime.check()
        self._runtime.reached("call.after", topic, method)
        if record is not None:
            self._trace(record, envelope, reply, topic, steps)
        if reply.error is not None:
            raise errors.from_wire(reply.error)
        return reply.result

    def _ask_again(self) -> None:
        """Questions may be lost with the way that they went, and so may their answers."""
        now = self._runtime.monotonic()
        for question in self._waiting.values():
            if question.until > now and not question.reply.done():
                self._transport.ask(question.topic, question.message, question.until - now, self._address)

    def cast(
        self, topic: str, method: str, args: Mapping[str, Any], *, request_id: str = "", source: str = ""
    ) -> Envelope:
        """Nudge one of those who serve `topic`. Nobody may rely on its arrival."""
        self._runtime.check()
        envelope = self._envelope(method, args, request_id, source, "")
        self._note(envelope, "cast", topic)
        self._runtime.reached("cast.before", topic, method)
        self._transport.cast(topic, _encode(envelope))
        return envelope

    def publish(self, channel: str, event: str, args: Mapping[str, Any]) -> None:
        """Tell everybody who subscribed to `channel`."""
        self._runtime.check()
        self._transport.publish(channel, _encode(self._envelope(event, args, "", "", "")))

    # -- answering ----------------------------------------------------------------------------------------
    def serve(self, topic: str, methods: Mapping[str, Handler], claims: Mapping[str, Claim] | None = None) -> None:
        """Take messages of `topic`; each runs in a task of its own. Handlers may be called twice for one message.

        Methods in `claims` are open to hosts' accounts too, each in its own name; all others to the control plane.
        """
        table = dict(methods)
        claimed = dict(claims or {})

        def deliver(raw: bytes, sender: str) -> "asyncio.Task[None] | None":
            envelope = self._readable(topic, raw)
            if envelope is None or not self._runtime.alive:
                return None
            return self._runtime.spawn(self._handle(topic, table, claimed, envelope, sender), f"bus {topic}")

        self._delivers.append(deliver)
        self._transport.consume(topic, deliver)

    def subscribe(self, channel: str, listen: Callable[[str, dict[str, Any]], None]) -> None:
        """Call `listen(event, args)` for everything published on `channel`; it must not block."""

        def deliver(raw: bytes, sender: str) -> None:
            envelope = self._readable(channel, raw)
            if envelope is not None and self._runtime.alive:
                listen(envelope.method, envelope.args)

        self._delivers.append(deliver)
        self._transport.subscribe(channel, deliver)

    def watch(self, listen: Callable[[bool], None]) -> None:
        """Call `listen` when what others publish does not reach this process (False) and when it does again (True)."""
        self._transport.watch(listen)

    @property
    def trouble(self) -> str:
        """What keeps all messages from arriving now, and what to do about it; "" when nothing does."""
        return self._transport.trouble

    async def depth(self, topics: Collection[str] = ()) -> dict[str, int]:
        """Messages that wait, by topic; `PARKED` are those that nobody could handle. Raises: Unavailable."""
        self._runtime.check()
        return await self._transport.depth(topics)

    def close(self) -> None:
        """Take no more messages."""
        for deliver in self._delivers:
            self._transport.drop(deliver)
        self._delivers.clear()

    def _readable(self, name: str, raw: bytes) -> Envelope | None:
        """None for what is no message of ours: whoever sent it, others must not suffer."""
        try:
            return _decode_envelope(raw)
        except msgspec.MsgspecError as error:
            self._transport.park(name, raw, f"it cannot be read: {error}")
            return None

    async def _handle(
        self, topic: str, methods: Mapping[str, Handler], claims: Mapping[str, Claim], envelope: Envelope, sender: str
    ) -> None:
        delivery = Delivery(
            topic, envelope.method, envelope.args, envelope.request_id, envelope.id, envelope.source, envelope.sent,
            self._runtime.now(), Trace(), sender,
        )  # fmt: skip
        self._note(envelope, "taken", topic)
        self._runtime.reached("handle.before", topic, envelope.method)
        result, error = None, None
        try:
            if sender and not is_control(sender):
                self._check_claim(claims.get(envelope.method), delivery)
            handler = methods.get(envelope.method)
            if handler is None:
                raise NoMethod(topic=topic, method=envelope.method)
            result = await handler(delivery)
        except Crashed:
            return
        except Exception as failure:
            if not isinstance(failure, errors.Error):
                log.exception("%s.%s failed", topic, envelope.method)
            elif failure.log or not envelope.reply_to:
                log.warning("%s.%s: %s%s", topic, envelope.method, failure, f" ({failure.log})" if failure.log else "")
            error = errors.to_wire(failure)
        if envelope.reply_to and self._runtime.alive:
            self._note(envelope, "answered", topic)
            self._runtime.reached("reply.before", topic, envelope.method)
            reply = Reply(envelope.id, 1, result, error, delivery.taken, self._runtime.name, delivery.trace.events)
            self._transport.reply(envelope.reply_to, _encode(reply))

    def _check_claim(self, claim: Claim | None, delivery: Delivery) -> None:
        if claim is not None and claim(delivery.args) == delivery.sender:
            return
        log.error("refused %s.%s from account %s", delivery.topic, delivery.method, delivery.sender)
        raise NotYourName(sender=delivery.sender, topic=delivery.topic, method=delivery.method)

    def _answered(self, raw: bytes, sender: str) -> None:
        try:
            reply = _decode_reply(raw)
        except msgspec.MsgspecError as error:
            self._transport.park(self._address, raw, f"it cannot be read: {error}")
            return
        question = self._waiting.get(reply.id)
        if question is not None and not question.reply.done():
            question.reply.set_result(reply)

    # -- small things -------------------------------------------------------------------------------------
    def _envelope(self, method: str, args: Mapping[str, Any], request_id: str, source: str, reply_to: str) -> Envelope:
        self._number += 1
        return Envelope(
            f"{self._name}.{self._number}", method, dict(args), 1, reply_to, request_id, self._runtime.now(),
            source,
        )  # fmt: skip

    def _secret(self) -> str:
        """What makes the id of a call unguessable, so that only who was asked can answer it."""
        if not self._secrets:
            digits = self._runtime.random_bytes(1024).hex()
            self._secrets = [digits[at : at + 16] for at in range(0, 2048, 16)]
        return self._secrets.pop()

    def _note(self, envelope: Envelope, kind: str, topic: str) -> None:
        self.records.append(Record(envelope.id, kind, topic, envelope.method, self._runtime.now(), envelope.request_id))

    def _trace(self, record: Trace, envelope: Envelope, reply: Reply, topic: str, steps: tuple[int, int, int]) -> None:
        out, take, back = steps
        callee = topic.split(".")[0]
        now = self._runtime.now()
        data: dict[str, object] = {"method": envelope.method, "message": envelope.id}
        if out:
            record.add(Event(out, envelope.source, "bus", envelope.sent, now - envelope.sent, data=data,
                             process=self._runtime.name))  # fmt: skip
        if take:
            record.add(Event(take, "bus", callee, reply.taken, 0, data=data, process=reply.process))
        record.extend(reply.events)
        if back:
            record.add(Event(back, "bus", envelope.source, now, 0, data=data, process=self._runtime.name))
