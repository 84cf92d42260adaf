"""Block storage's own objects, made once by the wiring and handed to every use case and flow step."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from pileus.foundation.bus import Bus
from pileus.foundation.database import Database, Transaction
from pileus.foundation.errors import ConcurrentChange
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.volume.domain.liveness import Liveness
from pileus.volume.peers.authority import Authority, TokenSource
from pileus.volume.peers.host import Hosts
from pileus.volume.peers.image import Images
from pileus.volume.peers.server import Servers

T = TypeVar("T")

CONDUCTOR = "volume-conductor"
TRIES = 10


class VolumeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about block storage."""

    zone: str = "nova"
    host: str = "pileus"  # the name before the @ in a volume's host
    backends: tuple[str, ...] = ("file",)  # the first one takes what names none
    call_timeout_s: float = 30.0
    host_down_s: float = 60.0  # without a heartbeat a host counts as down
    message_keep_s: float = 30 * 86400.0
    page_most: int = 1000


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
    service_token: TokenSource
    liveness: Liveness

    def own_authority(self) -> Authority:
        """Acts with the service's rights alone."""
        return Authority(self.service_token)

    def users_authority(self, token: str) -> Authority:
        """Acts with the user's token, our own beside it."""
        return Authority(self.service_token, token)

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction, again when somebody else was faster. Raises: ConcurrentChange (409)."""
        return await transact(self.database, work)


async def transact(database: Database, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """`VolumeService.transact` for who has only the database."""
    for _ in range(TRIES - 1):
        try:
            return await database.transact(work)
        except ConcurrentChange:
            continue
    return await database.transact(work)
