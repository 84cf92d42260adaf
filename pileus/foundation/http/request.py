"""What a handler gets and gives back. Handlers never see ASGI."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import parse_qs, quote

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.errors import BadRequest
from pileus.foundation.http.versions import Version

if TYPE_CHECKING:
    from pileus.foundation.http.app import App
    from pileus.foundation.http.route import Route

S = TypeVar("S")

encode_json = msgspec.json.Encoder().encode
JSON = "application/json"


class Request(Generic[S]):
    """One request for one route. `service` is the wing's own object, given to its `App`."""

    __slots__ = (
        "_query", "action", "app", "authorized", "base_url", "body", "context", "headers", "method", "params", "path",
        "query_string", "route", "service", "stream", "version",
    )  # fmt: skip

    def __init__(self, method: str, path: str, query_string: str, headers: Mapping[str, str], base_url: str):
        self.method = method
        self.path = path
        self.query_string = query_string
        self.headers = headers  # lower-case names
        self.base_url = base_url  # scheme, host and prefix of this service, without a slash at the end
        self.params: dict[str, str] = {}
        self.body: Any = None  # decoded JSON; for a route with an action, the whole body
        self.version: Version = (0, 0)
        self.context: Context
        self.service: S
        self.route: Route
        self.app: App
        self.stream: Callable[[], AsyncIterator[bytes]]
        self.authorized = False
        self._query: dict[str, list[str]] | None = None

    @property
    def query(self) -> dict[str, list[str]]:
        """Every value of every query parameter, in order."""
        if self._query is None:
            self._query = parse_qs(self.query_string, keep_blank_values=True) if self.query_string else {}
        return self._query

    def first(self, name: str, default: str | None = None) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def count(self, name: str) -> int:
        """The last value of a query parameter that counts something, 0 without one. Raises: BadRequest (400)."""
        values = self.query.get(name)
        if not values:
            return 0
        if not values[-1].isdecimal() or not values[-1].isascii():
            raise BadRequest(f"Invalid input for query parameters {name}. Value: {values[-1]!r} is not a number.")
        return int(values[-1])

    def authorize(self, target: Mapping[str, Any], rule: str = "") -> None:
        """Ask policy about `target` under the route's rule, or a further one; raises Forbidden (403)."""
        self.authorized = True
        self.app.policy.check(rule or self.route.policy or "", self.context, target)

    def may(self, rule: str, target: Mapping[str, Any]) -> bool:
        """Whether policy allows `rule` on `target`: for fields and options of an answer."""
        return self.app.policy.allows(rule, self.context.credentials(), target)

    def href(self, path: str) -> str:
        """The full address of a path of this service."""
        return self.base_url + quote(path, safe="/:?&=%~,")


class Response:
    """An answer: bytes, a stream of chunks, or a range of a file."""

    __slots__ = ("body", "file", "headers", "status", "stream")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
        content_type: str = "",
        stream: AsyncIterator[bytes] | None = None,
        file: tuple[Path, int, int] | None = None,  # path, first byte, number of bytes
    ):
        self.status = status
        self.body = body
        self.headers = headers if headers is not None else []
        if content_type:
            self.headers.append(("content-type", content_type))
        self.stream = stream
        self.file = file


def answer(document: Any, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
    """An answer with a JSON document; `msgspec.Raw` parts are taken as they are."""
    return Response(status, encode_json(document), headers, JSON)


def empty(status: int = 204, headers: list[tuple[str, str]] | None = None) -> Response:
    return Response(status, b"", headers)
