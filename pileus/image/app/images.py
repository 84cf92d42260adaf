"""Images as rows: create, find, list, change, delete. Bytes come and go in `uploads` and `downloads`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.database import Duplicate, Transaction
from pileus.image.domain import image as rules
from pileus.image.domain.errors import BadFilter, ImageExists, ImageNotFound, OverLimit, ProtectedImage
from pileus.image.domain.image import Image
from pileus.image.domain.listing import Listing
from pileus.image.domain.status import Status, move
from pileus.image.service import ImageService
from pileus.image.service.receiving import discard
from pileus.image.store import images, listings, members, uploads

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")

Decide = Callable[["Seen"], Image]


@dataclass(frozen=True, slots=True)
class Seen:
    """An image as one caller sees it; `member_id` is his project when it is shared with that."""

    image: Image
    member_id: str | None

    def target(self) -> dict[str, Any]:
        """What policy is asked about."""
        return rules.policy_target(self.image, self.member_id)


async def create(service: ImageService, image: Image) -> Image:
    """Write a new image without bytes.

    Raises: ImageExists (409) for an id that is or was used; OverLimit (413).
    """
    service.limits.check(image)
    most = service.limits.project_images

    async def work(tx: Transaction) -> None:
        if most and image.owner is not None:
            await tx.lock("image.count", image.owner)
            if await images.count_of(tx, image.owner) >= most:
                raise OverLimit(what="the project's images", most=most)
        await images.insert(tx, image)  # waits for whoever is deleting an image of this id, and then sees that
        if await images.was_deleted(tx, image.id):
            raise ImageExists(image_id=image.id)

    try:
        await service.database.transact(work)
    except Duplicate as taken:
        raise ImageExists(image_id=image.id) from taken
    return image


async def get(service: ImageService, context: Context, image_id: str) -> Seen:
    """An image that the caller may know of. Raises: ImageNotFound (404)."""
    return await see(service.database, context, image_id)


async def page(service: ImageService, context: Context, listing: Listing) -> list[Image]:
    """One page of images. Raises: BadFilter (400) for a marker that the caller knows nothing of."""
    marker = None
    if listing.marker:
        try:
            marker = (await see(service.database, context, listing.marker)).image
        except ImageNotFound as unknown:
            raise BadFilter(f"Marker {listing.marker} could not be found: it names no image.") from unknown
    return await listings.page(service.database, listing, marker)


async def change(service: ImageService, context: Context, image_id: str, decide: Decide) -> Image:
    """Put what `decide` makes of the image in its place; `decide` asks policy too, and may be asked again.

    Raises: ImageNotFound (404), OverLimit (413), and what `decide` raises.
    """

    async def work(tx: Transaction) -> Image:
        seen = await see(tx, context, image_id)
        before, after = seen.image, decide(seen)
        if after == before:
            return before
        indexed = after.properties != before.properties or after.tags != before.tags
        if indexed:
            service.limits.check(after)
        after = msgspec.structs.replace(after, updated_at=service.runtime.now())
        return await images.update(tx, after, indexed=indexed)

    return await service.database.transact(work)


async def delete(service: ImageService, context: Context, image_id: str, allow: Callable[[Seen], None]) -> None:
    """Delete an image in whatever state, then its bytes; who is uploading them finds it gone.

    Raises: ImageNotFound (404), ProtectedImage (403), and what `allow` raises.
    """

    async def work(tx: Transaction) -> list[str]:
        await tx.lock("image.members", image_id)
        seen = await see(tx, context, image_id)
        allow(seen)
        if seen.image.protected:
            raise ProtectedImage(image_id=image_id)
        move(seen.image, Status.DELETED)
        stage = await uploads.find_stage(tx, image_id)
        await images.delete(tx, seen.image, service.runtime.now())
        await uploads.forget(tx, image_id)
        if service.imports is not None:
            await service.imports.journal.forget(tx, image_id)
        return [place for place in (seen.image.location, stage.location if stage else "") if place]

    places = await service.database.transact(work)
    if places:
        await service.database.durable()  # a row must not come back after its bytes are gone
        for place in places:
            await discard(service, place)


async def see(db: images.Reads, context: Context, image_id: str) -> Seen:
    """The image as the caller sees it, read inside or outside of a transaction. Raises: ImageNotFound (404)."""
    image = await images.find(db, image_id) if _UUID.fullmatch(image_id) else None
    if image is None:
        raise ImageNotFound(image_id=image_id)
    project = context.project_id
    member_id = None
    if image.visibility == "shared" and project and project != image.owner:
        member = await members.find(db, image_id, project)
        member_id = member.member_id if member else None
    if not rules.is_visible(image, project, is_admin=context.is_admin, is_member=member_id is not None):
        raise ImageNotFound(image_id=image_id)
    return Seen(image, member_id)
