"""Imports: what was staged, or lies on the web, becomes an image's bytes after the answer."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.flow import FlowRecord
from pileus.image.app.images import see
from pileus.image.app.uploads import Allow, new_location
from pileus.image.domain.errors import BadImport, ImportConflict
from pileus.image.domain.image import Image
from pileus.image.domain.status import Status, move
from pileus.image.flows.import_image import ImportParams, new_import
from pileus.image.service import ImageService
from pileus.image.store import images, uploads

DIRECT, WEB = "glance-direct", "web-download"
BEGINS_IN = {DIRECT: Status.UPLOADING, WEB: Status.QUEUED}
_WRONG = {
    DIRECT: "Image needs to be staged before 'glance-direct' method can be used",
    WEB: "Image needs to be in 'queued' state to use 'web-download' method",
}


@dataclass(frozen=True, slots=True)
class Import:
    """How to import; `uri` for web-download. `asked` is the whole request."""

    method: str
    uri: str = ""
    asked: dict[str, Any] = field(default_factory=dict)


async def import_image(service: ImageService, context: Context, image_id: str, asked: Import, allow: Allow) -> None:
    """Write that the image is importing, and the flow that does it, in one transaction.

    Raises: ImageNotFound (404), BadImport and NotFetchable (400), ImportConflict (409), and what `allow` raises.
    """
    imports = service.imports
    if imports is None or asked.method not in service.import_methods:
        raise BadImport(f"Unknown import method name '{asked.method}'.")
    if asked.method == WEB:
        imports.fetcher.check(asked.uri)

    async def work(tx: Transaction) -> FlowRecord:
        seen = await see(tx, context, image_id)
        allow(seen)
        await _check(tx, seen.image, asked)
        location = new_location(service, image_id)
        image = msgspec.structs.replace(move(seen.image, Status.IMPORTING), updated_at=service.runtime.now())
        await images.update(tx, image, indexed=False)
        await uploads.insert(tx, image_id, location, service.runtime.now())
        params = ImportParams(image_id, location, asked.uri, asked.asked, context.project_id, context.user_id)
        new = new_import(service, params, context.request_id)
        return await imports.journal.insert(tx, new, imports.runner.owner)

    imports.runner.run(await service.database.transact(work))


async def _check(tx: Transaction, image: Image, asked: Import) -> None:
    if image.status == Status.ACTIVE:
        raise ImportConflict("Image with status active cannot be target for import")
    is_ready = image.status == BEGINS_IN[asked.method]
    if is_ready and asked.method == DIRECT:
        is_ready = await uploads.find_stage(tx, image.id) is not None
    if not is_ready:
        raise ImportConflict(_WRONG[asked.method])
    for name in ("container_format", "disk_format"):
        if not getattr(image, name):
            raise ImportConflict(f"'{name}' needs to be set before import")


async def of_image(service: ImageService, context: Context, image_id: str, allow: Allow) -> list[FlowRecord]:
    """The imports of an image, oldest first, ended ones too.

    Raises: ImageNotFound (404), and what `allow` raises.
    """
    allow(await see(service.database, context, image_id))
    if service.imports is None:
        return []
    return await service.imports.journal.of_subject(image_id)
