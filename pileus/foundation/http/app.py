"""One service as an ASGI application: from the bytes of a request to a handler and back.

The order is always the same: version, token, route, policy, body, handler. Every answer, an error too, passes
`_finish`, which is the only place that adds the headers all answers have.
"""

import base64
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from pileus.foundation import errors, trace
from pileus.foundation.context import NOBODY, Caller, Context
from pileus.foundation.http.hosts import HostRule, refuse
from pileus.foundation.http.request import Request, Response
from pileus.foundation.http.route import Node, Route, Router, parameters
from pileus.foundation.http.versions import Microversions, VersionOutOfRange, as_text
from pileus.foundation.policy import Policy
from pileus.foundation.runtime import Runtime

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("pileus.http")

MAX_DEPTH = 64
SLOW_S = 1.0


class NoRoute(errors.NotFound):
    """No operation at this path, or not with this method or in this version."""

    code = "route.none"


class WrongMethod(errors.MethodNotAllowed):
    """The path exists, the method does not; `allowed` lists those that do."""

    code = "route.method"


class NoSuchAction(errors.BadRequest):
    code, message = "route.action", "There is no such action: {action}"


class MalformedBody(errors.BadRequest):
    code, message = "body.malformed", "Malformed request body"


class BodyTooLarge(errors.TooLarge):
    code, message = "body.too-large", "Request is too large: at most {limit} bytes are accepted here."


class Authenticator(Protocol):
    """Tells who a request's tokens belong to."""

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        """Raises: Unauthorized (401) for a missing, unknown, expired or revoked token."""
        ...


Dresser = Callable[[errors.Error, Request[Any]], Response]


@dataclass(frozen=True)
class Api:
    """What a service is on the wire: its operations as a table, and its habits."""

    name: str
    routes: Sequence[Route]
    dress: Dresser  # an error in the shape this service's clients expect
    microversions: Microversions | None = None
    id_headers: tuple[str, ...] = ("x-openstack-request-id",)
    vary: tuple[str, ...] = ()
    project_segment: bool = False  # /v2.1/{project_id}/servers is /v2.1/servers
    head_for_get: bool = False
    max_body: int = 262_144
    hosts: Mapping[str, HostRule] = field(default_factory=dict)  # what hypervisor hosts may ask, by the routes' `op`
    headers: tuple[tuple[str, str], ...] = field(default=())


class Observer(Protocol):
    """Hears of every answer: metrics and logs."""

    def __call__(self, service: str, route: Route | None, status: int, seconds: float) -> None: ...


