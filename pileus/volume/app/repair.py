"""What nobody came back for is finished: attachments that were let go. A pass takes no input."""

import logging

from pileus.foundation.errors import Error
from pileus.volume.app.attachments import release
from pileus.volume.service import VolumeService
from pileus.volume.store import volumes

log = logging.getLogger("pileus.volume")

PAUSE_S = 30.0
PATIENCE_S = 30.0


async def repair(service: VolumeService) -> int:
    """One pass; returns how many attachments were forgotten."""
    before = service.runtime.now() - int(PATIENCE_S * 1_000_000)
    done = 0
    for attachment_id, volume_id in await volumes.let_go(service.database, before):
        try:
            await release(service, volume_id, attachment_id, "")
            done += 1
        except Error as error:  # the next pass is the retry
            log.warning("attachment %s of volume %s: %s", attachment_id, volume_id, error)
    return done


async def keep_repairing(service: VolumeService) -> None:
    """Passes, for ever."""
    while True:
        await service.runtime.sleep(PAUSE_S)
        try:
            await repair(service)
        except Error as error:
            log.warning("repair of block storage: %s", error)
