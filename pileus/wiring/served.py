"""Some parts of a cloud in one process of many: what `pileus serve` runs.

Nothing that outlives a request is kept here, but on hosts: any process may be killed, and another goes on.
"""

import os
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from pileus import running
from pileus.foundation import revocation
from pileus.foundation.bus import Bus
from pileus.foundation.bus.broker import Transport as Line
from pileus.foundation.config_file import WrongConfig
from pileus.foundation.database import Database, open_database
from pileus.foundation.flow import Runner
from pileus.foundation.flow.operators import LEFT
from pileus.foundation.http.app import App, Receive, Scope, Send
from pileus.foundation.http.client import InProcess
from pileus.foundation.http.client import Transport as Carrier
from pileus.foundation.http.front import Front
from pileus.foundation.http.remote import SocketTransport
from pileus.foundation.http.server import Listener, bind_file, bind_tcp, listen
from pileus.foundation.runtime import Runtime
from pileus.foundation.state_directory import StateDirectory, ensure_state
from pileus.operations.domain.process import Process as Announced
from pileus.operations.peers.announcing import Announcer
from pileus.secrets_file import Secrets
from pileus.wiring import opening
from pileus.wiring.bus import HubPart, open_bus
from pileus.wiring.ground import VERSION, Ground
from pileus.wiring.settings import Settings

COMPUTE_PARTS = ("compute-api", "scheduler", "conductor")
PATHS = {
    "identity": "identity",
    "image": "image",
    "network": "networking",
    "volume": "volume",
    "placement": "placement",
    "compute-api": "compute",
    "operations": "pileus",
}
"""The parts that clients ask, with the path that each answers below."""
WITHOUT_DATABASE = ("hub", "compute-host", "volume-host")
PARTS = ("hub", *PATHS, "scheduler", "conductor", "volume-host", "compute-host")
"""In the order in which they are started. `hub` is the bus of processes of one machine, where there is no broker."""