class App:
    """An `Api` at work: an ASGI application."""

    def __init__(
        self,
        api: Api,
        service: Any,
        *,
        runtime: Runtime,
        policy: Policy,
        authenticator: Authenticator,
        durable: Callable[[], Awaitable[None]],
        public_url: str = "",
        observe: Observer | None = None,
    ):
        self.api = api
        self.service = service
        self.runtime = runtime
        self.policy = policy
        self.router = Router(api.routes)
        self._authenticator = authenticator
        self._durable = durable
        self._public_url = public_url.rstrip("/")
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self.runtime.monotonic()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        request: Request[Any] = Request(
            scope["method"], path, scope["query_string"].decode("latin-1"), headers, self._base_url(scope, headers)
        )
        request.app = self
        request.service = self.service
        request.context = Context(f"req-{self.runtime.uuid()}", global_request_id=_global_id(headers))
        request.context.started = self.runtime.now()
        self.runtime.reached("request.before", self.api.name, request.method, path)
        response = await self._answer(request, receive)
        self.runtime.reached("answer.before", self.api.name, request.method, path, request.context.caller.user_name)
        if 200 <= response.status < 300 and request.method not in ("GET", "HEAD") and "pileus.inside" not in scope:
            try:
                await self._durable()
            except errors.Error as error:
                response = self._dress(error, request)
        self._finish(request, response)
        await _send(response, request.method == "HEAD", send, self.runtime)
        if self._observe is not None:
            route = getattr(request, "route", None)
            self._observe(self.api.name, route, response.status, self.runtime.monotonic() - started)

    # -- the way of a request -----------------------------------------------------------------------------
    async def _answer(self, request: Request[Any], receive: Receive) -> Response:
        try:
            if self.api.microversions is not None:
                request.version = self.api.microversions.negotiate(request.headers)
            node, values = await self._locate(request)
            route, body_read = await self._choose(request, node, values, receive)
            request.route = route
            request.params.update(parameters(node, route, values))
            if route.upload:
                request.stream = lambda: _stream(receive)
            elif not body_read:
                await self._read_body(request, route, receive)
            if request.context.caller.host:
                await self._admit_host(request, route)
            if route.policy and not route.late:
                request.authorize(_own(request.context))
            if route.query is not None:
                route.query.validate(request.query, request.version)
            if route.body is not None:
                route.body.validate(request.body, request.version)
            response = await route.handler(request)
            if route.late and not request.authorized and response.status < 300:
                raise AssertionError(f"{route.op} answered without asking policy")
            return response
        except errors.Error as error:
            return self._dress(error, request)
        except Exception as failure:
            log.exception("unexpected failure", extra={"request_id": request.context.request_id})
            return self._dress(_unexpected(failure), request)

    async def _locate(self, request: Request[Any]) -> tuple[Node, list[str]]:
        """Find the place of the path; who has no right to be here learns nothing of it."""
        found = self.router.find(request.path)
        if found is None and self.api.project_segment:
            found = self._without_project(request)
        if found is None:
            await self._authenticate(request)
            raise NoRoute()
        node, _ = found
        if not _is_public(node, request.method):
            await self._authenticate(request)
            project = request.params.get("project_id")
            if project is not None and project != request.context.project_id and not request.context.is_service:
                raise errors.BadRequest(
                    f"Malformed request URL: URL's project_id '{project}' doesn't match "
                    f"Context's project_id '{request.context.project_id}'"
                )
        return found

    def _without_project(self, request: Request[Any]) -> tuple[Node, list[str]] | None:
        parts = request.path.split("/", 3)
        if len(parts) < 4 or not parts[2] or not all(c in "0123456789abcdefABCDEF-" for c in parts[2]):
            return None
        found = self.router.find(f"/{parts[1]}/{parts[3]}")
        if found is not None:
            request.params["project_id"] = parts[2]
        return found

    async def _authenticate(self, request: Request[Any]) -> None:
        context = request.context
        context.caller = NOBODY
        context.caller = await self._authenticator.authenticate(request.headers, context)

    async def _admit_host(self, request: Request[Any], route: Route) -> None:
        """Raises: NotForThisHost (403)."""
        caller = request.context.caller
        rule = self.api.hosts.get(route.op)
        if rule is None:
            raise refuse(request, caller.host)
        await rule(request, caller.host)
        if caller.is_host:
            request.context.caller = caller.with_role("admin")

    async def _choose(
        self, request: Request[Any], node: Node, values: list[str], receive: Receive
    ) -> tuple[Route, bool]:
        """The route for the method, the version and, for an action, the body's key."""
        method = request.method
        if method == "HEAD" and self.api.head_for_get and "HEAD" not in node.routes:
            method = "GET"
        routes = node.routes.get(method)
        if routes is None:
            raise WrongMethod(allowed=node.methods())
        fitting = [route for route in routes if route.first <= request.version <= route.last]
        if not fitting:
            raise NoRoute()
        if not fitting[0].action:
            return fitting[0], False
        await self._read_body(request, fitting[0], receive)
        for route in fitting:
            if isinstance(request.body, dict) and route.action in request.body:
                return route, True
        if not isinstance(request.body, dict) or len(request.body) != 1:
            raise MalformedBody()
        raise NoSuchAction(action=next(iter(request.body)))

    async def _read_body(self, request: Request[Any], route: Route, receive: Receive) -> None:
        if request.method in ("GET", "HEAD"):
            return
        raw = await _read(receive, request.headers, route.max_body or self.api.max_body)
        if not raw:
            if route.body is not None or route.action:
                raise MalformedBody()
            return
        media = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
        if media not in route.media and media != "text/plain":
            raise errors.UnsupportedMedia(accepted=route.media)
        try:
            if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
                _check_depth(raw)
            request.body = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise MalformedBody(log=str(error)) from error

    # -- the way back -------------------------------------------------------------------------------------
    def _dress(self, error: errors.Error, request: Request[Any]) -> Response:
        if error.status >= 500 and error.log:
            log.error("%s: %s", error.text, error.log, extra={"request_id": request.context.request_id})
        return self.api.dress(error, request)

    def _finish(self, request: Request[Any], response: Response) -> None:
        add = response.headers.append
        for name in self.api.id_headers:
            add((name, request.context.request_id))
        for header in self.api.headers:
            add(header)
        versions = self.api.microversions
        if versions is not None:
            self._echo_version(request, response, versions)
        for name in self.api.vary:
            add(("vary", name))
        if request.context.is_service and request.context.trace.events and "x-pileus-trace" in request.headers:
            add(("x-pileus-trace", base64.b64encode(trace.encode(request.context.trace.events)).decode()))

    def _echo_version(self, request: Request[Any], response: Response, versions: Microversions) -> None:
        text = as_text(request.version)
        if request.version == (0, 0):  # refused: a 406 names what was asked for, a 400 nothing
            if response.status != VersionOutOfRange.status:
                return
            text = versions._asked(request.headers) or ""
        response.headers.append(("openstack-api-version", f"{versions.type} {text}"))
        if versions.legacy_header:
            response.headers.append((versions.legacy_header, text))

    def _base_url(self, scope: Scope, headers: Mapping[str, str]) -> str:
        if self._public_url:
            return self._public_url
        scheme = headers.get("x-forwarded-proto", scope.get("scheme", "http"))
        host = headers.get("x-forwarded-host", headers.get("host", "localhost"))
        return f"{scheme}://{host}{scope.get('root_path', '')}"


