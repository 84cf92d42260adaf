"""The parts compute-api, scheduler and conductor: three doors to one set of objects."""

from msgspec.structs import replace

from pileus.compute.api.policies import POLICIES
from pileus.compute.api.routes import API
from pileus.compute.app.addresses import keep_addresses
from pileus.compute.app.conductor import Conductor
from pileus.compute.app.housekeeping import keep_house
from pileus.compute.app.power import keep_looking
from pileus.compute.app.scheduler import Scheduler
from pileus.compute.domain.server_document import render
from pileus.compute.flows.act_on_server import ACT_ON_SERVER
from pileus.compute.flows.attach_volume import ATTACH_VOLUME
from pileus.compute.flows.change_interface import ATTACH_INTERFACE, DETACH_INTERFACE
from pileus.compute.flows.delete_server import DELETE_SERVER
from pileus.compute.flows.detach_volume import DETACH_VOLUME
from pileus.compute.flows.launch_server import LAUNCH_SERVER
from pileus.compute.peers.image import Images
from pileus.compute.peers.network import Networks
from pileus.compute.peers.placement import Placement
from pileus.compute.peers.volume import Volumes
from pileus.compute.service import CONDUCTOR, Compute, Endings, announcer, listen
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.http.authority import Authority
from pileus.foundation.liveness import watching
from pileus.wiring.ground import Ground

FLOWS = (
    LAUNCH_SERVER,
    DELETE_SERVER,
    ACT_ON_SERVER,
    ATTACH_VOLUME,
    DETACH_VOLUME,
    ATTACH_INTERFACE,
    DETACH_INTERFACE,
)


def build(ground: Ground) -> Compute:
    """What the parts of compute in one process share."""
    token = ground.login("compute")
    endings = Endings()
    journal = SqlJournal("compute", ground.database, ground.runtime, announcer(ground.bus))
    runner = Runner(journal, FLOWS, None, ground.runtime, lease_s=ground.settings.cloud.lease_s)
    listen(ground.bus, endings, runner)
    cloud = ground.settings.cloud
    settings = replace(ground.settings.compute, default_zone=cloud.zone, heartbeat_s=cloud.heartbeat_s)
    compute = Compute(
        database=ground.database,
        runtime=ground.runtime,
        bus=ground.bus,
        journal=journal,
        runner=runner,
        endings=endings,
        liveness=watching(settings.host_down_s, ground.bus, ground.database, ground.runtime),
        images=Images(ground.peer("image", "compute-api")),
        networks=Networks(ground.peer("networking", "compute-api")),
        volumes=Volumes(ground.peer("volume", "compute-api")),
        placement=Placement(ground.peer("placement", "scheduler"), Authority(token)),
        sealer=ground.sealer(),
        settings=settings,
        service_token=token,
        render=render,
    )
    runner.services = compute
    return compute


class ComputePart:
    """Compute at work, as far as `parts` name it."""

    def __init__(self, ground: Ground, parts: frozenset[str]):
        self._ground = ground
        self._parts = parts
        self.service = build(ground)
        self.topic, self.runner = CONDUCTOR, self.service.runner
        if "compute-api" in parts:
            ground.serve("compute", API, self.service, POLICIES, "compute")

    async def start(self) -> None:
        """Take what the bus brings; hosts may come now."""
        if "conductor" in self._parts:
            Conductor(self.service).serve()
        if "scheduler" in self._parts:
            Scheduler(self.service).serve()

    async def go_on(self) -> None:
        """Take up what an earlier life left, and keep doing what nobody asks for."""
        compute, runtime = self.service, self._ground.runtime
        if self._ground.is_alone:
            await compute.runner.recover()
        runtime.spawn(compute.runner.keep(adopts="conductor" in self._parts), "leases of compute")
        if "conductor" in self._parts:
            runtime.spawn(keep_looking(compute), "power of servers")
            runtime.spawn(keep_house(compute), "housekeeping of compute")
            runtime.spawn(keep_addresses(compute), "addresses of servers")

    async def stop(self) -> None: ...
