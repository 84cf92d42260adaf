"""Block storage by itself, with callers, images and servers made up for the test: each token names a caller."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.bus import Broker, Bus
from pileus.foundation.context import Caller, Context
from pileus.foundation.errors import Forbidden, Unauthorized
from pileus.foundation.http.app import App
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import Answer, InProcess, Peer
from pileus.foundation.policy import Policy
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.volume.api.policies import POLICIES
from pileus.volume.api.routes import API
from pileus.volume.app.assembly import assemble, start
from pileus.volume.domain.errors import ImageNotFound
from pileus.volume.domain.image import Image
from pileus.volume.drivers.base import VolumeBackend
from pileus.volume.drivers.fake import FakeBackend
from pileus.volume.host.agent import Agent
from pileus.volume.host.services import HostServices
from pileus.volume.service import VolumeService, VolumeSettings
from pileus.volume.store.tables import SCHEMA
from tests.conftest import Run
from tests.databases import database_at
from tests.own_token import FixedToken

ROLES = {
    "admin": {"admin", "manager", "member", "reader"},
    "member": {"member", "reader"},
    "reader": {"reader"},
    "service": {"service"},
    "nobody": set(),
}
LATEST = "volume 3.71"


def project(name: str) -> str:
    """The id of a project of the test: 32 hex digits that begin with its name's."""
    return (name.encode().hex() + "0" * 32)[:32]


class MadeUp:
    """Callers by token: "member@red" is a member of project red; "service" has a project of its own."""

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        role, at, name = headers.get("x-auth-token", "").partition("@")
        if role not in ROLES:
            raise Unauthorized()
        service = headers.get("x-service-token", "")
        return Caller(
            user_id=f"user-{role}-{name}",
            user_name=role,
            project_id=project(name or "service") if at or role == "service" else "",
            roles=frozenset(ROLES[role]),
            token=headers["x-auth-token"],
            service_roles=frozenset({"service"}) if service.startswith("service") else frozenset(),
        )


class MadeUpImages:
    """The image service as the test filled it; `tokens` are those that asked for data."""

    def __init__(self) -> None:
        self.images: dict[str, tuple[Image, bytes]] = {}
        self.tokens: list[str] = []
        self.is_forbidden = False

    def add(self, image_id: str, data: bytes, **facts: Any) -> Image:
        told: dict[str, Any] = {
            "id": image_id, "name": "cirros", "status": "active", "size_bytes": len(data),
            "virtual_size_bytes": len(data), "disk_format": "raw", "container_format": "bare", "min_disk_gib": 0,
            "min_ram_mib": 0, "checksum": "", "hash_algo": "sha512", "hash_value": hashlib.sha512(data).hexdigest(),
            "properties": {"hw_disk_bus": "virtio"},
        }  # fmt: skip
        image = Image(**{**told, **facts})
        self.images[image_id] = (image, data)
        return image

    async def get(self, image_id: str, authority: Authority) -> Image:
        if image_id not in self.images:
            raise ImageNotFound(image_id=image_id)
        return self.images[image_id][0]

    @asynccontextmanager
    async def data(self, image_id: str, authority: Authority) -> AsyncIterator[AsyncIterator[bytes]]:
        self.tokens.append(authority.user_token)
        if self.is_forbidden:
            raise Forbidden()
        data = self.images[image_id][1]

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(data), 65536):
                yield data[at : at + 65536]

        yield chunks()


class MadeUpServers:
    """Compute as the test filled it: which server has which attachment."""

    def __init__(self) -> None:
        self.held: set[tuple[str, str]] = set()
        self.told: list[tuple[str, str]] = []

    async def has_attachment(self, server_id: str, volume_id: str, attachment_id: str, authority: Authority) -> bool:
        return (server_id, attachment_id) in self.held

    async def volume_extended(self, server_id: str, volume_id: str, authority: Authority) -> None:
        self.told.append((server_id, volume_id))


own_token = FixedToken("service")


