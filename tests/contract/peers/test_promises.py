"""What every way to a peer service promises: into an application of this process, and over HTTP to another."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pileus.foundation.errors import NotFound, Unavailable
from pileus.foundation.http import remote
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import InProcess, Peer
from pileus.foundation.http.remote import SocketTransport
from pileus.foundation.http.server import bind_tcp, listen
from pileus.foundation.runtime import Runtime
from tests.conftest import Run
from tests.own_token import FixedToken

Reach = Callable[[Any], Any]
MIB = bytes(1 << 20)


ANYBODY = Authority(FixedToken("tok"))


@pytest.fixture(params=["in process", "http"])
def reach(request: pytest.FixtureRequest) -> Reach:
    """`async with reach(app) as peer:` gives the service that `app` is, as its callers see it."""

    @asynccontextmanager
    async def reached(app: Any) -> AsyncIterator[Peer]:
        runtime = Runtime("caller")
        if request.param == "in process":
            yield Peer("thing", InProcess(app, runtime), runtime, source="test")
            await runtime.stop()
            return
        listening = bind_tcp("127.0.0.1", 0)
        listener = await listen(app, listening, runtime)
        transport = SocketTransport(f"http://127.0.0.1:{listening.getsockname()[1]}")
        try:
            yield Peer("thing", transport, runtime, source="test")
        finally:
            await transport.close()
            await listener.stop()
            await runtime.stop()

    return reached


async def answer(send: Any, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def whole(receive: Any) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def test_a_request_arrives_as_it_was_sent_and_its_answer_as_it_was_given(reach: Reach, run: Run) -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope, body=await whole(receive), sent=dict(scope["headers"]))
        await answer(send, 202, b'{"made":{"id":"t1"}}', ((b"X-Openstack-Request-Id", b"req-7"),))

    async def work() -> None:
        async with reach(app) as peer:
            found = await peer.request(
                "POST", "/v2/things", body={"name": "a b/ü"}, query={"name": "ü&=", "tag": ["x", "y"]}, token="tok",
                service_token="serv", headers={"x-more": "1"},
            )  # fmt: skip
        assert (found.status, found.json()) == (202, {"made": {"id": "t1"}})
        assert found.headers["x-openstack-request-id"] == "req-7"
        assert (seen["method"], seen["path"]) == ("POST", "/v2/things")
        assert seen["query_string"] == b"name=%C3%BC%26%3D&tag=x&tag=y"
        assert seen["body"].decode() == '{"name":"a b/ü"}'
        sent = seen["sent"]
        assert (sent[b"x-auth-token"], sent[b"x-service-token"], sent[b"x-more"]) == (b"tok", b"serv", b"1")
        assert sent[b"content-type"] == b"application/json"

    run(work)


def test_an_own_token_that_is_refused_is_fetched_anew_and_the_request_sent_once_more(reach: Reach, run: Run) -> None:
    seen: list[tuple[str, str]] = []

    class Renewed(FixedToken):
        def forget(self, token: str) -> None:
            super().forget(token)
            self.value = f"not {token}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen.append((sent["x-auth-token"], sent.get("x-service-token", "")))
        is_known = "old" not in seen[-1] and "gone" not in seen[-1]
        await answer(send, 200 if is_known else 401, b'{"body":%d}' % len(await whole(receive)))

    async def work() -> None:
        async with reach(app) as peer:
            for user in ("", "user"):
                own = Renewed("old")
                found = await peer.request("PUT", "/v2/things", body=b"four", authority=Authority(own, user))
                assert (found.status, found.json(), own.forgotten) == (200, {"body": 4}, ["old"])
            async with peer.stream("GET", "/v2", authority=Authority(Renewed("old"))) as (status, _, chunks):
                assert status == 200
                assert [chunk async for chunk in chunks]
            own = Renewed("new")
            assert (await peer.request("GET", "/v2", authority=Authority(own, "gone"))).status == 401
            assert own.forgotten == ["new"]
        assert seen == [
            ("old", ""), ("not old", ""), ("user", "old"), ("user", "not old"), ("old", ""), ("not old", ""),
            ("gone", "new"), ("gone", "not new"),
        ]  # fmt: skip

    run(work)


def test_a_refusal_is_raised_with_the_peers_own_words(reach: Reach, run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 404, b'{"itemNotFound":{"message":"No thing t9.","code":404}}')

    async def work() -> None:
        async with reach(app) as peer:
            with pytest.raises(NotFound, match="No thing t9"):
                await peer.ask("GET", "/v2/things/t9")

    run(work)


def test_a_redirect_is_an_answer_and_not_followed(reach: Reach, run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 303, b"", ((b"location", b"http://192.0.2.1/elsewhere"),))

    async def work() -> None:
        async with reach(app) as peer:
            assert (await peer.request("GET", "/v2/things")).status == 303

    run(work)


def test_data_stream_up_chunk_by_chunk(reach: Reach, run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        got = await whole(receive)
        await answer(send, 200, str(len(got)).encode())

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield MIB

    async def work() -> None:
        async with reach(app) as peer:
            found = await peer.request("PUT", "/v2/things/t1/file", body=chunks())
        assert found.body == str(20 << 20).encode()

    run(work)


def test_data_stream_down_while_they_are_made(reach: Reach, run: Run) -> None:
    """The reader's pace is the maker's: what nobody has read yet is not made without end."""
    made: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"data")]})
        for number in range(200):
            made.append(number)
            await send({"type": "http.response.body", "body": MIB, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def work() -> None:
        async with reach(app) as peer:
            size, ahead = 0, 0
            async with peer.stream("GET", "/v2/things/t1/file", authority=ANYBODY) as (status, headers, chunks):
                assert (status, headers["x-kind"]) == (200, "data")
                async for chunk in chunks:
                    size += len(chunk)
                    ahead = max(ahead, len(made) - (size >> 20))
            assert size == 200 << 20
            assert ahead < 50

    run(work)


def test_a_reader_who_goes_away_early_harms_nobody(reach: Reach, run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": MIB, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def work() -> None:
        async with reach(app) as peer:
            for _ in range(3):
                async with peer.stream("GET", "/v2/things/t1/file", authority=ANYBODY) as (status, _, chunks):
                    assert status == 200
                    async for _chunk in chunks:
                        break

    run(work)


async def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def ask_with(app: Any, path: str, timeout_s: float) -> None:
    """Ask a server that handles its connections by `app(reader, writer)`."""
    server = await asyncio.start_server(app, "127.0.0.1", 0)
    runtime = Runtime("caller")
    transport = SocketTransport(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    peer = Peer("thing", transport, runtime)
    try:
        if path == "stream":
            async with peer.stream("GET", "/x", authority=ANYBODY, timeout_s=timeout_s) as (_, _, chunks):
                async for _chunk in chunks:
                    pass
        else:
            await peer.request("POST", "/x", body={}, timeout_s=timeout_s)
    finally:
        await transport.close()
        server.close()
        await runtime.stop()


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the caller goes
    writer.close()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def cuts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome")
    await writer.drain()
    writer.close()


async def stalls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome")
    await reader.read()
    writer.close()


def test_a_stream_that_stands_still_has_broken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "STALL_S", 0.1)
    with pytest.raises(Unavailable, match="The thing service does not answer"):
        run(ask_with, stalls, "stream", 600.0)


@pytest.mark.parametrize("path", ["request", "stream"])
@pytest.mark.parametrize(("server", "timeout_s"), [(never, 0.1), (hangs_up, 20.0), (cuts, 20.0)])
def test_a_service_that_is_silent_or_breaks_off_is_unavailable(
    run: Run, server: Any, timeout_s: float, path: str
) -> None:
    with pytest.raises(Unavailable, match="The thing service does not answer"):
        run(ask_with, server, path, timeout_s)


def test_a_service_that_is_not_there_is_unavailable(run: Run) -> None:
    async def work() -> None:
        runtime = Runtime("caller")
        transport = SocketTransport(f"http://127.0.0.1:{await closed_port()}")
        peer = Peer("thing", transport, runtime)
        with pytest.raises(Unavailable):
            await peer.request("GET", "/")
        with pytest.raises(Unavailable):
            async with peer.stream("GET", "/", authority=ANYBODY):
                pass
        await transport.close()
        await runtime.stop()

    run(work)
