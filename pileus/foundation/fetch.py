"""Fetches what a user names by URL, without being led to places that only we can reach.

Every address that a name resolves to is judged, and the connection goes to an address that was judged: no second
look-up could answer differently. Redirects are judged anew. Only GET, only http and https; only the body comes back.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from pileus.foundation.errors import BadRequest, Error, Unavailable
from pileus.foundation.runtime import Runtime

PORTS = {"http": 80, "https": 443}
MOST_REDIRECTS = 3
HEAD_BYTES = 65_536
CHUNK = 65_536
CONNECT_S = 10.0
IDLE_S = 60.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class NotFetchable(BadRequest):
    """The URL leads to where users may not send us."""

    code, message = "fetch.refused", "The URL does not pass filtering: {reason}."


class FetchFailed(Error):
    """The other side did not deliver."""

    status, code, message = 502, "fetch.failed", "The URL could not be fetched: {reason}."


@dataclass(frozen=True)
class Place:
    """Where a URL points."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class Fetcher:
    """Fetches from the public internet, and from the hosts that the operator trusts ("mirror" or "mirror:8080")."""

    def __init__(self, runtime: Runtime, trusted: Iterable[str] = ()):
        self._runtime = runtime
        self._trusted = frozenset(trusted)

    def check(self, url: str) -> Place:
        """Judge a URL by its words alone, before anything is looked up. Raises: NotFetchable (400)."""
        if not url.isascii() or not url.isprintable() or any(c in url for c in ' "<>\\^`{|}'):
            raise NotFetchable(reason="it contains characters that no URL has")
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as broken:
            raise NotFetchable(reason="it is no URL") from broken
        if parts.scheme not in PORTS:
            raise NotFetchable(reason="only http and https are fetched")
        if not parts.hostname or parts.username is not None or parts.password is not None:
            raise NotFetchable(reason="it must name a host, and no user")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        place = Place(parts.scheme, parts.hostname, port, target)
        if port != PORTS[parts.scheme] and not self._trusts(place):
            raise NotFetchable(reason=f"port {port} is not allowed")
        return place

    @contextlib.asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of a GET, in chunks: `async with fetcher.get(url) as chunks`.

        Raises: NotFetchable (400), FetchFailed (502), Unavailable (503) when nobody answers in time.
        """
        for _ in range(MOST_REDIRECTS + 1):
            place = self.check(url)
            async with self._ask(place) as (status, headers, reader):
                if status in REDIRECTS and "location" in headers:
                    url = _redirected(url, headers["location"])
                    continue
                if status != 200:
                    raise FetchFailed(reason=f"it answered {status}")
                yield self._body(headers, reader)
                return
        raise FetchFailed(reason=f"it redirects more than {MOST_REDIRECTS} times")

    def _trusts(self, place: Place) -> bool:
        return place.host in self._trusted or f"{place.host}:{place.port}" in self._trusted

    async def _addresses(self, place: Place) -> list[str]:
        """Every address of the host; all of them must be public. Raises: NotFetchable (400), FetchFailed (502)."""
        try:
            async with self._runtime.timeout(CONNECT_S):
                found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as unknown:
            raise FetchFailed(reason="its host is unknown") from unknown
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._trusts(place) and not all(is_public(address) for address in addresses):
            raise NotFetchable(reason="its host is not on the public internet")
        return addresses

    @contextlib.asynccontextmanager
    async def _ask(self, place: Place) -> AsyncIterator[tuple[int, dict[str, str], asyncio.StreamReader]]:
        reader, writer = await self._connect(place)
        try:
            writer.write(
                f"GET {place.target} HTTP/1.1\r\nHost: {place.authority}\r\nUser-Agent: pileus\r\nAccept: */*\r\n"
                "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode()
            )
            try:
                async with self._runtime.timeout(IDLE_S):
                    await writer.drain()
                    head = await reader.readuntil(b"\r\n\r\n")
            except TimeoutError as slow:
                raise Unavailable(f"{place.authority} does not answer.") from slow
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as broken:
                raise FetchFailed(reason="it does not speak HTTP") from broken
            status, headers = _parse(head)
            yield status, headers, reader
        finally:
            writer.close()

    async def _connect(self, place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: Exception | None = None
        for address in await self._addresses(place):
            try:
                async with self._runtime.timeout(CONNECT_S):
                    return await asyncio.open_connection(address, place.port, limit=HEAD_BYTES, **_encryption(place))
            except (OSError, TimeoutError) as error:
                failure = error
        raise Unavailable(f"{place.authority} cannot be reached.", log=repr(failure)) from failure

    async def _read(self, reader: asyncio.StreamReader, count: int) -> bytes:
        try:
            async with self._runtime.timeout(IDLE_S):
                return await reader.read(count)
        except TimeoutError as slow:
            raise Unavailable("The other side stopped sending.") from slow
        except OSError as cut:
            raise FetchFailed(reason="the connection broke") from cut

    async def _body(self, headers: dict[str, str], reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            async for chunk in self._chunked(reader):
                yield chunk
            return
        length = headers.get("content-length")
        if length is not None and not length.isdigit():
            raise FetchFailed(reason="it does not speak HTTP")
        left = int(length) if length is not None else None
        while left is None or left > 0:
            chunk = await self._read(reader, CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                break
            left = None if left is None else left - len(chunk)
            yield chunk
        if left:
            raise FetchFailed(reason=f"it ended {left} bytes early")

    async def _chunked(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        while left := await self._chunk_size(reader):
            while left > 0:
                chunk = await self._read(reader, min(CHUNK, left))
                if not chunk:
                    raise FetchFailed(reason="it ended early")
                left -= len(chunk)
                yield chunk
            if await self._line(reader):
                raise FetchFailed(reason="it does not speak HTTP")

    async def _chunk_size(self, reader: asyncio.StreamReader) -> int:
        try:
            return int((await self._line(reader)).split(b";")[0], 16)
        except ValueError as broken:
            raise FetchFailed(reason="it does not speak HTTP") from broken

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with self._runtime.timeout(IDLE_S):
                return (await reader.readuntil(b"\r\n")).strip()
        except TimeoutError as slow:
            raise Unavailable("The other side stopped sending.") from slow
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as broken:
            raise FetchFailed(reason="it ended early") from broken


def is_public(address: str) -> bool:
    """Whether an address is on the public internet, whatever it is wrapped in."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
            found = inner or found
    return found.is_global and not found.is_multicast and not found.is_reserved


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as broken:
        raise NotFetchable(reason="it redirects to no URL") from broken


def _encryption(place: Place) -> dict[str, Any]:
    if place.scheme != "https":
        return {}
    import ssl  # only where something is fetched over TLS

    return {"ssl": ssl.create_default_context(), "server_hostname": place.host}


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    """The status, and the headers by lower-case name. Raises: FetchFailed (502)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise FetchFailed(reason="it does not speak HTTP")
    pairs = (line.partition(":") for line in lines if line)
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}
