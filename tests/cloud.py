"""A whole cloud for tests: in this process, without a socket, over fakes, in simulated or in real time.

`World` is a state directory with the lives of the cloud on it; `User` is somebody with a token who asks its public API
from outside. A life can end at any moment by `crash`; the next one begins on the same directory.
"""

import asyncio
import contextlib
import os
import random
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from pileus.compute.host.agent import Agent
from pileus.foundation.bus import Broker, Fate
from pileus.foundation.http.client import Answer
from pileus.foundation.runtime import Crashed, Runtime
from pileus.foundation.simulation import SimulatedRuntime
from pileus.settings import embedded
from pileus.wiring.embedded import Cloud
from tests import databases, power

CHEAP = {"passes": 1, "memory_kib": 8, "lanes": 1}
"""Password hashing for tests that are not about it."""
SERVICES = ("identity", "compute", "image", "networking", "volume", "placement", "pileus")
PREFIX = {
    "compute": "/compute/v2.1", "network": "/networking/v2.0", "volume": "/volume/v3", "image": "/image/v2",
    "identity": "/identity/v3", "placement": "/placement", "pileus": "/pileus/v1",
}  # fmt: skip
SEAMS = frozenset({"step", "undo", "journal", "commit"})
"""The seams of flows and transactions; those between processes are played on real ones (`tests/faults`)."""
LOOKED_S = 90.0
"""In which every reconciler has looked once more."""
NEWEST = {"compute": "compute 2.104", "volume": "volume 3.71", "placement": "placement 1.39"}


class Lost(Exception):
    """The cloud died before it answered: whether it took the request, nobody knows."""


class Refused(AssertionError):
    """An answer that the test did not expect."""

    def __init__(self, what: str, answer: Answer):
        super().__init__(f"{what}: {answer.status} {answer.body[:500]!r}")
        self.answer = answer


class Life(SimulatedRuntime):
    """The runtime of one life: tells who waits when it ends, and remembers what was made durable."""

    def __init__(self, name: str, chance: random.Random, boot_id: str):
        super().__init__(name, chance, boot_id)
        self.died = asyncio.Event()
        self.wal: Path | None = None
        self.synced = power.NOTHING

    def crash(self) -> None:
        super().crash()
        self.died.set()

    async def in_thread(self, work: Callable[..., Any], *args: Any, pool: str = "work") -> Any:
        """What a sync covers is what was there when it began, and only once it has ended."""
        is_sync = work is os.fdatasync and self.wal is not None
        covered = power.written(self.wal, self.synced) if is_sync and self.wal is not None else self.synced
        result = await super().in_thread(work, *args, pool=pool)
        if is_sync:
            self.synced = covered
        return result


