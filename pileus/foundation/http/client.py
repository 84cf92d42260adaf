"""How one service asks another: over its public REST API, encoded bytes in, bytes out.

In one process the call goes straight into the other ASGI application, without a socket but with every check.
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from pileus.foundation import errors, trace
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.request import encode_json
from pileus.foundation.runtime import Runtime
from pileus.foundation.trace import Event, Trace

RETRY_AFTER_S = (0.05, 0.2, 0.5)
RIGHTS_ENDED = (
    "The rights that this was asked with have ended: the user, the project or the role was disabled or removed, or the "
    "password was changed. Ask again as a user who has the rights."
)


class Answer:
    """Status, headers (lower-case names) and body of an answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


Content = bytes | AsyncIterator[bytes]


class Transport(Protocol):
    """Carries one request to a service. `path` begins at the service's root."""

    async def send(
        self, method: str, path: str, headers: dict[str, str], body: Content, timeout_s: float
    ) -> Answer: ...

    def stream(
        self, method: str, path: str, headers: dict[str, str], timeout_s: float
    ) -> contextlib.AbstractAsyncContextManager[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]: ...


_KINDS: dict[int, type[errors.Error]] = {
    400: errors.BadRequest, 401: errors.Unauthorized, 403: errors.Forbidden, 404: errors.NotFound,
    409: errors.Conflict, 410: errors.Gone, 412: errors.PreconditionFailed, 413: errors.OverQuota,
    415: errors.UnsupportedMedia, 501: errors.NotSupported, 503: errors.Unavailable,
}  # fmt: skip


def refusal(answer: Answer, service: str) -> errors.Error:
    """The error that an answer stands for, with the peer's own words; `facts` tell service, status and type."""
    text, kind_name = _words(answer)
    if answer.status == 401:  # "log in" is no answer to work that goes on after the login was accepted
        text = RIGHTS_ENDED
    kind = _KINDS.get(answer.status, errors.Unavailable if answer.status >= 500 else errors.Error)
    error = kind(text or f"The {service} service answered {answer.status}.", service=service, type=kind_name)
    error.code = f"peer.{service}.{kind_name or answer.status}"
    return error


def _words(answer: Answer) -> tuple[str, str]:
    try:
        document = answer.json()
    except msgspec.DecodeError:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    if document.get("errors"):
        first = document["errors"][0]
        return str(first.get("detail", "")), str(first.get("code", ""))
    inner = next((value for value in document.values() if isinstance(value, dict)), document)
    text = str(inner.get("message", "")).removesuffix("\n\n\n").removesuffix("<br /><br />")  # as images end theirs
    return text, str(inner.get("type", "") or next(iter(document), ""))


