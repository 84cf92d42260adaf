"""A small blocking client for the command line: one request at a time, over TCP or a socket file."""

import http.client
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pileus.foundation.errors import Unavailable
from pileus.foundation.http.client import Answer


class Unreachable(Unavailable):
    code = "client.unreachable"
    message = "Nothing answers at {where}. Is the cloud up? Start it with 'pileus up'."


class _FileConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float):
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class PlainClient:
    """`where` is a base URL or the path of a socket file; `authority` a file with whose certificates are believed."""

    def __init__(self, where: str | Path, timeout_s: float = 60.0, *, authority: str = ""):
        self._where = where
        self._timeout_s = timeout_s
        self._authority = authority

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        chunks: Iterator[bytes] | None = None,
    ) -> Answer:
        """Raises: Unreachable."""
        sent = dict(headers or {})
        raw: Any = chunks
        if body is not None:
            raw = msgspec.json.encode(body)
            sent.setdefault("content-type", "application/json")
        connection, prefix = self._connection()
        try:
            connection.request(method, prefix + path, raw, sent, encode_chunked=chunks is not None)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        except (OSError, http.client.HTTPException) as error:  # an answer that breaks off, too
            raise Unreachable(where=self._where) from error
        finally:
            connection.close()

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        if isinstance(self._where, Path):
            return _FileConnection(self._where, self._timeout_s), ""
        parts = urlsplit(self._where)
        host, path = parts.hostname or "localhost", parts.path.rstrip("/")
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, parts.port, timeout=self._timeout_s), path
        import ssl

        trust = ssl.create_default_context(cafile=self._authority or None)
        return http.client.HTTPSConnection(host, parts.port, timeout=self._timeout_s, context=trust), path