class Part(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


def check_parts(names: list[str]) -> tuple[str, ...]:
    """The parts by these names, in the order in which they are started. Raises: WrongConfig."""
    for name in names:
        if name not in PARTS:
            raise WrongConfig(where="serve", what=f"there is no part {name}. There are: {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in names)


@runtime_checkable
class GoesOn(Protocol):
    """A part that takes up what is open once all parts of its process are there."""

    async def go_on(self) -> None: ...


@runtime_checkable
class KnowsOwner(Protocol):
    """A part that answers the owner of the state directory, behind its socket file, without any token."""

    def owners_front(self) -> Front: ...


@runtime_checkable
class RunsFlows(Protocol):
    """A part that runs flows, and the topic of all that can run them."""

    topic: str
    runner: Runner


class Process:
    """One process of a cloud."""

    def __init__(
        self,
        settings: Settings,
        parts: tuple[str, ...],
        runtime: Runtime,
        reach_bus: Callable[[Settings, Runtime], Awaitable[Line]] | None = None,
    ):
        self._open_bus = reach_bus or open_bus
        self._settings = settings
        self._parts = parts
        self._runtime = runtime
        self._tls = opening.tls_of(settings)
        self._remote: list[SocketTransport] = []
        self._begun: list[Part] = []
        self._listeners: list[Listener] = []
        self._line: Line
        self._ground: Ground
        self._state: StateDirectory | None = None
        self._announcer: Announcer | None = None

    @property
    def url(self) -> str:
        """Where this process answers; empty when it has no part that clients ask."""
        if not self._answers:
            return ""
        listen_ = self._settings.listen
        return f"{'https' if self._tls.certificate else 'http'}://{listen_.address}:{listen_.port}"

    @property
    def _answers(self) -> bool:
        return any(part in PATHS for part in self._parts)

    # -- life ---------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """When it returns, the parts are at work. Raises: what is missing, with its mend."""
        settings, runtime = self._settings, self._runtime
        socket_ = self.bind() if self._answers else None
        secrets = opening.secrets_of(settings) if self._parts != ("hub",) else Secrets()
        if "operations" in self._parts:
            self._state = StateDirectory(settings.state_dir)
        else:
            ensure_state(settings.state_dir)
        database = None
        if any(part not in WITHOUT_DATABASE for part in self._parts):
            database = self.open_database()
            await database.open()
            for schema in import_module("pileus.wiring.schemas").SCHEMAS:
                await database.migrate(schema, only_check=True)
        if "hub" in self._parts:
            await self._open_hub()
        self._line = await self._open_bus(settings, runtime)
        bus = Bus(self._line, runtime)
        self._ground = Ground(settings, runtime, bus, secrets, cache(self._reach), database, is_alone=False)
        if self._answers:  # nobody else remembers a validation, and a host may not hear of them
            revocation.listen(self._ground.epoch, bus)
        for part in self._build():
            await part.start()
            self._begun.append(part)
        for part in self._begun:
            if isinstance(part, GoesOn):
                await part.go_on()
            if isinstance(part, KnowsOwner):
                await self.listen_for_owner(part.owners_front())
        self._announcer = Announcer(self._facts(), bus, runtime)
        self._announcer.start()
        if self._answers:
            await self.listen(Front(self._ground.apps, self._root()), socket_)
        await self._listen_for_metrics()

    async def _open_hub(self) -> None:
        hub = HubPart(self._settings)
        await hub.start()
        self._begun.append(hub)

    def _facts(self) -> Announced:
        settings = self._settings
        return Announced(
            id=self._runtime.hex_id(), name=self._runtime.name, parts=self._parts, host=self._ground.host_name,
            pid=os.getpid(), version=VERSION, url=self.url, started_at=self._runtime.now(),
            heartbeat_s=settings.cloud.heartbeat_s,
        )  # fmt: skip

    def _reach(self, path: str) -> Carrier:
        """A service of this process directly, any other by its address."""
        if any(PATHS.get(part) == path for part in self._parts):

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await self._ground.apps[path](scope, receive, send)

            return InProcess(app, self._runtime)
        return self.carrier(path)

    def _build(self) -> list[Part]:
        """The parts in the order in which they are started."""
        ground, built = self._ground, []
        for part in self._parts:
            if part in COMPUTE_PARTS or part == "hub":
                continue
            built.append(_maker(part)(ground))
        mine = frozenset(part for part in self._parts if part in COMPUTE_PARTS)
        if mine:
            compute = import_module("pileus.wiring.compute")
            built.insert(0, compute.ComputePart(ground, mine))
        return built

    # -- the world outside, which a simulated process has not ----------------------------------------------
    def bind(self) -> Any:
        """Take the address where clients find this process. Raises: CannotListen."""
        return bind_tcp(self._settings.listen.address, self._settings.listen.port)

    async def listen(self, front: Front, socket_: Any) -> None:
        """Answer those who come there."""
        self._listeners.append(await listen(front, socket_, self._runtime, self._tls.server()))

    async def listen_for_owner(self, front: Front) -> None:
        """Answer behind the state directory's socket file, and leave there what the command line looks for."""
        settings = self._settings
        facts = running.Facts(
            url=settings.cloud.url, region=settings.cloud.region, hypervisor=settings.host.hypervisor,
            address=settings.listen.address, port=settings.listen.port, public_url=settings.cloud.url,
            secrets_file=str(opening.secrets_path(settings)), authority=settings.tls.authority,
        )  # fmt: skip
        running.remember(settings.state_dir, facts)
        self._listeners.append(await listen(front, bind_file(settings.state_dir / running.SOCKET), self._runtime))

    def open_database(self) -> Database:
        """Raises: WrongConfig."""
        return open_database(opening.database_url(self._settings), self._runtime)

    def carrier(self, path: str) -> Carrier:
        """What brings requests to a service of other processes. Raises: WrongConfig."""
        address = opening.address_of(self._settings, path)
        trust = self._tls.client() if address.startswith("https:") else None
        transport = SocketTransport(address, trust)
        self._remote.append(transport)
        return transport

    def _root(self, *, shows_metrics: bool = False) -> App:
        from pileus.wiring.operations import root

        return root(self._ground, shows_metrics=shows_metrics)

    async def _listen_for_metrics(self) -> None:
        section = self._settings.metrics
        if section.port:
            await self.listen(Front({}, self._root(shows_metrics=True)), bind_tcp(section.address, section.port))

    # -- the end ------------------------------------------------------------------------------------------
    async def stop(self) -> None:
        """Answer what is under way, leave guests as they are, and let go; what was begun goes on elsewhere."""
        for listener in reversed(self._listeners):
            await listener.stop()
        left = self._left()
        if hasattr(self, "_ground"):
            self._ground.bus.close()  # before flows stop, or we would be given what we leave
        await self._runtime.quiesce()
        for part in reversed([part for part in self._begun if not isinstance(part, HubPart)]):
            await part.stop()
        for topic, flow_ids in left.items():
            self._ground.bus.cast(topic, LEFT, {"flow_ids": flow_ids})
        if self._announcer is not None:
            self._announcer.leave()
        if hasattr(self, "_ground"):
            await self._line.close()
            for transport in self._remote:
                await transport.close()
            if self._ground.database_or_none is not None:
                await self._ground.database_or_none.close()
        for part in self._begun:
            if isinstance(part, HubPart):
                await part.stop()
        if self._state is not None:
            (self._settings.state_dir / running.SOCKET).unlink(missing_ok=True)
            self._state.release()

    def _left(self) -> dict[str, list[str]]:
        """The flows that are under way here, by the topic of those who can go on with them."""
        runners = [part for part in self._begun if isinstance(part, RunsFlows)]
        return {part.topic: part.runner.under_way for part in runners if part.runner.under_way}


def _maker(part: str) -> Callable[[Ground], Part]:
    """What builds a part; its modules are imported only where it runs."""
    module, name = {
        "identity": ("identity", "IdentityPart"),
        "image": ("image", "ImagePart"),
        "network": ("network", "NetworkPart"),
        "volume": ("volume", "VolumePart"),
        "placement": ("placement", "PlacementPart"),
        "operations": ("cluster_operations", "ClusterOperations"),
        "compute-host": ("hosts", "ComputeHosts"),
        "volume-host": ("hosts", "VolumeHost"),
    }[part]
    found: Callable[[Ground], Part] = getattr(import_module(f"pileus.wiring.{module}"), name)
    return found
