"""An import after its 202: staged or fetched bytes become the image's, looked at like any upload.

On failure nothing of the bytes stays and the image is queued again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from pileus.foundation import errors
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Cancelled, Flow, NewFlow, Step, StepContext
from pileus.image.domain.errors import DataGone, DataMissing, NotStored
from pileus.image.domain.image import Image, Received
from pileus.image.domain.status import Status, move
from pileus.image.service import ImageService
from pileus.image.service.receiving import Beat, discard, inspector_of, store
from pileus.image.store import images, uploads
from pileus.image.store.activation import activate, allowance, lock_allowance

NAME = "import-image"
LONGEST_S = 6 * 3600.0
FAILED = "os_glance_failed_import"
"""The property that tells users that an import into our store failed; the reference implementation's name."""

Doing = StepContext[ImageService]


class ImportParams(msgspec.Struct):
    """`location` is where the bytes go; without `uri` they come from where they were staged.

    `asked` is the request as it came, `owner` and `user_id` who asked: shown with the image's tasks.
    """

    image_id: str
    location: str
    uri: str = ""
    asked: dict[str, Any] = {}
    owner: str = ""
    user_id: str = ""


def new_import(service: ImageService, params: ImportParams, request_id: str) -> NewFlow:
    """The flow that imports; it names its place in the store, so that a repetition finds what it left there."""
    return NewFlow(
        id=service.runtime.uuid(), name=NAME, version=1, subject=params.image_id,
        params=msgspec.to_builtins(params), request_id=request_id, deadline_s=LONGEST_S,
    )  # fmt: skip


async def bring_bytes(step: Doing, params: ImportParams) -> object:
    """Bring the bytes into the store; what an earlier try left there goes first."""
    service = step.services
    image = await _importing(service, params)
    await service.store.delete(params.location)

    async def limit(tx: Transaction) -> int:
        return await allowance(tx, service.limits, image.owner)

    most = await service.database.transact(limit)
    async with _source(service, params) as chunks:
        received = await store(
            service, params.location, chunks, inspector_of(service, image), most, _beat(step, params)
        )
    return msgspec.to_builtins(received)


async def drop_bytes(step: Doing, params: ImportParams) -> None:
    """Remove what was brought, unless it is the image's by now: what failed then came after."""
    image = await images.find(step.services.database, params.image_id)
    if image is None or image.location != params.location:
        await step.services.store.delete(params.location)


async def let_it_be_active(step: Doing, params: ImportParams) -> None:
    """Give the image its bytes; then what was staged is nobody's."""
    service = step.services
    received = msgspec.convert(step.outputs["bytes"], Received)

    async def work(tx: Transaction) -> str:
        image = await images.find(tx, params.image_id)
        if image is None:
            raise DataGone(image_id=params.image_id)
        if image.location == params.location:
            return ""
        await lock_allowance(tx, service.limits, image.owner, received.size)
        await activate(tx, image, params.location, received, service.runtime.now())
        return await _forget(tx, params)

    staged = await service.database.transact(work)
    if staged:
        await service.database.durable()
        await discard(service, staged)


async def report_failure(step: Doing, params: ImportParams, error: errors.Error) -> None:
    """Let the image be queued again, and say on it that the import failed."""
    service = step.services

    async def work(tx: Transaction) -> str:
        image = await images.find(tx, params.image_id)
        if image is None or image.status != Status.IMPORTING:
            return ""
        properties = {**image.properties, FAILED: service.store.id}
        image = msgspec.structs.replace(
            move(image, Status.QUEUED), properties=properties, updated_at=service.runtime.now()
        )
        await images.update(tx, image)
        return await _forget(tx, params)

    staged = await service.database.transact(work)
    if staged:
        await discard(service, staged)


async def _importing(service: ImageService, params: ImportParams) -> Image:
    image = await images.find(service.database, params.image_id)
    if image is None or image.status != Status.IMPORTING:
        raise DataGone(image_id=params.image_id)
    return image


@asynccontextmanager
async def _source(service: ImageService, params: ImportParams) -> AsyncIterator[AsyncIterator[bytes]]:
    """Where the bytes come from."""
    if params.uri:
        assert service.imports is not None
        async with service.imports.fetcher.get(params.uri) as chunks:
            yield chunks
        return
    staged = await uploads.find_stage(service.database, params.image_id)
    if staged is None:
        raise DataMissing(image_id=params.image_id, log="nothing is staged")
    try:
        yield await service.store.open(staged.location, 0, staged.size)
    except NotStored as missing:
        raise DataMissing(image_id=params.image_id, log=str(missing)) from missing


def _beat(step: Doing, params: ImportParams) -> Beat:
    """Ends the stream when the flow is cancelled, or now and then when the image turns out to be gone."""
    service = step.services
    last = service.runtime.monotonic()

    async def beat() -> None:
        nonlocal last
        if step.cancelled.is_set():
            raise Cancelled(reason="the image was deleted")
        now = service.runtime.monotonic()
        if now - last >= service.settings.beat_s:
            last = now
            await _importing(service, params)

    return beat


async def _forget(tx: Transaction, params: ImportParams) -> str:
    """End the upload and the stage; where the staged bytes are, if there are any."""
    staged = await uploads.find_stage(tx, params.image_id)
    await uploads.forget(tx, params.image_id)
    return staged.location if staged is not None else ""


IMPORT_IMAGE = Flow(
    NAME,
    version=1,
    params=ImportParams,
    on_failure=report_failure,
    steps=(
        Step("bytes", bring_bytes, undo=drop_bytes, timeout_s=LONGEST_S, retry_after_s=(1.0, 5.0)),
        Step("active", let_it_be_active),
    ),
)
