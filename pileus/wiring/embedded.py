"""The embedded cloud: all parts in one process, on SQLite, with the bus in memory, behind one port.

The order of `start` is the order of dependence: identity first, hosts last.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from pileus import running, secrets_file
from pileus.compute.host.agent import Agent
from pileus.foundation.bus import Broker, Bus
from pileus.foundation.database import Database, SqliteDatabase
from pileus.foundation.http.app import Receive, Scope, Send
from pileus.foundation.http.client import InProcess, Transport
from pileus.foundation.http.front import Front
from pileus.foundation.http.server import Listener, bind_file, bind_tcp, listen
from pileus.foundation.runtime import Runtime
from pileus.identity.app.sessions import end_everything
from pileus.identity.app.settings import Settings as IdentitySettings
from pileus.identity.domain.passwords import Cost
from pileus.settings import CloudSettings
from pileus.volume.service import VolumeSettings
from pileus.wiring import identity
from pileus.wiring.compute import ComputePart
from pileus.wiring.ground import Ground
from pileus.wiring.host import HostPart
from pileus.wiring.identity import IdentityPart
from pileus.wiring.image import ImagePart
from pileus.wiring.network import NetworkPart
from pileus.wiring.operations import OperationsPart, root
from pileus.wiring.placement import PlacementPart
from pileus.wiring.schemas import SCHEMAS
from pileus.wiring.settings import Settings, VolumeHostSection
from pileus.wiring.volume import VolumeHostPart, VolumePart

BACKENDS = {"fake": "fake", "libvirt": "file"}  # where the volumes are that a hypervisor's guests get
COMPUTE_PARTS = frozenset({"compute-api", "scheduler", "conductor"})
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def whole(settings: CloudSettings) -> Settings:
    """All settings of an embedded cloud: its own, and the defaults of everything else."""
    backend = BACKENDS[settings.host.hypervisor]
    return Settings(
        state_dir=settings.state_dir, cloud=settings.cloud, listen=settings.listen, host=settings.host,
        identity=IdentitySettings(password_cost=Cost(**settings.password_cost)),
        volume=VolumeSettings(backends=(backend,)), volume_host=VolumeHostSection(backend=backend),
    )  # fmt: skip


class Cloud:
    """All parts in one process."""

    def __init__(
        self, settings: CloudSettings, runtime: Runtime, *, broker: Broker | None = None,
        database: Database | None = None,
    ):  # fmt: skip
        self.settings = settings
        self.runtime = runtime
        self.url = settings.cloud.url or f"http://{settings.listen.address}:{settings.listen.port}"
        self.broker = broker or Broker()
        self.bus = Bus(self.broker, runtime)
        self.database = database or SqliteDatabase(settings.state_dir / "pileus.db", runtime)
        self.agents: list[Agent] = []
        self._listeners: list[Listener] = []
        self._closers: list[Callable[[], Any]] = []

    # -- life ---------------------------------------------------------------------------------------------
    async def start(self, *, listening: bool = True) -> None:
        """Bring everything up; when it returns, the cloud answers. Raises: what is missing, with its mend."""
        settings = self.settings
        socket_ = bind_tcp(settings.listen.address, settings.listen.port) if listening else None
        self.secrets = secrets_file.load(settings.state_dir, self.runtime)
        await self.database.open()
        self._ground = Ground(whole(settings), self.runtime, self.bus, self.secrets, cache(self._reach), self.database)
        self._apps = self._ground.apps
        for schema in SCHEMAS:
            await self.database.migrate(schema)
        await self._identity()
        await self._services()
        shows_metrics = settings.listen.address in LOOPBACK
        self.front = Front(self._apps, root(self._ground, shows_metrics=shows_metrics))
        if socket_ is not None:
            await self._listen(socket_)

    def _reach(self, path: str) -> Transport:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._apps[path](scope, receive, send)

        return InProcess(app, self.runtime)

    async def _identity(self) -> None:
        settings, ground = self.settings, self._ground
        part = IdentityPart(ground)
        self.identity = part.service
        await part.start()
        self._closers.append(part.stop)
        if await identity.first_rows(ground, self.identity):
            secrets_file.save(settings.state_dir, self.secrets)
        restored = settings.state_dir / running.RESTORED
        if restored.exists():  # what happened after the backup is forgotten: tokens that ended then must not come back
            await end_everything(self.identity)
            await self.database.durable()
            restored.unlink()

    async def _services(self) -> None:
        """Conductor and scheduler first, then the hosts, then what an earlier life left unfinished."""
        ground = self._ground
        image, _, network, volume = ImagePart(ground), PlacementPart(ground), NetworkPart(ground), VolumePart(ground)
        compute = ComputePart(ground, COMPUTE_PARTS)
        self.images, self.network, self.volume = image.service, network.service, volume.service
        self.compute = compute.service
        self._operations = OperationsPart(ground, self._describe)
        self.operations = self._operations.service
        await compute.start()
        await image.start()
        volumes = VolumeHostPart(ground, host=self._host_name(0), account="volume")
        await volumes.start()
        self._closers.append(volumes.agent.stop)
        await volume.start()
        for number in range(self.settings.host.hosts):
            await self._host(self._host_name(number))
        await compute.go_on()

    async def _host(self, name: str) -> None:
        host = HostPart(self._ground, name, account="compute")
        await host.start()
        self._closers.append(host.network.stop)
        self.agents.append(host.agent)

    def _host_name(self, number: int) -> str:
        """A real machine is one host; of fake ones there may be more tomorrow."""
        base = self._ground.host_name
        return f"{base}-{number + 1}" if self.settings.host.hypervisor == "fake" else base

    async def _describe(self) -> dict[str, Any]:
        parts = [{"name": name, "state": "up"} for name in (*self._apps, "scheduler", "conductor")]
        return {"url": self.url, "parts": parts}

    async def _listen(self, socket_: Any) -> None:
        settings = self.settings
        facts = running.Facts(
            url=self.url, region=settings.cloud.region, hypervisor=settings.host.hypervisor,
            address=settings.listen.address, port=settings.listen.port, public_url=settings.cloud.url,
            hosts=settings.host.hosts, host_name=self._ground.host_name,
            hypervisor_options=settings.host.hypervisor_options,
        )  # fmt: skip
        running.remember(settings.state_dir, facts)
        self._listeners.append(await listen(self.front, socket_, self.runtime))
        control = bind_file(settings.state_dir / running.SOCKET)
        self._listeners.append(await listen(self._operations.owners_front(), control, self.runtime))

    async def stop(self) -> None:
        """Answer what is under way, leave guests as they are, and make everything durable."""
        for listener in reversed(self._listeners):
            await listener.stop()
        await self.runtime.quiesce()  # flows stop where they are and go on in the next life; no driver fails under them
        for agent in self.agents:
            await agent.stop()
        for close in reversed(self._closers):
            await close()
        self.bus.close()
        await self.runtime.quiesce()
        await self.database.close()
        (self.settings.state_dir / running.SOCKET).unlink(missing_ok=True)
