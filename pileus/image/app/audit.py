"""The invariants of images, checked against what the store really holds. It repairs nothing."""

from typing import Any

from pileus.foundation.errors import Error
from pileus.foundation.flow.model import STUCK
from pileus.image.app.downloads import verify
from pileus.image.domain.image import Image
from pileus.image.domain.status import Status
from pileus.image.drivers.base import Stored
from pileus.image.service import ImageService
from pileus.image.store import images, uploads

Finding = dict[str, Any]


async def audit(service: ImageService, *, read_bytes: bool = False) -> list[Finding]:
    """Every violation found: which invariant, about what, what is there, and what mends it.

    With `read_bytes` every image is read whole and compared with its hash.
    """
    stored = {each.location: each for each in await service.store.list()}
    owned = await images.locations(service.database)
    every = await images.everything(service.database)
    findings = [
        _finding("no bytes without an image", location, "bytes in the store", "they go with the next repair")
        for location in sorted(stored.keys() - owned)
    ]
    for image in every:
        wrong = [*_bytes(image, stored), *await _state(service, image)]
        if read_bytes and image.location and not wrong:
            wrong = await _hash(service, image)
        findings += wrong
    return [*findings, *await _flows(service)]


def _finding(invariant: str, subject: str, found: str, mend: str) -> Finding:
    return {"invariant": invariant, "subject": subject, "found": found, "mend": mend}


def _bytes(image: Image, stored: dict[str, Stored]) -> list[Finding]:
    """An image that has been given bytes has them, all of them; one that waits for bytes has none."""
    there = stored.get(image.location)
    has = image.status in (Status.ACTIVE, Status.DEACTIVATED)
    if not has:
        invariant = "an image without bytes names none"
        return [_finding(invariant, image.id, f"{image.status} with bytes", "delete it")] if image.location else []
    if there is None or not there.is_whole or there.size != image.size:
        found = f"{there.size if there else 'no'} bytes of {image.size}"
        return [_finding("every active image has its bytes", image.id, found, "restore the store, or delete the image")]
    return []


async def _state(service: ImageService, image: Image) -> list[Finding]:
    if image.status != Status.SAVING or await uploads.find(service.database, image.id):
        return []
    return [_finding("an accepted upload is not lost", image.id, "saving, and nobody brings bytes", "delete it")]


async def _flows(service: ImageService) -> list[Finding]:
    if service.imports is None:
        return []
    return [
        _finding("no flow is stuck", record.id, f"{record.name} of {record.subject}",
                 f"pileus flows resume {record.id}, or abandon")
        for record in await service.imports.journal.all_open() if record.state == STUCK
    ]  # fmt: skip


async def _hash(service: ImageService, image: Image) -> list[Finding]:
    try:
        await verify(service, image)
    except Error as wrong:
        return [_finding("bytes are those that were uploaded", image.id, wrong.text, "delete it and upload it again")]
    return []