class World:
    """One state directory and the lives of the cloud on it.

    With `chance` each life has a simulated runtime (under `simulate`), without it the machine's own.
    """

    def __init__(self, state_dir: Path, chance: random.Random | None = None, **settings: Any):
        defaults: dict[str, Any] = {
            "hypervisor": "fake", "hosts": 2, "host_name": "host", "password_cost": CHEAP,
        }  # fmt: skip
        self.state_dir = state_dir
        self.chance = chance
        self.settings = embedded(state_dir, defaults | settings)
        self.fate: Callable[[str, bytes], Fate] | None = None
        self.at_seam: Callable[..., None] | None = None
        self.boot_id = "first boot"
        self.clock_offset_s = 0.0
        self.lives = 0
        self.cloud: Cloud

    @property
    def runtime(self) -> Runtime:
        return self.cloud.runtime

    # -- lives ----------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Begin a life; when it returns the cloud answers. Raises: Lost when it died while starting."""
        self.lives += 1
        self.state_dir.mkdir(parents=True, exist_ok=True)
        runtime = self._runtime()
        broker = Broker(self.fate)
        database = None
        if self.chance is None:  # a socket has no place in simulated time
            database = databases.database_at(self.state_dir / "pileus.db", runtime)
        self.cloud = Cloud(self.settings, runtime, broker=broker, database=database)
        try:
            if isinstance(runtime, Life):
                await unless_dead(runtime, self.cloud.start(listening=False))
            else:
                await self.cloud.start(listening=False)
        except Lost:
            let_go(self.cloud)
            raise

    def _runtime(self) -> Runtime:
        if self.chance is None:
            return Runtime("test")
        life = Life(f"life-{self.lives}", self.chance, self.boot_id)
        life.clock_offset_s = self.clock_offset_s
        life.on_reached = self._reached
        life.wal = self.state_dir / "pileus.db-wal"
        life.synced = power.written(life.wal)  # what an earlier life left is on disk, or it would not be there
        return life

    def _reached(self, runtime: Life, point: str, *facts: str) -> None:
        if self.at_seam is not None and point.partition(".")[0] in SEAMS:
            self.at_seam(runtime, point, *facts)

    def crash(self) -> None:
        """The process dies now. Only simulated ones can."""
        assert isinstance(self.runtime, Life)
        self.runtime.crash()

    def lose_power(self, chance: random.Random) -> None:
        """The machine under a dead process stops: what was not synced may be lost, wholly or in part."""
        assert isinstance(self.runtime, Life)
        files = power.Files.of(self.state_dir / "pileus.db")
        let_go(self.cloud)  # to close is to checkpoint, which a machine without power does not
        files.put_back(self.runtime.synced, chance)

    async def restart(self) -> None:
        """A new life after a crash; one that dies while starting is followed by the next."""
        while True:
            if not self.runtime.alive:
                let_go(self.cloud)
            with contextlib.suppress(Lost):
                await self.start()
                return

    async def stop(self) -> None:
        """An orderly end."""
        await self.cloud.stop()
        await self.runtime.stop()

    def set_clocks(self, offset_s: float) -> None:
        """The wall clocks are off by so much from now on. Only simulated ones can be."""
        self.clock_offset_s = self.runtime.clock_offset_s = offset_s  # type: ignore[attr-defined]

    @property
    def agents(self) -> list[Agent]:
        """Those of the hypervisor hosts."""
        return self.cloud.agents

    # -- users ----------------------------------------------------------------------------------------------------
    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request from outside. Raises: Lost."""
        runtime = self.runtime
        asked = _over_asgi(self.cloud.front, method, path, body, dict(headers or {}))
        return await (unless_dead(runtime, asked) if isinstance(runtime, Life) else asked)

    async def admin(self) -> "User":
        return await self.login("admin", self.cloud.secrets.admin_password, "admin")

    async def login(self, name: str, password: str, project: str) -> "User":
        user = User(self, name, password, project)
        await user.login()
        return user

    # -- looking --------------------------------------------------------------------------------------------------
    def rows(self, query: str, *args: Any) -> Sequence[Any]:
        """What the database holds, committed and seen from outside."""
        return databases.rows(self.state_dir / "pileus.db", query, *args)

    def tables(self) -> list[str]:
        """The names of the database's tables."""
        return databases.tables(self.state_dir / "pileus.db")

    async def settle(self, timeout_s: float = 4 * 3600.0) -> None:
        """Return when no flow is at work any more, and hosts have looked at what they may have missed.

        Raises: AssertionError when it never comes to rest; Lost.
        """
        await self.finish_flows(timeout_s)
        await asyncio.sleep(LOOKED_S if self.chance is not None else 0.5)
        if not self.runtime.alive:
            raise Lost

    async def finish_flows(self, timeout_s: float = 4 * 3600.0) -> None:
        """Return when no flow is at work any more. Raises: AssertionError, Lost."""
        waited, pause = 0.0, 0.05
        while open_flows := await self.open_flows():
            assert waited < timeout_s, f"never at rest: {open_flows}"
            await asyncio.sleep(pause)
            waited += pause
            pause = min(pause * 1.2, 10.0)

    async def open_flows(self) -> list[dict[str, Any]]:
        """Flows that somebody is at work on, of every service; stuck ones are at rest."""
        admin = await self.admin()
        return [flow for flow in (await admin.get("pileus", "/flows"))["flows"] if flow["state"] != "stuck"]

    async def audit(self) -> list[dict[str, Any]]:
        """What the cloud's own auditor finds."""
        found: list[dict[str, Any]] = (await (await self.admin()).get("pileus", "/audit"))["findings"]
        return found


async def unless_dead(life: Life, work: Awaitable[Any]) -> Any:
    """What `work` comes to. Raises: Lost when the process dies first."""
    task = asyncio.ensure_future(work)
    death = asyncio.ensure_future(life.died.wait())
    await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
    death.cancel()
    if not task.done():
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        raise Lost
    try:
        return task.result()
    except Crashed:
        raise Lost from None


