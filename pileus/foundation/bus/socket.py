"""The bus between processes of one machine: a hub beside the broker, members that reach it through a socket file.

Nothing is promised that the in-process broker does not promise: what was on its way to a process that dies is lost, and
what was sent while the hub is away waits in the sender, the newest first to be kept. Who may open the file may do all
that a part of the cloud may do, so only its owner can.

A frame is a head of 8 bytes (length of what follows, kind, length of the name; little endian), the name, the message.
"""

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import cast

import msgspec

from pileus.foundation import errors
from pileus.foundation.bus.broker import MOST_WAITING, Broker, Deliver
from pileus.foundation.http.server import bind_file
from pileus.foundation.runtime import Runtime

log = logging.getLogger("pileus.bus")

PROTOCOL = b"1"
MOST_BYTES = 64 << 20
"""The largest message. It also ends a member that does not read: so much may wait for it."""
RETRY_S = (0.02, 0.1, 0.5, 1.0)

_HEAD = struct.Struct("<IHH")
_HELLO, _SEND, _PUBLISH, _CONSUME, _SUBSCRIBE, _LEAVE_TOPIC, _LEAVE_CHANNEL, _DEPTH, _PARK = range(1, 10)
ANSWER_S = 5.0
"""How long a member waits for the hub's own answers."""


class MessageTooLarge(errors.TooLarge):
    code, message = "bus.too-large", "A message to {name} has {size} bytes; at most {most} are carried."


class HubAway(errors.Unavailable):
    code, message = "bus.hub-away", "Nobody answers on {path}: is the cloud up, and is this its state directory?"


def _frame(kind: int, name: str, message: bytes = b"") -> bytes:
    encoded = name.encode()
    if len(message) > MOST_BYTES:
        raise MessageTooLarge(name=name, size=len(message), most=MOST_BYTES)
    return b"".join((_HEAD.pack(len(encoded) + len(message), kind, len(encoded)), encoded, message))


class _Frames(asyncio.Protocol):
    """One end of a connection: cuts what arrives into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass of it
        self.opened()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _HEAD.size:
            length, kind, name_length = _HEAD.unpack_from(buffer)
            if length > MOST_BYTES + 65_535 or name_length > length:
                log.error("the other end of the bus speaks another language; closing")
                self.close()
                return
            end = _HEAD.size + length
            if len(buffer) < end:
                return
            begin = _HEAD.size + name_length
            with memoryview(buffer) as view:
                name, message = bytes(view[_HEAD.size : begin]).decode(), bytes(view[begin:end])
            del buffer[:end]
            self.came(kind, name, message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost()

    def write(self, frame: bytes) -> bool:
        """False when there is nobody to write to."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(frame)
        if transport.get_write_buffer_size() > 2 * MOST_BYTES:
            log.error("the other end of the bus does not read; closing")
            transport.abort()
        return True

    def close(self) -> None:
        self._buffer.clear()
        if self._transport is not None:
            self._transport.abort()

    def opened(self) -> None: ...
    def came(self, kind: int, name: str, message: bytes) -> None: ...
    def lost(self) -> None: ...


