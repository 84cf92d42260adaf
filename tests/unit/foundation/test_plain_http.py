"""A small HTTP server against clients that want it harm."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pileus.foundation.errors import Unavailable
from pileus.foundation.plain_http import PlainAnswer, PlainHandler, PlainRequest, PlainServer
from pileus.foundation.runtime import Runtime

Run = Callable[..., Any]


async def echo(request: PlainRequest) -> PlainAnswer:
    return PlainAnswer(200, f"{request.method} {request.path} {request.peer}".encode(), headers={"X-Test": "1"})


async def with_server(
    runtime: Runtime,
    handler: PlainHandler,
    scene: Callable[[tuple[str, int]], Awaitable[None]],
    **limits: Any,
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    server = PlainServer(runtime, handler, **limits)
    await server.start(listener)
    try:
        await scene(listener.getsockname())
    finally:
        server.close()


async def talk(address: tuple[str, int], request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_line", "body"),
    [
        (b"GET /a/b?x=1 HTTP/1.1", b"GET /a/b 127.0.0.1"),
        (b"GET /a HTTP/1.0", b"GET /a 127.0.0.1"),
        (b"GET http://169.254.169.254/a HTTP/1.1", b"GET /a 127.0.0.1"),
        (b"GET http://169.254.169.254 HTTP/1.1", b"GET / 127.0.0.1"),
        (b"HEAD /a HTTP/1.1", b""),
    ],
)
def test_a_request_is_answered_once(run: Run, runtime: Runtime, request_line: bytes, body: bytes) -> None:
    async def scene(address: tuple[str, int]) -> None:
        answer = await talk(address, request_line + b"\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
        head, _, received = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nX-Test: 1" in head
        assert b"\r\nConnection: close" in head
        assert received == body

    run(with_server, runtime, echo, scene)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET a HTTP/1.1\r\n\r\n", 400),
        (b"GET /\x01 HTTP/1.1\r\n\r\n", 400),
        (b"G<T / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused(run: Run, runtime: Runtime, raw: bytes, status: int) -> None:
    async def scene(address: tuple[str, int]) -> None:
        assert (await talk(address, raw)).startswith(f"HTTP/1.1 {status} ".encode())

    run(with_server, runtime, echo, scene)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (b"Content-Length: 3", b"abc", 200),
        (b"content-length:  3 ", b"abc", 200),
        (b"Content-Length: 4", b"abcd", 413),
        (b"Content-Length: 3\r\nContent-Length: 3", b"abc", 400),
        (b"Content-Length: +3", b"abc", 400),
        (b"Content-Length: 99999999999999999999", b"abc", 400),
        (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n", 400),
    ],
)
def test_a_body_is_read_when_its_length_is_told_and_small(
    run: Run, runtime: Runtime, headers: bytes, body: bytes, status: int
) -> None:
    async def say_back(request: PlainRequest) -> PlainAnswer:
        return PlainAnswer(200, request.body)

    async def scene(address: tuple[str, int]) -> None:
        answer = await talk(address, b"POST / HTTP/1.1\r\n" + headers + b"\r\n\r\n" + body)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        if status == 200:
            assert answer.endswith(b"\r\n\r\n" + body)

    run(with_server, runtime, say_back, scene, body_bytes=3)


def test_a_client_that_never_ends_its_request_is_dropped(run: Run, runtime: Runtime) -> None:
    async def scene(address: tuple[str, int]) -> None:
        assert await talk(address, b"GET / HTTP/1.1\r\n") == b""

    run(with_server, runtime, echo, scene, timeout_s=0.05)


@pytest.mark.parametrize("limits", [{"connections": 2}, {"per_peer": 2}])
def test_a_connection_too_many_is_dropped_until_there_is_room(
    run: Run, runtime: Runtime, limits: dict[str, int]
) -> None:
    async def scene(address: tuple[str, int]) -> None:
        waiting = [await asyncio.open_connection(*address) for _ in range(2)]
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()
        for reader, writer in waiting:
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        assert (await talk(address, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")

    run(with_server, runtime, echo, scene, **limits)


@pytest.mark.parametrize(("failure", "status"), [(Unavailable(log="the reason"), 503), (RuntimeError("a secret"), 500)])
def test_a_failing_handler_says_nothing_of_why(run: Run, runtime: Runtime, failure: Exception, status: int) -> None:
    async def fail(request: PlainRequest) -> PlainAnswer:
        raise failure

    async def scene(address: tuple[str, int]) -> None:
        answer = await talk(address, b"GET / HTTP/1.1\r\n\r\n")
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"secret" not in answer
        assert b"reason" not in answer

    run(with_server, runtime, fail, scene)


def test_closing_ends_open_connections(run: Run, runtime: Runtime) -> None:
    async def whole() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        server = PlainServer(runtime, echo)
        await server.start(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        address = writer.get_extra_info("peername")
        assert (await talk(address, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")
        server.close()
        assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        writer.close()

    run(whole)
