"""A small HTTP/1.1 server for one listening socket whose clients are not trusted.

One request per connection, bounded in size, time and number. The handler gets the method, the path, the body and the
address that the connection came from; of the client's headers it sees none, so none can be believed.
"""

import asyncio
import http
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime

log = logging.getLogger(__name__)

_HEAD_BYTES = 8192
_TEXT = "text/plain; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """What a client asked."""

    method: str
    path: str  # without the query, as it was sent: nothing is decoded
    peer: str  # the address the connection came from
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    status: int
    body: bytes = b""
    content_type: str = _TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


PlainHandler = Callable[[PlainRequest], Awaitable[PlainAnswer]]


class PlainServer:
    """Serves one socket until it is closed; closing ends open connections too.

    At most `connections` are open at once, of them at most `per_peer` from one address; more are dropped unanswered,
    so that one client cannot keep the others out or use up the process's file descriptors. Bodies of more than
    `body_bytes` are refused, and so are those that do not tell their length.
    """

    def __init__(
        self,
        runtime: Runtime,
        handler: PlainHandler,
        *,
        connections: int = 128,
        per_peer: int = 16,
        timeout_s: float = 10.0,
        body_bytes: int = 0,
    ):
        self._runtime = runtime
        self._handler = handler
        self._connections = connections
        self._per_peer = per_peer
        self._timeout_s = timeout_s
        self._body_bytes = body_bytes
        self._open: dict[asyncio.StreamWriter, str] = {}  # to the address of the other end
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve the socket; it is this object's from now on."""
        try:
            self._server = await asyncio.start_server(self._connected, sock=listener, limit=_HEAD_BYTES)
        except BaseException:
            listener.close()
            raise

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername")[0])
        if len(self._open) >= self._connections or list(self._open.values()).count(peer) >= self._per_peer:
            writer.transport.abort()
            return
        self._open[writer] = peer
        try:
            async with self._runtime.timeout(self._timeout_s):
                answer, with_body = await self._answer(reader, peer)
                writer.write(_encode(answer, with_body))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()  # slow or gone: nobody to answer
        finally:
            del self._open[writer]
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, peer: str) -> tuple[PlainAnswer, bool]:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _refusal(431), True
        request = _parse(head, peer)
        if request is None:
            return _refusal(400), True
        length = _length(head)
        if length is None or length > self._body_bytes:
            return _refusal(400 if length is None else 413), True
        if length:
            request = replace(request, body=await reader.readexactly(length))
        with_body = request.method != "HEAD"
        try:
            return await self._handler(request), with_body
        except Error as failure:
            log.warning("%s %s from %s: %s", request.method, request.path, request.peer, failure.log or failure.text)
            return _refusal(503 if failure.status == 503 else 500), with_body
        except Exception:
            log.exception("%s %s from %s", request.method, request.path, request.peer)
            return _refusal(500), with_body


def _refusal(status: int) -> PlainAnswer:
    return PlainAnswer(status, f"{status} {http.HTTPStatus(status).phrase}\n".encode())


def _parse(head: bytes, peer: str) -> PlainRequest | None:
    """The request in `head`, or None when it is none that HTTP/1 knows."""
    line = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(line) != 3 or line[2] not in ("HTTP/1.0", "HTTP/1.1") or not line[0].isalpha():
        return None
    method, target = line[0], line[1]
    if target.startswith("http://"):
        target = "/" + target[7:].partition("/")[2]
    if not target.startswith("/") or not target.isprintable():
        return None
    return PlainRequest(method, target.partition("?")[0], peer)


def _length(head: bytes) -> int | None:
    """How long the body is that follows, or None when that is not told in a way that can be believed."""
    found = [0]
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"transfer-encoding":
            return None
        if name.strip().lower() == b"content-length":
            text = value.strip()
            if not text.isdigit() or len(text) > 9:
                return None
            found.append(int(text))
    return found[-1] if len(found) < 3 else None


def _encode(answer: PlainAnswer, with_body: bool) -> bytes:
    status = http.HTTPStatus(answer.status)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (answer.body if with_body else b"")