class Peer:
    """One other service, as seen by one caller."""

    def __init__(self, name: str, transport: Transport, runtime: Runtime, *, source: str = ""):
        self.name = name
        self._transport = transport
        self._runtime = runtime
        self._source = source  # the part that calls, for the trace

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        token: str = "",
        service_token: str = "",
        authority: Authority | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        record: Trace | None = None,
        steps: tuple[int, int, int] = (0, 0, 0),
        sub: str = "",
        describe: Callable[[Answer], dict[str, object]] | None = None,
    ) -> Answer:
        """Send one request and return its answer, whatever its status.

        `authority` has the tokens fetched; when they are refused, a service's own may have ended before its time, and
        the request is sent once more with a new one. With `record`, the call, the callee's validation of the token and
        the answer become events numbered `steps`; `describe` tells what of the answer is worth showing. Raises:
        Unavailable when nobody answered in time.
        """
        if query:
            path = f"{path}?{urlencode(query, doseq=True)}"
        raw: Content = b""
        more = dict(headers or {})
        if isinstance(body, AsyncIterator):
            raw = body
            more.setdefault("content-type", "application/octet-stream")
        elif body is not None:
            raw = body if isinstance(body, bytes) else encode_json(body)
            more.setdefault("content-type", "application/json")
        for is_last in (False, True):
            if authority is not None:
                token, service_token = await authority.tokens()
            sent = self._headers(token, service_token, more, record is not None)
            started = self._runtime.now()
            answer = await self._once(method, path, sent, raw, timeout_s)
            if answer.status != 401 or authority is None or is_last or not isinstance(raw, bytes):
                break
            authority.forget(token, service_token)
        if record is not None:
            self._record(record, answer, method, path, started, steps, sub, describe)
        return answer

    async def _once(self, method: str, path: str, sent: dict[str, str], raw: Content, timeout_s: float) -> Answer:
        self._runtime.check()
        self._runtime.reached("peer.before", self.name, method, path)
        try:  # not `_answering`: most requests of a cloud in one process pass here
            answer = await self._transport.send(method, path, sent, raw, timeout_s)
        except (TimeoutError, OSError) as error:
            raise self._silent(error) from error
        self._runtime.check()
        self._runtime.reached("peer.after", self.name, method, path)
        return answer

    async def ask(self, method: str, path: str, *, expect: tuple[int, ...] = (200,), **options: Any) -> Any:
        """The decoded document of an expected answer; any other answer is raised as the error it stands for."""
        answer = await self.request(method, path, **options)
        if answer.status not in expect:
            raise refusal(answer, self.name)
        return answer.json() if answer.body else None

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, path: str, *, authority: Authority, timeout_s: float = 3600.0
    ) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        """An answer whose body arrives in chunks: `async with peer.stream(...) as (status, headers, chunks)`.

        Raises: Unavailable when nobody answers, or the answer breaks off.
        """
        for is_last in (False, True):
            self._runtime.check()
            tokens = await authority.tokens()
            sent = self._headers(*tokens, {}, False)
            async with contextlib.AsyncExitStack() as stack:
                with self._answering():
                    status, headers, chunks = await stack.enter_async_context(
                        self._transport.stream(method, path, sent, timeout_s)
                    )
                if status != 401 or is_last:
                    yield status, headers, self._guarded(chunks)
                    return
            authority.forget(*tokens)

    async def _guarded(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with self._answering():
            async for chunk in chunks:
                yield chunk

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (TimeoutError, OSError) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> errors.Unavailable:
        return errors.Unavailable(f"The {self.name} service does not answer; try again later.", log=repr(error))

    def _headers(self, token: str, service_token: str, extra: Mapping[str, str], traced: bool) -> dict[str, str]:
        sent = {"host": "localhost", "accept": "application/json, */*"}  # errors as documents, where there is a choice
        if token:
            sent["x-auth-token"] = token
        if service_token:
            sent["x-service-token"] = service_token
        if traced:
            sent["x-pileus-trace"] = "1"
        sent.update(extra)
        return sent

    def _record(
        self,
        record: Trace,
        answer: Answer,
        method: str,
        path: str,
        started: int,
        steps: tuple[int, int, int],
        sub: str,
        describe: Callable[[Answer], dict[str, object]] | None,
    ) -> None:
        ended = self._runtime.now()
        out, check, back = steps
        name = self._runtime.name
        request = {"request": f"{method} {path.split('?')[0]}"}
        record.add(Event(out, self._source, self.name, started, ended - started, sub, process=name, data=request))
        for event in _carried(answer):
            if event.data.get("kind") == "validate":
                event.step, event.sub = check, sub
                record.add(event)
        data: dict[str, object] = {"status": answer.status}
        if describe is not None and answer.status < 300:
            data.update(describe(answer))
        if back:
            request_id = answer.headers.get("x-openstack-request-id", "")
            data["request_id"] = request_id
            record.add(Event(back, self.name, self._source, ended, 0, sub, process=name, data=data))


def _carried(answer: Answer) -> list[Event]:
    raw = answer.headers.get("x-pileus-trace")
    return trace.decode(base64.b64decode(raw)) if raw else []


class InProcess:
    """Straight into another ASGI application of this process: bytes in, bytes out, nothing shared."""

    def __init__(self, app: Callable[..., Any], runtime: Runtime):
        self._app = app
        self._runtime = runtime

    async def send(self, method: str, path: str, headers: dict[str, str], body: Content, timeout_s: float) -> Answer:
        got: dict[str, Any] = {}
        chunks: list[bytes] = []
        receive = _receiver(body)

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                got.update(message)
            elif message["body"]:
                chunks.append(message["body"])

        await self._app(_scope(method, path, headers), receive, send)
        return Answer(got["status"], _decoded(got["headers"]), chunks[0] if len(chunks) == 1 else b"".join(chunks))

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: dict[str, str], timeout_s: float
    ) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        queue: asyncio.Queue[dict[str, Any] | BaseException] = asyncio.Queue(2)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def run() -> None:
            try:
                await self._app(_scope(method, path, headers), receive, queue.put)
            except asyncio.CancelledError:
                raise
            except BaseException as failure:  # handed to who reads: it must not wait for ever
                await queue.put(failure)

        async def next_message() -> dict[str, Any]:
            message = await queue.get()
            if isinstance(message, BaseException):
                raise message
            return message

        async def chunks() -> AsyncIterator[bytes]:
            more = True
            while more:
                message = await next_message()
                if message["body"]:
                    yield message["body"]
                more = message.get("more_body", False)

        task = self._runtime.spawn(run(), f"stream {path}")
        try:
            start = await next_message()
            yield start["status"], _decoded(start["headers"]), chunks()
        finally:
            task.cancel()


def _receiver(body: Content) -> Callable[[], Awaitable[dict[str, Any]]]:
    """What an application reads a request's body from."""
    if isinstance(body, bytes):
        whole = {"type": "http.request", "body": body, "more_body": False}

        async def receive() -> dict[str, Any]:
            return whole

        return receive
    chunks = body

    async def receive_next() -> dict[str, Any]:
        async for chunk in chunks:
            return {"type": "http.request", "body": chunk, "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive_next


def _scope(method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    plain, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": plain,
        "query_string": query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "root_path": "",
        "scheme": "http",
        "pileus.inside": True,
    }


def _decoded(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
