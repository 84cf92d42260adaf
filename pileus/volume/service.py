"""Block storage's own objects, made once by the wiring and handed to every use case and flow step."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from pileus.foundation.bus import Bus
from pileus.foundation.config import decided_by, meaning
from pileus.foundation.database import Database
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.http.authority import Authority, OwnToken
from pileus.foundation.http.hosts import Whereabouts
from pileus.foundation.liveness import Liveness
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.volume.peers.host import Hosts
from pileus.volume.peers.image import Images
from pileus.volume.peers.server import Servers

CONDUCTOR = "volume-conductor"
NEWS = "volume.flows"  # the channel on which cancelled flows are announced


class VolumeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about block storage."""

    zone: Annotated[str, decided_by("cloud.zone")] = "nova"
    host: Annotated[str, meaning("The name before the @ in a volume's host.")] = "pileus"
    backends: Annotated[tuple[str, ...], meaning("The back ends; the first one takes what names none.")] = ("file",)
    call_timeout_s: Annotated[float, meaning("How long a volume-host may take to answer.")] = 30.0
    host_down_s: Annotated[float, meaning("A volume-host without a heartbeat for so long counts as down.")] = 60.0
    message_keep_s: Annotated[float, meaning("How long messages for users are kept.")] = 30 * 86400.0
    page_most: Annotated[int, meaning("The longest page of a list.")] = 1000


@dataclass(frozen=True)
class VolumeService:
    """Everything a use case of block storage may need."""

    database: Database
    runtime: Runtime
    bus: Bus
    journal: SqlJournal
    runner: Runner
    hosts: Hosts
    images: Images
    servers: Servers
    sealer: Sealer
    settings: VolumeSettings
    service_token: OwnToken
    liveness: Liveness
    whereabouts: Whereabouts

    def cancel(self, flow_id: str) -> None:
        """Wake the flow that a transaction has just cancelled, wherever it runs; it hears of it soon in any case."""
        self.runner.cancel(flow_id)
        self.bus.publish(NEWS, "cancelled", {"flow_id": flow_id})

    def listen(self) -> None:
        """Hear of every flow that is cancelled anywhere."""
        self.bus.subscribe(NEWS, lambda event, args: self.runner.cancel(args["flow_id"]))

    def own_authority(self) -> Authority:
        """Acts with the service's rights alone."""
        return Authority(self.service_token)

    def users_authority(self, token: str) -> Authority:
        """Acts with the user's token, our own beside it."""
        return Authority(self.service_token, token)