def _own(context: Context) -> dict[str, Any]:
    return {
        "project_id": context.project_id or None,
        "tenant_id": context.project_id or None,
        "user_id": context.user_id,
        "domain_id": context.domain_id or None,
    }


def _is_public(node: Node, method: str) -> bool:
    routes = node.routes.get(method) or (node.routes.get("GET") if method == "HEAD" else None)
    return routes is not None and routes[0].policy is None


def _global_id(headers: Mapping[str, str]) -> str:
    value = headers.get("x-openstack-request-id", "")
    return value if value.startswith("req-") and len(value) == 40 else ""


def _unexpected(failure: Exception) -> errors.Error:
    if isinstance(failure, OSError) and failure.errno in errors.FULL:
        return errors.DiskFull(log=repr(failure))
    error = errors.Error(log=repr(failure))
    error.code = f"unexpected.{type(failure).__name__}"
    return error


async def _read(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise BodyTooLarge(limit=limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise BodyTooLarge(limit=limit)
        body = b"".join(chunks)
    if len(body) > limit:
        raise BodyTooLarge(limit=limit)
    return body


class Disconnected(errors.BadRequest):
    code, message = "body.cut", "The client went away before the whole body had arrived."


async def _stream(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected()
        if message.get("body"):
            yield message["body"]
        more = message.get("more_body", False)


def _check_depth(raw: bytes) -> None:
    """Refuse a document nested deeper than anything the API has, before it costs stack."""
    depth, in_string, escaped = 0, False, False
    for byte in raw:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedBody(log="nested too deep")
        elif byte in b"]}":
            depth -= 1


async def _send(response: Response, bodyless: bool, send: Send, runtime: Runtime) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers]
    if response.stream is None and response.file is None:
        if response.status != 204:
            headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if bodyless else response.body})
        return
    chunks = response.stream if response.stream is not None else _file_chunks(response, runtime)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not bodyless:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


CHUNK = 1 << 20


async def _file_chunks(response: Response, runtime: Runtime) -> AsyncIterator[bytes]:
    assert response.file is not None
    path, first, count = response.file
    with path.open("rb") as source:
        source.seek(first)
        while count > 0:
            chunk = await runtime.in_thread(source.read, min(CHUNK, count), pool="files")
            if not chunk:
                raise OSError(f"{path} ended {count} bytes early")
            count -= len(chunk)
            yield chunk
