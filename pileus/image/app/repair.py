"""Mends what a dead process or a lost race left: uploads that nobody brings any more, bytes that are nobody's.

A pass may run at any time, on several processes at once: it compares what is there with what should be, and touches
nothing that is still alive.
"""

import logging
from dataclasses import dataclass
from functools import partial

import msgspec

from pileus.foundation.database import Transaction
from pileus.image.domain.status import Status, move
from pileus.image.service import ImageService
from pileus.image.service.receiving import discard
from pileus.image.store import images, uploads
from pileus.image.store.uploads import Upload

log = logging.getLogger("pileus.image")

BEING_BROUGHT = frozenset({Status.SAVING, Status.UPLOADING})  # an import is brought by a flow, which has its own lease


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a pass did."""

    given_up: int
    removed: int


class Repairer:
    """Repairs the images of one service; remembers between passes which uploads stood still since when."""

    def __init__(self, service: ImageService):
        self._service = service
        self._seen: dict[str, tuple[int, float]] = {}  # location -> beat, since (own monotonic clock)

    async def repair(self, *, alone: bool = False) -> Repaired:
        """One pass. `alone`: no other process serves images now, and this one has not begun to."""
        service = self._service
        given_up = 0
        found = await uploads.all_(service.database)
        for upload in found:
            if alone or self._stands_still(upload):
                given_up += await service.database.transact(partial(_give_up, service, upload))
        alive = {upload.location for upload in found}
        self._seen = {location: seen for location, seen in self._seen.items() if location in alive}
        await service.database.transact(uploads.forget_flows)
        return Repaired(given_up, await self._remove_strays())

    def _stands_still(self, upload: Upload) -> bool:
        now = self._service.runtime.monotonic()
        beat, since = self._seen.get(upload.location, (-1, now))
        if beat != upload.beat:
            self._seen[upload.location] = (upload.beat, now)
            return False
        return now - since > self._service.settings.abandoned_after_s

    async def _remove_strays(self) -> int:
        """Delete bytes that belong to no row. They are listed first: what came in since then has a row by now."""
        stored = await self._service.store.list()
        owned = await images.locations(self._service.database)
        strays = [each.location for each in stored if each.location not in owned]
        for location in strays:
            log.info("bytes at %s belong to no image: removed", location)
            await discard(self._service, location)
        return len(strays)


async def _give_up(service: ImageService, upload: Upload, tx: Transaction) -> int:
    """Let the image wait for bytes again."""
    image = await images.find(tx, upload.image_id)
    if image is not None and image.status not in BEING_BROUGHT:
        return 0
    if not await uploads.delete(tx, upload.image_id, upload.location):
        return 0
    if image is not None:
        image = msgspec.structs.replace(move(image, Status.QUEUED), updated_at=service.runtime.now())
        await images.update(tx, image, indexed=False)
        log.info("the upload of image %s came to no end: it is queued again", upload.image_id)
    return 1