# -- the side of the broker -------------------------------------------------------------------------------------------
class _Member(_Frames):
    """A process at the hub, with what it takes from the broker."""

    def __init__(self, broker: Broker, members: set["_Member"]):
        super().__init__()
        self._broker = broker
        self._members = members
        self._topics: dict[str, Deliver] = {}
        self._channels: dict[str, Deliver] = {}
        self._process = "?"

    def opened(self) -> None:
        self._members.add(self)

    def came(self, kind: int, name: str, message: bytes) -> None:
        if kind == _SEND:
            self._broker.send(name, message)
        elif kind == _PUBLISH:
            self._broker.publish(name, message)
        elif kind == _CONSUME and name not in self._topics:
            self._topics[name] = self._carrier(_SEND, name)
            self._broker.consume(name, self._topics[name])
        elif kind == _SUBSCRIBE and name not in self._channels:
            self._channels[name] = self._carrier(_PUBLISH, name)
            self._broker.subscribe(name, self._channels[name])
        elif kind == _LEAVE_TOPIC and name in self._topics:
            self._broker.drop(self._topics.pop(name))
        elif kind == _LEAVE_CHANNEL and name in self._channels:
            self._broker.drop(self._channels.pop(name))
        elif kind == _DEPTH:
            self.write(_frame(_DEPTH, name, msgspec.msgpack.encode(self._broker.waiting())))
        elif kind == _PARK:
            topic, why = name.split("\n", 1)
            self._broker.park(topic, message, why)
        elif kind == _HELLO:
            self._process = name
            log.info("process %s joined the bus", name)

    def _carrier(self, kind: int, name: str) -> Deliver:
        def carry(message: bytes, sender: str) -> None:
            if not self.write(_frame(kind, name, message)) and kind == _SEND:
                self._leave()  # it died and its end has not been told yet: the message goes to the next
                self._broker.send(name, message)

        return carry

    def lost(self) -> None:
        self._members.discard(self)
        self._leave()
        log.info("process %s left the bus", self._process)

    def _leave(self) -> None:
        for deliver in (*self._topics.values(), *self._channels.values()):
            self._broker.drop(deliver)
        self._topics.clear()
        self._channels.clear()


class Hub:
    """Lets other processes of this machine use the broker of this one."""

    def __init__(self, broker: Broker):
        self._broker = broker
        self._members: set[_Member] = set()
        self._server: asyncio.AbstractServer | None = None
        self._path: Path | None = None

    async def listen(self, path: Path) -> None:
        """Make the socket file, which only its owner can open. Raises: CannotListen."""
        listening = bind_file(path)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Member(self._broker, self._members), sock=listening)
        self._path = path

    def stop(self) -> None:
        """Let every member go; they look for the next hub on the same file."""
        if self._server is not None:
            self._server.close()
        for member in list(self._members):
            member.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @property
    def members(self) -> int:
        return len(self._members)