class VolumeCloud:
    """The service, its back end, and a client that speaks to it without a socket."""

    def __init__(self, service: VolumeService, app: App, broker: Broker, runtime: Runtime, backend: VolumeBackend):
        self.service = service
        self.app = app
        self.broker = broker
        self.runtime = runtime
        self.backend = backend
        self.images: MadeUpImages = service.images  # type: ignore[assignment]
        self.servers: MadeUpServers = service.servers  # type: ignore[assignment]
        self.project = project("red")
        self._peer = Peer("volume", InProcess(app, runtime), runtime)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: str = "member@red",
        version: str = LATEST,
        **headers: str,
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if version:
            sent["openstack-api-version"] = version
        return await self._peer.request(method, path, body=body, token=as_, headers=sent)

    async def get(self, path: str, *, expect: int = 200, **options: Any) -> Any:
        return self._checked(await self.ask("GET", f"/v3{path}", **options), expect)

    async def post(self, path: str, body: Any, *, expect: int = 202, **options: Any) -> Any:
        return self._checked(await self.ask("POST", f"/v3{path}", body, **options), expect)

    async def put(self, path: str, body: Any, *, expect: int = 200, **options: Any) -> Any:
        return self._checked(await self.ask("PUT", f"/v3{path}", body, **options), expect)

    async def delete(self, path: str, *, expect: int = 202, **options: Any) -> Any:
        return self._checked(await self.ask("DELETE", f"/v3{path}", **options), expect)

    async def act(self, volume_id: str, action: str, body: Any = None, *, expect: int = 202, **options: Any) -> Any:
        return await self.post(f"/volumes/{volume_id}/action", {action: body or {}}, expect=expect, **options)

    def _checked(self, answer: Answer, expect: int) -> Any:
        assert answer.status == expect, f"{answer.status}: {answer.body.decode()}"
        return answer.json() if answer.body else None

    # -- short ways -----------------------------------------------------------------------------------------------
    async def begin_volume(self, *, as_: str = "member@red", **fields: Any) -> Any:
        return (await self.post("/volumes", {"volume": {"size": 1, **fields}}, as_=as_))["volume"]

    async def volume(self, *, as_: str = "member@red", **fields: Any) -> Any:
        """A volume that is made, or that could not be."""
        made = await self.begin_volume(as_=as_, **fields)
        return await self.settled(made["id"], as_=as_)

    async def settled(self, volume_id: str, *, as_: str = "member@red") -> Any:
        """The volume once nothing works on it; None when it is gone."""
        while True:
            answer = await self.ask("GET", f"/v3/volumes/{volume_id}", as_=as_)
            if answer.status == 404:
                return None
            volume = answer.json()["volume"]
            if volume["status"] not in ("creating", "downloading", "deleting", "extending"):
                return volume
            await self.runtime.sleep(0.001)

    async def attachment(self, volume_id: str, server_id: str | None, *, as_: str = "member@red", **fields: Any) -> Any:
        body = {"attachment": {"volume_uuid": volume_id, "instance_uuid": server_id, **fields}}
        return (await self.post("/attachments", body, expect=200, as_=as_))["attachment"]


@asynccontextmanager
async def volume_cloud(
    directory: Path,
    settings: VolumeSettings | None = None,
    backend: VolumeBackend | None = None,
    policies: Mapping[str, str] | None = None,
    runtime: Runtime | None = None,
    call_timeout_s: float = 30.0,
) -> AsyncIterator[VolumeCloud]:
    """The service on the state in `directory`, which may be there from before."""
    runtime = runtime or Runtime("volume-test")
    database = database_at(directory / "volume.sqlite", runtime)
    await database.migrate(SCHEMA)
    broker = Broker()
    bus = Bus(broker, runtime)
    images, servers = MadeUpImages(), MadeUpServers()
    service = assemble(
        database=database, runtime=runtime, bus=bus, images=images, servers=servers, sealer=Sealer(b"k" * 32, runtime),  # type: ignore[arg-type]
        service_token=own_token, lease_s=1.0,
        settings=settings or VolumeSettings(backends=("fake",), call_timeout_s=call_timeout_s),
    )  # fmt: skip
    backend = backend or FakeBackend(directory / "volumes", runtime)
    name = service.settings.backends[0]
    agent = Agent(HostServices(name, "here", runtime, Bus(broker, runtime), backend, images, own_token))  # type: ignore[arg-type]
    policy = Policy(POLICIES, policies)
    policy.require({route.policy for route in API.routes if route.policy})
    app = App(API, service, runtime=runtime, policy=policy, authenticator=MadeUp(), durable=database.durable)
    try:
        await agent.start()
        await start(service)
        yield VolumeCloud(service, app, broker, runtime, backend)
    finally:
        if runtime.alive:
            await agent.stop()
            await database.close()
        await runtime.stop()


Story = Callable[[VolumeCloud], Awaitable[Any]]


@pytest.fixture
def tell(run: Run, tmp_path: Path) -> Callable[[Story], Any]:
    """Runs a story against a fresh service, and returns what it returns."""

    def told(story: Story) -> Any:
        async def play() -> Any:
            async with volume_cloud(tmp_path) as cloud:
                return await story(cloud)

        return run(play)

    return told
