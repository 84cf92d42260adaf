"""The image service alone, behind its HTTP application, with callers made of nothing but a token."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.context import Caller, Context
from pileus.foundation.errors import Unauthorized
from pileus.foundation.http.app import App
from pileus.foundation.policy import Policy
from pileus.foundation.runtime import Runtime
from pileus.image.api.policy import RULES
from pileus.image.api.routes import API
from pileus.image.app.starting import build, start
from pileus.image.domain.image import Limits
from pileus.image.drivers.base import ImageStore
from pileus.image.drivers.memory import MemoryStore
from pileus.image.service import ImageSettings
from pileus.image.store.tables import SCHEMA
from tests.databases import database_at

ROLES = {"reader": ("reader",), "member": ("member", "reader"), "admin": ("admin", "manager", "member", "reader")}


def caller(token: str) -> Caller:
    """ "alice:member" is a member of the project "alice"; "alice:reader" only reads there."""
    project, _, role = token.partition(":")
    return Caller(user_id=f"user-{token}", project_id=project, roles=frozenset(ROLES[role]), token=token)


class ByToken:
    """Believes a token that says who it is."""

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        token = headers.get("x-auth-token", "")
        if token.partition(":")[2] not in ROLES:
            raise Unauthorized()
        return caller(token)


class Answer:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes):
        self.status = status
        self.headers = dict(headers)
        self.body = body

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        """What an error says."""
        return str(self.json["message"]).removesuffix("<br /><br />\n\n\n")


class ImageCloud:
    """Starts empty; `alice`, `bob` and `root` are projects."""

    def __init__(self, directory: Path, limits: Limits | None = None, store: ImageStore | None = None, **settings: Any):
        self.runtime = Runtime("image")
        self.database = database_at(directory / "image.sqlite", self.runtime)
        self.store = store or MemoryStore(self.runtime)
        self.settings = ImageSettings(limits=limits or Limits(), **settings)
        self.service = build(self.database, self.store, self.runtime, self.settings)
        self.app = App(
            API, self.service, runtime=self.runtime, policy=Policy(RULES), authenticator=ByToken(),
            durable=self.database.durable,
        )  # fmt: skip

    async def __aenter__(self) -> "ImageCloud":
        await self.database.migrate(SCHEMA)
        await start(self.service)
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.settled()
        await self.database.close()
        await self.runtime.stop()

    async def settled(self) -> None:
        """Wait until no import is under way."""
        assert self.service.imports is not None
        while await self.service.imports.journal.all_open():
            await asyncio.sleep(0)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "alice:member",
        headers: Mapping[str, str] | None = None,
        chunks: AsyncIterator[bytes] | None = None,
    ) -> Answer:
        """One request; `body` is JSON, or bytes as they are; `chunks` stream in one by one."""
        sent = {"host": "cloud.example:8800", "accept": "application/json"}
        if token:
            sent["x-auth-token"] = token
        raw = b""
        if body is not None:
            raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
            sent["content-type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
            sent["content-length"] = str(len(raw))
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value}
        plain, _, query = path.partition("?")
        scope = {
            "type": "http", "method": method, "path": plain, "query_string": query.encode(), "scheme": "http",
            "root_path": "/image", "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }  # fmt: skip
        incoming = _messages(raw, chunks)
        got: dict[str, Any] = {"body": b""}

        async def send(message: dict[str, Any]) -> None:
            got["body"] += message.get("body", b"")
            got.update({name: message[name] for name in ("status", "headers") if name in message})

        await self.app(scope, lambda: anext(incoming), send)
        decoded = [(name.decode(), value.decode()) for name, value in got["headers"]]
        return Answer(got["status"], decoded, got["body"])

    async def create(self, *, token: str = "alice:member", **attributes: Any) -> Any:
        """A queued image, as it was answered."""
        answer = await self.call("POST", "/v2/images", attributes, token=token)
        assert answer.status == 201, answer.body
        return answer.json

    async def upload(self, image_id: str, data: bytes, *, token: str = "alice:member") -> Answer:
        return await self.call("PUT", f"/v2/images/{image_id}/file", data, token=token)

    async def active(self, data: bytes = b"\x5a" * 4096, *, token: str = "alice:member", **attributes: Any) -> str:
        """The id of an image that has its bytes."""
        attributes = {"disk_format": "raw", "container_format": "bare", **attributes}
        image = await self.create(token=token, **attributes)
        answer = await self.upload(image["id"], data, token=token)
        assert answer.status == 204, answer.body
        return str(image["id"])

    async def show(self, image_id: str, *, token: str = "alice:member") -> Any:
        answer = await self.call("GET", f"/v2/images/{image_id}", token=token)
        assert answer.status == 200, answer.body
        return answer.json

    async def patch(self, image_id: str, *operations: Any, token: str = "alice:member", old: bool = False) -> Answer:
        media = f"application/openstack-images-v2.{0 if old else 1}-json-patch"
        headers = {"content-type": media}
        return await self.call("PATCH", f"/v2/images/{image_id}", list(operations), token=token, headers=headers)


async def _messages(raw: bytes, chunks: AsyncIterator[bytes] | None) -> AsyncIterator[dict[str, Any]]:
    if chunks is not None:
        async for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
    yield {"type": "http.request", "body": raw, "more_body": False}
    while True:
        yield {"type": "http.disconnect"}


def story(directory: Path, work: Any, **options: Any) -> Any:
    """Run `work(cloud)` on a cloud of its own and return what it returns."""

    async def run() -> Any:
        async with ImageCloud(directory, **options) as cloud:
            return await work(cloud)

    return asyncio.run(run())
