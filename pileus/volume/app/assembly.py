"""Puts block storage together from what the wiring has, and starts what must run beside its API."""

from pileus.foundation.bus import Bus
from pileus.foundation.database import Database
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.http.authority import Authority, OwnToken
from pileus.foundation.http.hosts import Whereabouts
from pileus.foundation.liveness import watching
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.volume.app.conductor import Conductor
from pileus.volume.app.repair import keep_repairing
from pileus.volume.flows.following import FLOWS, FollowingJournal
from pileus.volume.peers.host import Hosts
from pileus.volume.peers.image import Images
from pileus.volume.peers.server import Servers
from pileus.volume.service import VolumeService, VolumeSettings


def assemble(
    *,
    database: Database,
    runtime: Runtime,
    bus: Bus,
    images: Images,
    servers: Servers,
    sealer: Sealer,
    service_token: OwnToken,
    settings: VolumeSettings,
    lease_s: float = 15.0,
) -> VolumeService:
    """The service; nothing runs yet."""
    journal = SqlJournal("volume", database, runtime)
    runner = Runner(FollowingJournal(journal, database, runtime), FLOWS, None, runtime, lease_s=lease_s)
    service = VolumeService(
        database=database, runtime=runtime, bus=bus, journal=journal, runner=runner,
        hosts=Hosts(bus, database.durable, settings.call_timeout_s), images=images, servers=servers, sealer=sealer,
        settings=settings, service_token=service_token, liveness=watching(settings.host_down_s, bus, database, runtime),
        whereabouts=Whereabouts(lambda server_id: servers.host_of(server_id, Authority(service_token)), runtime),
    )  # fmt: skip
    runner.services = service
    return service


async def start(service: VolumeService, *, is_alone: bool = True) -> None:
    """Serve the conductor's methods, go on with what was begun, and keep at it.

    Embedded there is no other runner (`is_alone`): what is open is adopted at once. The hosts must be listening.
    """
    Conductor(service).serve()
    service.listen()
    if is_alone:
        await service.runner.recover()
    service.runtime.spawn(service.runner.keep(), "leases of block storage")
    service.runtime.spawn(keep_repairing(service), "repair of block storage")
