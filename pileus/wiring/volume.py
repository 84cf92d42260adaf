"""The parts volume and volume-host: volumes, their snapshots and attachments; the back ends that hold them."""

from pathlib import Path

from msgspec.structs import replace

from pileus.foundation.drivers import load_driver
from pileus.volume.api.policies import POLICIES
from pileus.volume.api.routes import API
from pileus.volume.app import assembly
from pileus.volume.host.agent import Agent
from pileus.volume.host.services import HostServices
from pileus.volume.peers.image import Images
from pileus.volume.peers.server import RestServers
from pileus.volume.service import CONDUCTOR
from pileus.wiring.ground import Ground


class VolumePart:
    """Block storage at work: its API and its conductor."""

    def __init__(self, ground: Ground):
        settings = ground.settings
        self._ground = ground
        self.service = assembly.assemble(
            database=ground.database,
            runtime=ground.runtime,
            bus=ground.bus,
            images=Images(ground.peer("image", "volume")),
            servers=RestServers(ground.peer("compute", "volume")),
            sealer=ground.sealer(),
            service_token=ground.login("volume"),
            settings=replace(settings.volume, zone=settings.cloud.zone),
            lease_s=settings.cloud.lease_s,
        )
        self.topic, self.runner = CONDUCTOR, self.service.runner
        ground.serve("volume", API, self.service, POLICIES, "volume")

    async def start(self) -> None:
        await assembly.start(self.service, is_alone=self._ground.is_alone)

    async def stop(self) -> None: ...


class VolumeHostPart:
    """One back end, where its volumes are."""

    def __init__(self, ground: Ground, *, host: str, account: str):
        settings = ground.settings.volume_host
        directory = Path(settings.directory) if settings.directory else ground.settings.state_dir / "volumes"
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        backend = load_driver("volume_backends", settings.driver or settings.backend)(directory, ground.runtime)
        services = HostServices(
            name=settings.backend, host=host, runtime=ground.runtime, bus=ground.bus, backend=backend,
            images=Images(ground.peer("image", "volume-host")), service_token=ground.login(account),
        )  # fmt: skip
        self.agent = Agent(services, heartbeat_s=ground.settings.cloud.heartbeat_s)

    async def start(self) -> None:
        await self.agent.start()

    async def stop(self) -> None:
        await self.agent.stop()
