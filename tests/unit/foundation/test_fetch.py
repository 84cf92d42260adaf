"""What a user names by URL is fetched; nobody is led to what only we can reach."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from pileus.foundation.errors import Error, Unavailable
from pileus.foundation.fetch import Fetcher, FetchFailed, NotFetchable, is_public
from pileus.foundation.runtime import Runtime
from tests.conftest import Run

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://mirror.example/x",
        "gopher://mirror.example/x",
        "http://",
        "http:///x",
        "//mirror.example/x",
        "mirror.example/x",
        "",
        "http://user:secret@mirror.example/x",
        "http://user@mirror.example/x",
        "http://mirror.example:22/x",
        "http://mirror.example:99999/x",
        "http://mirror.example/x\r\nX-Evil: 1",
        "http://mirror.example/a b",
        "http://mïrror.example/",
        "http://[::1",
        "http://mirror.example\\@127.0.0.1/",
    ],
)
def test_a_url_is_refused_by_its_words(runtime: Runtime, url: str) -> None:
    with pytest.raises(NotFetchable) as refused:
        Fetcher(runtime).check(url)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "169.254.169.254", "[fe80::1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1",
        "0.0.0.0", "[::]", "224.0.0.1", "255.255.255.255", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    ],
)  # fmt: skip
def test_no_address_of_ours_is_reached_however_it_is_written(run: Run, runtime: Runtime, host: str) -> None:
    async def story() -> None:
        async with Fetcher(runtime).get(f"http://{host}/") as chunks:
            raise AssertionError([chunk async for chunk in chunks])

    with pytest.raises((NotFetchable, FetchFailed)) as refused:
        run(story)
    assert "public internet" in refused.value.text or "unknown" in refused.value.text


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


class Server:
    """Answers each connection on loopback with bytes."""

    def __init__(self, *answers: bytes):
        self.answers = list(answers)
        self.asked: list[bytes] = []

    async def __aenter__(self) -> "Server":
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/disk?a=b"
        return self

    async def __aexit__(self, *failure: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answers.pop(0).replace(b"PORT", str(self.port).encode()))
        writer.close()


def fetch(run: Run, runtime: Runtime, *answers: bytes) -> tuple[bytes, list[bytes]]:
    async def story() -> tuple[bytes, list[bytes]]:
        async with Server(*answers) as server:
            fetcher = Fetcher(runtime, trusted=[f"127.0.0.1:{server.port}"])
            async with fetcher.get(server.url) as chunks:
                return b"".join([chunk async for chunk in chunks]), server.asked

    found: tuple[bytes, list[bytes]] = run(story)
    return found


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellofurther",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    ],
)
def test_a_trusted_host_delivers(run: Run, runtime: Runtime, answer: bytes) -> None:
    body, asked = fetch(run, runtime, answer)
    assert body == b"hello"
    assert asked[0].startswith(b"GET /disk?a=b HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_redirect_is_followed_to_where_it_may_go(run: Run, runtime: Runtime) -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /other\r\n\r\n"
    body, asked = fetch(run, runtime, redirect, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert body == b"ok"
    assert asked[1].startswith(b"GET /other HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2/\r\n\r\n", NotFetchable),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\n\r\n", NotFetchable),
        (b"HTTP/1.1 302 Found\r\nLocation: http://localhost/\r\n\r\n", NotFetchable),
        (b"HTTP/1.1 302 Found\r\nLocation: http://2130706433/\r\n\r\n", NotFetchable),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", NotFetchable),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n", NotFetchable),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", FetchFailed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", FetchFailed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", FetchFailed),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", FetchFailed),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", FetchFailed),
        (b"SSH-2.0-OpenSSH\r\n\r\n", FetchFailed),
        (b"x" * 100_000, FetchFailed),
        (b"", FetchFailed),
    ],
)
def test_what_goes_wrong_is_told(run: Run, runtime: Runtime, answer: bytes, error: type[Error]) -> None:
    with pytest.raises(error):
        fetch(run, runtime, answer)


def test_redirects_come_to_an_end(run: Run, runtime: Runtime) -> None:
    with pytest.raises(FetchFailed, match="redirects more than 3 times"):
        fetch(run, runtime, *[b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"] * 4)


def test_nobody_there_is_unavailable(run: Run, runtime: Runtime) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def story() -> None:
            async with Fetcher(runtime, trusted=["127.0.0.1"]).get(f"http://127.0.0.1:{port}/"):
                raise AssertionError("somebody is there")

        with pytest.raises(Unavailable):
            run(story)
