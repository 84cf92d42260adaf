"""Projects that a shared image is offered to: the owner adds and removes them, each answers for itself."""

from collections.abc import Callable

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.database import Duplicate, Transaction
from pileus.image.app.images import Seen, see
from pileus.image.domain.errors import MemberExists, MemberNotFound, NotShared, NotTheMember, OverLimit
from pileus.image.domain.image import Member
from pileus.image.service import ImageService
from pileus.image.store import members
from pileus.image.store.images import Reads

Allow = Callable[[Seen], None]


async def list_(service: ImageService, context: Context, image_id: str, allow: Allow) -> list[Member]:
    """All members for the owner; for a member itself alone.

    Raises: ImageNotFound (404), NotShared (403), and what `allow` raises.
    """
    seen = await _shared(service.database, context, image_id, allow)
    found = await members.of(service.database, image_id)
    return [member for member in found if _knows(seen, context, member.member_id)]


async def get(service: ImageService, context: Context, image_id: str, member_id: str, allow: Allow) -> Member:
    """Raises: ImageNotFound, MemberNotFound (404), NotShared (403), and what `allow` raises."""
    seen = await _shared(service.database, context, image_id, allow)
    return await _member(service.database, seen, context, member_id)


async def add(service: ImageService, context: Context, image_id: str, member_id: str, allow: Allow) -> Member:
    """Offer the image to a project.

    Raises: ImageNotFound (404), NotShared (403), MemberExists (409), OverLimit (413), and what `allow` raises.
    """
    now = service.runtime.now()
    member = Member(image_id=image_id, member_id=member_id, created_at=now, updated_at=now)
    most = service.limits.members

    async def work(tx: Transaction) -> None:
        await tx.lock("image.members", image_id)
        await _shared(tx, context, image_id, allow)
        if most and len(await members.of(tx, image_id)) >= most:
            raise OverLimit(what="its members", most=most)
        await members.insert(tx, member)

    try:
        await service.database.transact(work)
    except Duplicate as taken:
        raise MemberExists(member_id=member_id, image_id=image_id) from taken
    return member


async def answer(
    service: ImageService, context: Context, image_id: str, member_id: str, status: str, allow: Allow
) -> Member:
    """Write what a member says of the image it was offered; nobody says it for another project.

    Raises: ImageNotFound, MemberNotFound (404), NotShared, NotTheMember (403), and what `allow` raises.
    """

    async def work(tx: Transaction) -> Member:
        seen = await _shared(tx, context, image_id, lambda seen: None)
        member = await _member(tx, seen, context, member_id)
        if not context.is_admin and context.project_id != member_id:
            raise NotTheMember()
        allow(seen)
        member = msgspec.structs.replace(member, status=status, updated_at=service.runtime.now())
        await members.answer(tx, member)
        return member

    return await service.database.transact(work)


async def remove(service: ImageService, context: Context, image_id: str, member_id: str, allow: Allow) -> None:
    """Take the offer back.

    Raises: ImageNotFound, MemberNotFound (404), NotShared (403), and what `allow` raises.
    """

    async def work(tx: Transaction) -> None:
        await _shared(tx, context, image_id, allow)
        if not await members.delete(tx, image_id, member_id):
            raise MemberNotFound(member_id=member_id, image_id=image_id)

    await service.database.transact(work)


async def _shared(db: Reads, context: Context, image_id: str, allow: Allow) -> Seen:
    seen = await see(db, context, image_id)
    if seen.image.visibility != "shared":
        raise NotShared()
    allow(seen)
    return seen


async def _member(db: Reads, seen: Seen, context: Context, member_id: str) -> Member:
    found = await members.find(db, seen.image.id, member_id)
    if found is None or not _knows(seen, context, member_id):
        raise MemberNotFound(member_id=member_id, image_id=seen.image.id)
    return found


def _knows(seen: Seen, context: Context, member_id: str) -> bool:
    """Whether the caller may know of this member: the owner of all, a member of itself."""
    return context.is_admin or context.project_id in (seen.image.owner, member_id)
