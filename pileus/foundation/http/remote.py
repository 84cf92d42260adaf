"""The service of another process, over HTTP: what a process on another address space has in place of `InProcess`.

The client library is imported when the first such transport is made: a cloud in one process has no use for it.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from pileus.foundation.http.client import Answer, Content

MOST_CONNECTIONS = 100
LONGEST_HEADER = 65_536
"""An answer to a service carries its part of the trace in a header."""
KEEP_ALIVE_S = 60.0
"""Below what our own listener keeps an idle connection, so that nothing is sent into one that just closes."""
CHUNK = 1 << 20
STALL_S = 20.0
"""A stream that stands still for so long has broken: whoever reads it begins anew."""


class SocketTransport:
    """Carries requests to the service at `url`, for example http://10.0.0.1:8800/image.

    Raises: TimeoutError and OSError, as whatever carries a `Peer` does.
    """

    def __init__(self, url: str, trust: Any = None):
        """`trust` is the SSLContext that checks who answers; without it only those that the system believes."""
        import aiohttp

        self._aiohttp = aiohttp
        self._url = url.rstrip("/")
        self._trust = trust
        self._session: Any = None

    def _open(self) -> Any:
        if self._session is None:
            http = self._aiohttp
            self._session = http.ClientSession(
                connector=http.TCPConnector(
                    limit=MOST_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, ssl=self._trust or True
                ),
                cookie_jar=http.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                max_line_size=LONGEST_HEADER,
                max_field_size=LONGEST_HEADER,
                read_bufsize=CHUNK,
            )
        return self._session

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: Content | None, timeout_s: float,
        stall_s: float | None = None,
    ) -> Any:  # fmt: skip
        from yarl import URL

        sent = {name: value for name, value in headers.items() if name != "host"}  # the address says it
        return self._open().request(
            method, URL(self._url + path, encoded=True), headers=sent, data=body or None, allow_redirects=False,
            timeout=self._aiohttp.ClientTimeout(total=timeout_s, sock_read=stall_s),
        )  # fmt: skip

    async def send(self, method: str, path: str, headers: dict[str, str], body: Content, timeout_s: float) -> Answer:
        with self._said_plainly():
            async with self._ask(method, path, headers, body, timeout_s) as response:
                return Answer(response.status, _lowered(response.headers), await response.read())

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: dict[str, str], timeout_s: float
    ) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        with self._said_plainly():
            response = await self._ask(method, path, headers, None, timeout_s, STALL_S)
        try:
            yield response.status, _lowered(response.headers), self._chunks(response)
        finally:
            response.close()

    async def _chunks(self, response: Any) -> AsyncIterator[bytes]:
        with self._said_plainly():
            async for chunk in response.content.iter_any():
                yield chunk

    @contextlib.contextmanager
    def _said_plainly(self) -> Iterator[None]:
        """The library's own errors as those that everybody knows; its time-outs are TimeoutErrors already."""
        try:
            yield
        except self._aiohttp.ClientError as error:
            if isinstance(error, OSError | TimeoutError):
                raise
            raise ConnectionError(repr(error)) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
