"""The part network: networks, ports, routers, floating addresses."""

from msgspec.structs import replace

from pileus.network.api.policies import POLICIES
from pileus.network.api.routes import API
from pileus.network.app import bus
from pileus.network.app.service import network_service
from pileus.network.peers.servers import RestServers
from pileus.wiring.ground import Ground


class NetworkPart:
    """The network service at work."""

    def __init__(self, ground: Ground):
        servers = RestServers(ground.peer("compute", "network"), ground.login("network"))
        settings = replace(ground.settings.network, availability_zone=ground.settings.cloud.zone)
        self.service = network_service(ground.database, ground.runtime, ground.bus, settings, servers=servers)
        bus.serve(self.service)
        ground.serve("networking", API, self.service, POLICIES, "network")

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