# -- the side of another process --------------------------------------------------------------------------------------
class _Line(_Frames):
    """A member's connection while it holds."""

    def __init__(self, take: Callable[[int, str, bytes], None]):
        super().__init__()
        self._take = take
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def finish(self) -> None:
        """Close, once what was written has left."""
        if self._transport is not None:
            self._transport.close()
            await self.ended

    def came(self, kind: int, name: str, message: bytes) -> None:
        self._take(kind, name, message)

    def lost(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class HubTransport:
    """The bus of a process that has no broker: everything goes through the hub's socket.

    Lost connections are made again, for ever; what is sent meanwhile is kept, the newest `MOST_WAITING` messages of it.
    """

    def __init__(self, path: Path, runtime: Runtime):
        self._path = path
        self._runtime = runtime
        self._consumers: dict[str, deque[Deliver]] = {}
        self._subscribers: dict[str, list[Deliver]] = {}
        self._unsent: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._depths: dict[str, asyncio.Future[dict[str, int]]] = {}
        self._line: _Line | None = None
        self._closed = False
        self._watchers: list[Callable[[bool], None]] = []
        self._askers: list[Callable[[], None]] = []
        self.connections = 0

    async def connect(self, timeout_s: float = 10.0) -> None:
        """Reach the hub for the first time, and stay with it from then on. Raises: HubAway."""
        try:
            async with self._runtime.timeout(timeout_s):
                line = await self._dial()
        except TimeoutError as late:
            raise HubAway(path=self._path) from late
        self._runtime.spawn(self._stay(line), f"bus {self._path}")

    async def _stay(self, line: _Line) -> None:
        while True:
            await asyncio.shield(line.ended)  # who stops this task does not end the line
            self._line = None
            if self._closed:
                return
            for listen in self._watchers:
                listen(False)
            log.warning("the bus is away; looking for it on %s", self._path)
            line = await self._dial()
            for listen in self._watchers:
                listen(True)

    async def _dial(self) -> _Line:
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            try:
                _, line = await loop.create_unix_connection(lambda: _Line(self._came), str(self._path))
            except OSError:
                await self._runtime.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
                continue
            self._introduce(line)
            return line

    def _introduce(self, line: _Line) -> None:
        """Say again who we are and what we take, then what could not be said meanwhile."""
        line.write(_frame(_HELLO, self._runtime.name, PROTOCOL))
        for topic in self._consumers:
            line.write(_frame(_CONSUME, topic))
        for channel in self._subscribers:
            line.write(_frame(_SUBSCRIBE, channel))
        while self._unsent:
            line.write(self._unsent.popleft())
        self._line = line
        self.connections += 1
        for ask_again in self._askers:
            ask_again()

    @property
    def trouble(self) -> str:
        return "" if self._line is not None else HubAway(path=self._path).text

    def watch(self, listen: Callable[[bool], None]) -> None:
        self._watchers.append(listen)

    async def close(self) -> None:
        self._closed = True
        if self._line is not None:
            line = self._line
            try:
                async with self._runtime.timeout(ANSWER_S):
                    await line.finish()
            except TimeoutError:
                line.close()

    # -- the transport ------------------------------------------------------------------------------------
    def cast(self, topic: str, message: bytes) -> None:
        self._say(_frame(_SEND, topic, message))

    reply = cast

    def ask(self, topic: str, message: bytes, timeout_s: float, answer_to: str) -> None:
        frame = _frame(_SEND, topic, message)
        if self._line is not None:
            self._line.write(frame)

    def publish(self, channel: str, message: bytes) -> None:
        self._say(_frame(_PUBLISH, channel, message))

    def take_replies(self, name: str, deliver: Deliver, anew: Callable[[], None]) -> str:
        address = f"reply.{name}"
        self.consume(address, deliver)
        self._askers.append(anew)
        return address

    def park(self, topic: str, message: bytes, why: str) -> None:
        self._say(_frame(_PARK, f"{topic}\n{why}", message))

    async def depth(self, topics: Collection[str] = ()) -> dict[str, int]:
        question = self._runtime.hex_id()
        answer: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self._depths[question] = answer
        self._say(_frame(_DEPTH, question))
        try:
            async with self._runtime.timeout(ANSWER_S):
                return await answer
        except TimeoutError as late:
            raise HubAway(path=self._path) from late
        finally:
            del self._depths[question]

    def _say(self, frame: bytes) -> None:
        if self._line is None or not self._line.write(frame):
            self._unsent.append(frame)

    def consume(self, topic: str, deliver: Deliver) -> None:
        consumers = self._consumers.setdefault(topic, deque())
        consumers.append(deliver)
        if len(consumers) == 1 and self._line is not None:
            self._line.write(_frame(_CONSUME, topic))

    def subscribe(self, channel: str, deliver: Deliver) -> None:
        subscribers = self._subscribers.setdefault(channel, [])
        subscribers.append(deliver)
        if len(subscribers) == 1 and self._line is not None:
            self._line.write(_frame(_SUBSCRIBE, channel))

    def drop(self, deliver: Deliver) -> None:
        for topic in [name for name, found in self._consumers.items() if deliver in found]:
            self._consumers[topic].remove(deliver)
            self._left(self._consumers, topic, _LEAVE_TOPIC)
        for channel in [name for name, found in self._subscribers.items() if deliver in found]:
            self._subscribers[channel].remove(deliver)
            self._left(self._subscribers, channel, _LEAVE_CHANNEL)

    def _left(self, takers: "dict[str, deque[Deliver]] | dict[str, list[Deliver]]", name: str, kind: int) -> None:
        if takers[name]:
            return
        del takers[name]
        if self._line is not None:
            self._line.write(_frame(kind, name))

    def _came(self, kind: int, name: str, message: bytes) -> None:
        if kind == _SEND:
            consumers = self._consumers.get(name)
            if consumers:
                consumers[0](message, "")
                consumers.rotate(-1)
            else:  # its last consumer left while this was on its way: it goes back to wait for another
                self.cast(name, message)
        elif kind == _PUBLISH:
            for deliver in list(self._subscribers.get(name, ())):
                deliver(message, "")
        elif kind == _DEPTH and name in self._depths:
            self._depths[name].set_result(msgspec.msgpack.decode(message, type=dict[str, int]))
