"""A cloud of many processes in one: each part as `pileus serve` runs it, under the virtual clock, over a broker and a
network that the seed rules.

`Town` is asked like a `World` of tests/cloud.py. Its processes die one by one, at any seam, and come again; its
database stands for one on a machine of its own.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from pileus import secrets_file
from pileus.compute.host.agent import Agent
from pileus.foundation.bus import Fate
from pileus.foundation.bus.senders import CONTROL, host_account
from pileus.foundation.database import SqliteDatabase
from pileus.foundation.errors import Error
from pileus.foundation.http.client import Answer, Content, InProcess
from pileus.foundation.http.front import Front
from pileus.foundation.runtime import Crashed
from pileus.identity.app.settings import Settings as IdentitySettings
from pileus.identity.domain.passwords import Cost
from pileus.settings import CloudSection, HostSection
from pileus.volume.service import VolumeSettings
from pileus.wiring.served import PATHS, Process
from pileus.wiring.settings import SecretsSection, Settings, VolumeHostSection
from tests.cloud import CHEAP, LOOKED_S, SERVICES, Life, Lost, World, _over_asgi, unless_dead
from tests.simulation.exchange import Exchange, Line

APIS = ("identity", "image", "network", "volume", "placement", "compute-api")
MEMBERS: dict[str, tuple[str, ...]] = {
    "api-1": APIS, "api-2": APIS, "operations": ("operations",),
    "scheduler-1": ("scheduler",), "scheduler-2": ("scheduler",),
    "conductor-1": ("conductor",), "conductor-2": ("conductor",),
    "store": ("volume-host",),
    "host-1": ("compute-host",), "host-2": ("compute-host",), "host-3": ("compute-host",),
}  # fmt: skip
"""The processes, in the order in which they are started first."""
STORE_IS = "host-1"
"""The machine of the volumes."""
URL = "http://cloud.test"
TRY_AGAIN_S = 2.0
"""After which a process that could not start is started again."""


class TownProcess(Process):
    """One process without sockets."""

    def __init__(self, member: "Member", life: Life):
        async def reach_bus(settings: Settings, runtime: Any) -> Line:
            member.line = member.town.exchange.line(life, member.account)
            return member.line

        super().__init__(member.settings, member.parts, life, reach_bus)
        self._member = member
        self._life = life

    def bind(self) -> None:
        """Nobody comes by a socket."""

    async def listen(self, front: Front, socket_: Any) -> None:
        self._member.front = front

    async def listen_for_owner(self, front: Front) -> None:
        """The owner comes by the network, as everybody."""

    def open_database(self) -> SqliteDatabase:
        return SqliteDatabase(self._settings.state_dir / "pileus.db", self._life, is_shared=True)

    def carrier(self, path: str) -> "Wire":  # type: ignore[override]
        return Wire(self._member, path)

    @property
    def agents(self) -> list[Agent]:
        return [host.agent for part in self._begun for host in getattr(part, "_hosts", ())]

    def let_go(self) -> None:
        """Close the files of a dead process, as the kernel does."""
        ground = getattr(self, "_ground", None)
        if ground is not None and ground.database_or_none is not None:
            ground.database_or_none.abandon()
        for part in self._parts_made:
            for lock in getattr(part, "_locks", ()):
                os.close(lock)
            for host in getattr(part, "_hosts", ()):
                _let_go_of_host(host)
            _close(getattr(getattr(getattr(part, "agent", None), "_host", None), "backend", None))  # of volumes
        if self._state is not None:
            self._state.release()
        for pool in self._life._pools.values():
            pool.shutdown(wait=False)

    def _build(self) -> list[Any]:
        self._parts_made = super()._build()
        return self._parts_made

    _parts_made: Sequence[Any] = ()


def _let_go_of_host(host: Any) -> None:
    if hasattr(host, "agent"):
        host.agent._host.hypervisor._journal.close()
        host.agent._answers.close()
    _close(getattr(getattr(host, "network", None), "_backend", None))


def _close(backend: Any) -> None:
    if getattr(backend, "_fd", -1) >= 0:
        os.close(backend._fd)
        backend._fd = -1


class Member:
    """The place of one process: its lives follow each other here."""

    def __init__(self, town: "Town", name: str, parts: tuple[str, ...], settings: Settings):
        self.town, self.name, self.parts, self.settings = town, name, parts, settings
        self.account = host_account(settings.host.host_name) if settings.host.host_name else CONTROL
        self.boots = 1
        self.lives = 0
        self.is_cut = False
        self.life: Life | None = None
        self.line: Line | None = None
        self.front: Front | None = None
        self.process: TownProcess | None = None

    @property
    def is_up(self) -> bool:
        """Whether it has started and lives."""
        return self.process is not None and self.life is not None and self.life.alive

    def answers(self, path: str) -> bool:
        return self.is_up and self.front is not None and any(PATHS.get(part) == path for part in self.parts)

    async def start(self) -> None:
        """One life more. Raises: Lost when it dies while it starts; what is missing."""
        self.lives += 1
        self.life = life = Life(f"{self.name}/{self.lives}", self.town.chance, f"{self.name} boot {self.boots}")
        life.clock_offset_s = self.town.clock_offset_s
        life.on_reached = self.town.reached
        process = TownProcess(self, life)
        try:
            await unless_dead(life, process.start())
        except BaseException:
            life.crash()
            self._let_go(process)
            raise
        self.process = process
        if self.is_cut and self.line is not None:
            self.line.cut()

    def bury(self) -> None:
        """What the kernel and the broker do when a process has died."""
        process, self.process, self.front = self.process, None, None
        if process is not None:
            self._let_go(process)

    def _let_go(self, process: TownProcess) -> None:
        if self.line is not None:
            self.line.die()
        process.let_go()

    def cut(self) -> None:
        """Nothing reaches it but the database."""
        self.is_cut = True
        if self.line is not None and self.is_up:
            self.line.cut()

    def mend(self) -> None:
        self.is_cut = False
        if self.line is not None and self.is_up:
            self.line.mend()

    async def stop(self) -> None:
        if self.is_up and self.process is not None and self.life is not None:
            await self.process.stop()
            await self.life.stop()


class Town(World):
    """One state directory, and the processes that share it."""

    def __init__(self, state_dir: Path, chance: random.Random, keys: Path, **settings: Any):
        super().__init__(state_dir, chance, **settings)
        self._network = random.Random(chance.random())
        self.exchange = Exchange(self._decide)
        self.lost = 0.0  # of the requests between processes
        self.members = {
            name: Member(self, name, parts, self._settings_of(name, keys)) for name, parts in MEMBERS.items()
        }
        self.secrets = secrets_file.read(state_dir / secrets_file.FILE)
        self.lives = len(self.members)

    def _settings_of(self, name: str, keys: Path) -> Settings:
        embedded = self.settings
        settings = Settings(
            state_dir=self.state_dir,
            cloud=CloudSection(url=URL, lease_s=embedded.cloud.lease_s),
            host=HostSection(hypervisor="fake", hypervisor_options=embedded.host.hypervisor_options),
            identity=IdentitySettings(password_cost=Cost(**CHEAP)),
            volume=VolumeSettings(backends=("fake",)), volume_host=VolumeHostSection(backend="fake"),
        )  # fmt: skip
        if not any(part.endswith("-host") for part in MEMBERS[name]):
            return settings
        host = STORE_IS if name == "store" else name
        return replace(
            settings, host=replace(settings.host, host_name=host), secrets=SecretsSection(file=str(keys / host))
        )

    # -- lives ----------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Start every process, in order; when it returns all are up."""
        for member in self.members.values():
            await member.start()

    async def start_again(self, member: Member) -> None:
        """Start a process until it is up, as whoever looks after it does."""
        while True:
            self.lives += 1
            try:
                await member.start()
                return
            except (Lost, Error):
                await asyncio.sleep(TRY_AGAIN_S)

    async def stop(self) -> None:
        for member in reversed(list(self.members.values())):
            await member.stop()

    def reached(self, life: Life, point: str, *facts: str) -> None:
        """Every seam of every process."""
        if self.at_seam is not None:
            self.at_seam(life, point, *facts)

    def set_clocks(self, offset_s: float) -> None:
        self.clock_offset_s = offset_s
        for member in self.members.values():
            if member.life is not None:
                member.life.clock_offset_s = offset_s

    @property
    def agents(self) -> list[Agent]:
        return [agent for member in self.members.values() if member.process for agent in member.process.agents]

    @property
    def is_whole(self) -> bool:
        return all(member.is_up and not member.is_cut for member in self.members.values())

    @property
    def is_answering(self) -> bool:
        """Whether clients find somebody behind every address."""
        return all(self.find(path) for path in SERVICES)

    async def whole(self, timeout_s: float = 1200.0) -> None:
        """Return when every process is up and reached. Raises: AssertionError when one never is."""
        async with asyncio.timeout(timeout_s):
            while not self.is_whole:
                await asyncio.sleep(0.5)

    # -- the way there --------------------------------------------------------------------------------------------
    def _decide(self, topic: str, message: bytes) -> Fate:
        fate = self.fate(topic, message) if self.fate is not None else Fate()
        return Fate(fate.copies, fate.delay_s + self._network.random() * 0.001)

    def find(self, path: str) -> list[Member]:
        return [member for member in self.members.values() if member.answers(path) and not member.is_cut]

    def pick(self, path: str) -> Member:
        """Whom a request is brought to. Raises: ConnectionRefusedError."""
        found = self.find(path)
        if not found:
            raise ConnectionRefusedError(f"nobody answers for {path}")
        return self._network.choice(found)

    async def delay(self) -> None:
        """A moment on the wire. Raises: ConnectionResetError when it breaks."""
        await asyncio.sleep(self._network.random() * 0.001)
        if self._network.random() < self.lost:
            raise ConnectionResetError("lost on the way")

    # -- asked from outside ---------------------------------------------------------------------------------------
    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises: Lost when nobody is there, or who took the request died."""
        try:
            member = self.pick(path.split("/")[1])
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
            raise Lost from None
        assert member.life is not None
        asked = _over_asgi(member.front, method, path, body, dict(headers or {}))
        answer: Answer = await unless_dead(member.life, asked)
        return answer

    async def admin(self) -> Any:
        return await self.login("admin", self.secrets.admin_password, "admin")

    async def settle(self, timeout_s: float = 4 * 3600.0) -> None:
        await self.finish_flows(timeout_s)
        await asyncio.sleep(LOOKED_S)


class Wire:
    """Brings requests of one process to the service behind a path, wherever that is; a `Transport` of peers."""

    def __init__(self, client: Member, path: str):
        self._client = client
        self._town = client.town
        self._path = path

    def _open(self) -> tuple[InProcess, Life]:
        """Raises: ConnectionRefusedError."""
        if self._client.is_cut:
            raise ConnectionRefusedError("we are cut off")
        server = self._town.pick(self._path)
        front, life = server.front, server.life
        assert front is not None and life is not None

        async def from_afar(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
            await front({key: value for key, value in scope.items() if key != "pileus.inside"}, receive, send)

        return InProcess(from_afar, life), life

    async def send(self, method: str, path: str, headers: dict[str, str], body: Content, timeout_s: float) -> Answer:
        await self._town.delay()
        way, life = self._open()
        sent = way.send(method, f"/{self._path}{path}", headers, body, timeout_s)
        async with asyncio.timeout(timeout_s):
            answer: Answer = await _unless_broken(life, sent)
        await self._town.delay()
        if self._client.is_cut:
            raise ConnectionResetError("we are cut off")
        return answer

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: dict[str, str], timeout_s: float
    ) -> AsyncIterator[tuple[int, Mapping[str, str], AsyncIterator[bytes]]]:
        await self._town.delay()
        way, life = self._open()
        answer = way.stream(method, f"/{self._path}{path}", headers, timeout_s)
        status, found, chunks = await _unless_broken(life, answer.__aenter__())
        try:
            yield status, found, _each(life, chunks)
        finally:
            with contextlib.suppress(Crashed):
                await answer.__aexit__(None, None, None)


async def _each(life: Life, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        try:
            chunk: bytes = await _unless_broken(life, anext(chunks))
        except StopAsyncIteration:
            return
        yield chunk


async def _unless_broken(life: Life, work: Any) -> Any:
    """What `work` of another process comes to. Raises: ConnectionResetError when that process dies first."""
    try:
        return await unless_dead(life, work)
    except Lost:
        raise ConnectionResetError("the process died") from None
