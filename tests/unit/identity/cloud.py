"""Identity as a whole, in this process, under a clock that a test moves: the real application, database and rules."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pileus.foundation.http.app import App
from pileus.foundation.http.client import Answer, InProcess
from pileus.foundation.policy import Policy
from pileus.foundation.revocation import Epoch
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.identity.api.policy import RULES
from pileus.identity.api.routes import API
from pileus.identity.app.bootstrap import CatalogEntry, Plan, bootstrap
from pileus.identity.app.service import Identity, build, start, stop
from pileus.identity.app.sessions import LocalAuthenticator
from pileus.identity.app.settings import Settings
from pileus.identity.domain.passwords import Cost
from pileus.identity.domain.token import Keyring
from tests.databases import database_at

T = TypeVar("T")

CHEAP = Cost(passes=1, memory_kib=8)
KEY = bytes(range(32))
ADMIN_PASSWORD = "correct horse"
BASE = "http://cloud.test:8800/identity"
CATALOG = (
    CatalogEntry(type="identity", name="keystone", url="/identity/v3"),
    CatalogEntry(type="compute", name="nova", url="/compute/v2.1"),
    CatalogEntry(type="block-storage", name="cinder", url="/volume/v3/$(project_id)s"),
)
PLAN = Plan(
    admin_password=ADMIN_PASSWORD,
    region="RegionOne",
    catalog=CATALOG,
    accounts={"compute": ("service",), "image": ("service",)},
)


class MovedClock(Runtime):
    """A runtime whose clock only a test moves."""

    def __init__(self) -> None:
        super().__init__("test")
        self.at = 1_800_000_000_000_000

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / 1_000_000

    def pass_time(self, seconds: float) -> None:
        self.at += int(seconds * 1_000_000)


class Cloud:
    """One running identity service, with the tokens of its administrator and a service at hand."""

    def __init__(self, identity: Identity, app: App, clock: MovedClock, keys: Mapping[str, str]):
        self.identity = identity
        self.app = app
        self.clock = clock
        self.keys = keys
        self.transport = InProcess(app, clock)
        self.admin = ""

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """One request; as the administrator unless another token is given, without any when it is empty."""
        sent = {"host": "cloud.test:8800"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if token is None:
            token = self.admin
        if token:
            sent["x-auth-token"] = token
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        if raw:
            sent.setdefault("content-type", "application/json")
        return await self.transport.send(method, path, sent, raw, 30.0)

    async def get(self, path: str, token: str | None = None, **headers: str) -> Any:
        """The document at a path, which must be there."""
        answer = await self.ask("GET", path, token=token, **headers)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json()

    async def make(self, kind: str, **facts: Any) -> dict[str, Any]:
        """Create one thing as the administrator and return it: `make("user", name="ann")`."""
        plural = {"policy": "policies"}.get(kind, f"{kind}s")
        answer = await self.ask("POST", f"/v3/{plural}", {kind: facts})
        assert answer.status == 201, (kind, answer.status, answer.body)
        made: dict[str, Any] = answer.json()[kind]
        return made

    async def log_in(
        self, name: str, password: str, scope: Any = None, *, domain: str = "default", **auth: Any
    ) -> Answer:
        user = {"name": name, "domain": {"id": domain}, "password": password}
        body: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if scope is not None:
            body["scope"] = scope
        return await self.ask("POST", "/v3/auth/tokens", {"auth": body | auth}, token="")

    async def token(self, name: str, password: str, scope: Any = None, **where: Any) -> str:
        answer = await self.log_in(name, password, scope, **where)
        assert answer.status == 201, (name, scope, answer.status, answer.body)
        return answer.headers["x-subject-token"]

    async def service_token(self, name: str = "compute") -> str:
        return await self.token(name, self.keys[name], in_project("service"))

    async def validate(self, subject: str, token: str | None = None, *, query: str = "", **headers: str) -> Answer:
        return await self.ask("GET", f"/v3/auth/tokens{query}", token=token, x_subject_token=subject, **headers)

    async def role_id(self, name: str) -> str:
        found = await self.get(f"/v3/roles?name={name}")
        role_id: str = found["roles"][0]["id"]
        return role_id

    async def member(self, name: str, role: str = "member", **facts: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
        """A project, a user with a role in it, and the user's token there."""
        project = await self.make("project", name=f"{name}-project")
        user = await self.make("user", name=name, password="secret", **facts)
        await self.grant(user["id"], project["id"], role)
        return project, user, await self.token(name, "secret", {"project": {"id": project["id"]}})

    async def grant(self, user_id: str, project_id: str, role: str) -> None:
        path = f"/v3/projects/{project_id}/users/{user_id}/roles/{await self.role_id(role)}"
        answer = await self.ask("PUT", path)
        assert answer.status == 204, answer.body


def in_project(name: str, domain: str = "default") -> dict[str, Any]:
    return {"project": {"name": name, "domain": {"id": domain}}}


async def open_cloud(path: Path, settings: Settings | None = None, keys: Mapping[str, str] | None = None) -> Cloud:
    """Start identity on the database in `path`; a second start on the same path is the same cloud."""
    clock = MovedClock()
    database = database_at(path / "identity.sqlite", clock)
    settings = settings if settings is not None else Settings()
    settings = msgspec.structs.replace(settings, password_cost=CHEAP)
    identity = build(database, clock, Keyring.first(KEY), Epoch(), settings, Sealer(KEY, clock))
    await start(identity)
    found = await bootstrap(identity, msgspec.structs.replace(PLAN, keys=dict(keys or {})))
    app = App(
        API,
        identity,
        runtime=clock,
        policy=Policy(RULES),
        authenticator=LocalAuthenticator(identity),
        durable=database.durable,
        public_url=BASE,
    )
    return Cloud(identity, app, clock, found)


async def close_cloud(cloud: Cloud) -> None:
    await stop(cloud.identity)
    await cloud.identity.database.close()
    await cloud.clock.stop()


def with_cloud(path: Path, work: Callable[[Cloud], Coroutine[Any, Any, T]], settings: Settings | None = None) -> T:
    """Run one scenario on a cloud of its own, its administrator logged in."""

    async def whole() -> T:
        cloud = await open_cloud(path, settings)
        try:
            cloud.admin = await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))
            return await work(cloud)
        finally:
            await close_cloud(cloud)

    return asyncio.run(whole())
