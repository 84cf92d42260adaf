"""A network service by itself, with callers made up for the test: each token names one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pileus.foundation.bus import Broker, Bus
from pileus.foundation.context import Caller, Context
from pileus.foundation.errors import Unauthorized
from pileus.foundation.http.app import App
from pileus.foundation.http.client import Answer, InProcess, Peer
from pileus.foundation.policy import Policy
from pileus.foundation.runtime import Runtime
from pileus.network.api.policies import POLICIES
from pileus.network.api.routes import API
from pileus.network.app.bus import serve
from pileus.network.app.service import NetworkService, NetworkSettings, network_service
from pileus.network.store.tables import SCHEMA
from tests.databases import database_at

ROLES = {
    "admin": {"admin", "manager", "member", "reader"},
    "manager": {"manager", "member", "reader"},
    "member": {"member", "reader"},
    "reader": {"reader"},
    "service": {"admin", "service", "manager", "member", "reader"},
    "nobody": set(),
}


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
            token=f"{role}@{name}",
            service_roles=frozenset({"service"}) if service.startswith("service") else frozenset(),
        )


class NetworkCloud:
    """The service, its bus, and a client that speaks to it without a socket."""

    def __init__(self, service: NetworkService, app: App, broker: Broker, runtime: Runtime):
        self.service = service
        self.app = app
        self.broker = broker
        self.runtime = runtime
        self._peer = Peer("network", InProcess(app, runtime), runtime)

    async def ask(self, method: str, path: str, body: Any = None, *, as_: str = "member@red", **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._peer.request(method, path, body=body, token=as_, headers=sent)

    async def get(self, path: str, *, as_: str = "member@red", expect: int = 200) -> Any:
        return self._checked(await self.ask("GET", f"/v2.0{path}", as_=as_), expect)

    async def post(self, path: str, body: Any, *, as_: str = "member@red", expect: int = 201, **headers: str) -> Any:
        return self._checked(await self.ask("POST", f"/v2.0{path}", body, as_=as_, **headers), expect)

    async def put(self, path: str, body: Any, *, as_: str = "member@red", expect: int = 200, **headers: str) -> Any:
        return self._checked(await self.ask("PUT", f"/v2.0{path}", body, as_=as_, **headers), expect)

    async def delete(self, path: str, *, as_: str = "member@red", expect: int = 204, **headers: str) -> Any:
        return self._checked(await self.ask("DELETE", f"/v2.0{path}", as_=as_, **headers), expect)

    def _checked(self, answer: Answer, expect: int) -> Any:
        assert answer.status == expect, f"{answer.status}: {answer.body.decode()}"
        return answer.json() if answer.body else None

    # -- short ways -------------------------------------------------------------------------------------------
    async def network(self, *, as_: str = "member@red", **fields: Any) -> Any:
        return (await self.post("/networks", {"network": fields}, as_=as_))["network"]

    async def subnet(self, network: Any, cidr: str = "10.1.0.0/24", *, as_: str = "member@red", **fields: Any) -> Any:
        body = {"network_id": network["id"], "cidr": cidr, "ip_version": 6 if ":" in cidr else 4, **fields}
        return (await self.post("/subnets", {"subnet": body}, as_=as_))["subnet"]

    async def port(self, network: Any, *, as_: str = "member@red", expect: int = 201, **fields: Any) -> Any:
        found = await self.post("/ports", {"port": {"network_id": network["id"], **fields}}, as_=as_, expect=expect)
        return found.get("port", found)

    async def external(self, cidr: str = "203.0.113.0/24") -> tuple[Any, Any]:
        """An external network with its subnet."""
        fields = {"router:external": True, "provider:network_type": "flat", "provider:physical_network": "public"}
        network = await self.network(as_="admin@ops", name="public", **fields)
        return network, await self.subnet(network, cidr, as_="admin@ops", enable_dhcp=False)


@asynccontextmanager
async def network_cloud(
    directory: Path, settings: NetworkSettings | None = None, policies: Mapping[str, str] | None = None
) -> AsyncIterator[NetworkCloud]:
    """A fresh service in `directory`."""
    runtime = Runtime("network-test")
    database = database_at(directory / "network.sqlite", runtime)
    await database.migrate(SCHEMA)
    broker = Broker()
    service = network_service(database, runtime, Bus(broker, runtime), settings)
    serve(service)
    policy = Policy(POLICIES, policies)
    policy.require({route.policy for route in API.routes if route.policy})
    app = App(API, service, runtime=runtime, policy=policy, authenticator=MadeUp(), durable=database.durable)
    try:
        yield NetworkCloud(service, app, broker, runtime)
    finally:
        await asyncio.sleep(0)
        await database.close()
        await runtime.stop()


def play(
    directory: Path,
    story: Callable[[NetworkCloud], Awaitable[None]],
    settings: NetworkSettings | None = None,
    policies: Mapping[str, str] | None = None,
) -> None:
    """Run a story on a fresh service."""

    async def go() -> None:
        async with network_cloud(directory, settings, policies) as cloud:
            await story(cloud)

    asyncio.run(go())


def fault(answer: Any) -> tuple[str, str]:
    """Type and message of an error, whose shape is checked."""
    assert set(answer) == {"NeutronError"}
    error = answer["NeutronError"]
    assert set(error) == {"type", "message", "detail"}
    return error["type"], error["message"]