def let_go(cloud: Cloud) -> None:
    """Close the files of a dead process, as the kernel does."""
    cloud.database.abandon()
    for agent in cloud.agents:
        agent._host.hypervisor._journal.close()  # type: ignore[attr-defined]
        agent._answers.close()
    for close in cloud._closers:
        owner = getattr(close, "__self__", None)  # the agents of networks and volumes
        backend = getattr(owner, "_backend", None) or getattr(getattr(owner, "_host", None), "backend", None)
        if getattr(backend, "_fd", -1) >= 0:
            os.close(backend._fd)
            backend._fd = -1
    cloud.agents.clear()
    for pool in cloud.runtime._pools.values():
        pool.shutdown(wait=False)


async def _over_asgi(app: Any, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
    """One request as a server would hand it in: nothing tells that it comes from inside."""
    raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    if body is not None:
        headers.setdefault("content-type", "application/json")
    headers.setdefault("host", "cloud.test")
    headers["content-length"] = str(len(raw))
    plain, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": plain, "query_string": query.encode(), "root_path": "",
        "scheme": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    begun: dict[str, Any] = {}
    chunks: list[bytes] = []
    messages = iter([{"type": "http.request", "body": raw, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            begun.update(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    found = {name.decode().lower(): value.decode() for name, value in begun["headers"]}
    return Answer(begun["status"], found, b"".join(chunks))


class User:
    """Somebody with a name, a password and a project; logs in again when the token has ended."""

    def __init__(self, world: World, name: str, password: str, project: str):
        self.world = world
        self.name, self.password, self.project = name, password, project
        self.token = ""
        self.project_id = self.user_id = ""

    async def login(self) -> str:
        """A new token; the old one stays valid."""
        domain = {"id": "default"}
        user = {"name": self.name, "domain": domain, "password": self.password}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": self.project, "domain": domain}},
            }
        }
        answer = await self.world.ask("POST", "/identity/v3/auth/tokens", body)
        if answer.status != 201:
            raise Refused(f"login of {self.name}", answer)
        self.token = answer.headers["x-subject-token"]
        found = answer.json()["token"]
        self.project_id, self.user_id = found["project"]["id"], found["user"]["id"]
        return self.token

    # -- asking ---------------------------------------------------------------------------------------------------
    async def request(
        self, service: str, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Whatever the answer is. `path` begins behind the service's version. Raises: Lost."""
        target = PREFIX[service] + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        sent = dict(headers or {})
        if service in NEWEST:
            sent.setdefault("openstack-api-version", NEWEST[service])
        answer = await self.world.ask(method, target, body, {"x-auth-token": self.token, **sent})
        if answer.status == 401 and self.password:
            await self.login()
            answer = await self.world.ask(method, target, body, {"x-auth-token": self.token, **sent})
        return answer

    async def need(self, service: str, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The document of a request that must succeed. Raises: Refused, Lost."""
        answer = await self.request(service, method, path, body, **options)
        if not 200 <= answer.status < 300:
            raise Refused(f"{method} {service} {path}", answer)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.json() if answer.body and is_json else None

    async def get(self, service: str, path: str, **options: Any) -> Any:
        return await self.need(service, "GET", path, **options)

    async def post(self, service: str, path: str, body: Any, **options: Any) -> Any:
        return await self.need(service, "POST", path, body, **options)

    async def delete(self, service: str, path: str, **options: Any) -> None:
        await self.need(service, "DELETE", path, **options)

    # -- what a cloud must have before anybody can launch ---------------------------------------------------------
    async def create_project(self, name: str) -> str:
        made = await self.post("identity", "/projects", {"project": {"name": name}})
        return str(made["project"]["id"])

    async def create_user(self, name: str, project_id: str, role: str = "member") -> "User":
        """A user with a role in a project, logged in. Only for administrators."""
        password = f"password of {name}"
        made = await self.post("identity", "/users", {"user": {"name": name, "password": password}})
        roles = await self.get("identity", "/roles", query={"name": role})
        path = f"/projects/{project_id}/users/{made['user']['id']}/roles/{roles['roles'][0]['id']}"
        await self.need("identity", "PUT", path)
        project = (await self.get("identity", f"/projects/{project_id}"))["project"]["name"]
        return await self.world.login(name, password, project)

    async def create_flavor(self, name: str, *, ram_mib: int = 64, vcpus: int = 1, disk_gib: int = 1) -> str:
        flavor = {"name": name, "ram": ram_mib, "vcpus": vcpus, "disk": disk_gib}
        return str((await self.post("compute", "/flavors", {"flavor": flavor}))["flavor"]["id"])

    async def create_image(self, name: str, data: bytes = bytes(4096), **properties: Any) -> str:
        document = {"name": name, "disk_format": "raw", "container_format": "bare", **properties}
        image_id = str((await self.post("image", "/images", document))["id"])
        headers = {"content-type": "application/octet-stream"}
        await self.need("image", "PUT", f"/images/{image_id}/file", data, headers=headers)
        return image_id

    async def create_network(self, name: str, cidr: str = "10.0.0.0/24") -> str:
        """A network with one subnet."""
        made = await self.post("network", "/networks", {"network": {"name": name}})
        network_id = str(made["network"]["id"])
        subnet = {"network_id": network_id, "ip_version": 4, "cidr": cidr}
        await self.post("network", "/subnets", {"subnet": subnet})
        return network_id

    async def create_port(self, network_id: str, **facts: Any) -> str:
        made = await self.post("network", "/ports", {"port": {"network_id": network_id, **facts}})
        return str(made["port"]["id"])

    # -- servers --------------------------------------------------------------------------------------------------
    async def launch(self, name: str, *, flavor: str, image: str, networks: Any = "none", **facts: Any) -> str:
        """Ask for a server; returns its id once it is promised. `networks` as the API has it."""
        server = {"name": name, "flavorRef": flavor, "imageRef": image, "networks": networks, **facts}
        made = await self.post("compute", "/servers", {"server": server})
        return str(made["server"]["id"])

    async def server(self, server_id: str) -> Any | None:
        """The server as the API shows it; None when there is none."""
        answer = await self.request("compute", "GET", f"/servers/{server_id}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise Refused(f"show server {server_id}", answer)
        return answer.json()["server"]

    async def act(self, server_id: str, action: str, args: Any = None) -> Answer:
        return await self.request("compute", "POST", f"/servers/{server_id}/action", {action: args})

    async def at_rest(self, server_id: str, timeout_s: float = 3600.0) -> Any | None:
        """The server once nothing is in flight; None once it is gone."""

        async def rests() -> tuple[bool, Any]:
            found = await self.server(server_id)
            return found is None or (found["OS-EXT-STS:task_state"] is None and found["status"] != "BUILD"), found

        return await self.until(rests, f"server {server_id} comes to rest", timeout_s)

    async def volume(self, volume_id: str) -> Any | None:
        answer = await self.request("volume", "GET", f"/volumes/{volume_id}")
        return None if answer.status == 404 else answer.json()["volume"]

    async def create_volume(self, name: str, size: int = 1, **facts: Any) -> str:
        made = await self.post("volume", "/volumes", {"volume": {"name": name, "size": size, **facts}})
        return str(made["volume"]["id"])

    async def volume_at_rest(self, volume_id: str, timeout_s: float = 3600.0) -> Any | None:
        """The volume once nothing is in flight; None once it is gone."""

        async def rests() -> tuple[bool, Any]:
            found = await self.volume(volume_id)
            return found is None or not found["status"].endswith("ing"), found

        return await self.until(rests, f"volume {volume_id} comes to rest", timeout_s)

    async def until(self, look: Callable[[], Awaitable[tuple[bool, Any]]], what: str, timeout_s: float = 3600.0) -> Any:
        """Look again and again until it is so, and return what was seen."""
        pause, waited = 0.002, 0.0
        while True:
            is_so, seen = await look()
            if is_so:
                return seen
            assert waited < timeout_s, f"never: {what}; last seen {seen}"
            await asyncio.sleep(pause)
            waited += pause
            pause = min(pause * 2, 0.5)


# -- a directory that many tests begin with ---------------------------------------------------------------------------
@contextlib.contextmanager
def copied(source: Path, target: Path) -> Iterator[Path]:
    """A copy of a state directory, removed at the end."""
    shutil.copytree(source, target)
    databases.copy_stand_in(source / "pileus.db", target / "pileus.db")
    try:
        yield target
    finally:
        shutil.rmtree(target, ignore_errors=True)
