"""The part compute-host: one hypervisor host, its wires and its guests. It has a bus and peers, and no database."""

from typing import Any

from pileus.compute.host.agent import Agent
from pileus.compute.host.guest_documents import GuestDocuments
from pileus.compute.host.image_cache import ImageCache
from pileus.compute.host.services import HostServices
from pileus.compute.peers.conductor import Conductor
from pileus.compute.peers.image import Images
from pileus.compute.peers.network import Networks
from pileus.compute.peers.volume import Volumes
from pileus.foundation.drivers import load_driver
from pileus.network.host.agent import NetworkHost
from pileus.network.host.messages import Messages
from pileus.network.host.metadata import MetadataService
from pileus.network.peers.service import BusNetworkService
from pileus.wiring.ground import Ground

WIRES = {"fake": "fake", "libvirt": "linux"}  # what connects the guests of a hypervisor


class HostPart:
    """One hypervisor host at work, in the name of a service account."""

    def __init__(self, ground: Ground, name: str, *, account: str):
        self._ground, self._name = ground, name
        self._state_dir = ground.settings.state_dir / "hosts" / name
        self._networks = Networks(ground.peer("networking", "compute-host"))
        self._conductor = Conductor(ground.bus, name)
        self._token = ground.login(account)
        self._documents = GuestDocuments(self._networks, self._conductor, self._token, ground.runtime)

    async def start(self) -> None:
        """When it returns, this host takes launches."""
        ground, cloud = self._ground, self._ground.settings.cloud
        self._state_dir.mkdir(parents=True, exist_ok=True)
        tunnel = ground.settings.host.tunnel_address
        service = BusNetworkService(ground.bus, tunnel=tunnel)
        options: dict[str, object] = {"tunnel_address": tunnel} if tunnel else {}
        wires = self._driver("network_backends", WIRES[ground.settings.host.hypervisor], options)
        metadata = MetadataService(ground.runtime, self._documents)
        self.network = NetworkHost(self._name, wires, service, metadata)
        await Messages(self._name, self.network, service, ground.runtime, ground.bus).start()
        self.agent = Agent(self._services(), lease_s=cloud.lease_s, heartbeat_s=cloud.heartbeat_s)
        await self.agent.start()

    async def stop(self) -> None:
        """Let go; guests and their networks go on."""
        await self.agent.stop()
        await self.network.stop()

    def _driver(self, kind: str, name: str, options: dict[str, object]) -> Any:
        runtime = self._ground.runtime
        return load_driver(kind, name)(runtime, hostname=self._name, state_dir=self._state_dir, options=options)

    def _services(self) -> HostServices:
        ground, settings = self._ground, self._ground.settings
        images = Images(ground.peer("image", "compute-host"))
        return HostServices(
            host=self._name,
            zone=settings.cloud.zone,
            state_dir=self._state_dir,
            runtime=ground.runtime,
            bus=ground.bus,
            hypervisor=self._driver("hypervisors", settings.host.hypervisor, settings.host.hypervisor_options),
            conductor=self._conductor,
            images=images,
            networks=self._networks,
            volumes=Volumes(ground.peer("volume", "compute-host")),
            cache=ImageCache(settings.state_dir / "base-images", images, ground.runtime),
            service_token=self._token,
            documents=self._documents,
        )
