"""Rows of the projects that shared images are offered to."""

from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.image.domain.image import Member
from pileus.image.store.images import Reads

_COLUMNS = "image_id, member_id, status, created_at, updated_at"
_FIND = sql(f"SELECT {_COLUMNS} FROM image_members WHERE image_id = :image_id AND member_id = :member_id")
_OF = sql(f"SELECT {_COLUMNS} FROM image_members WHERE image_id = :image_id ORDER BY created_at, member_id")
_INSERT = sql(
    f"INSERT INTO image_members ({_COLUMNS}) VALUES (:image_id, :member_id, :status, :created_at, :updated_at)"
)
_ANSWER = sql(
    "UPDATE image_members SET status = :status, updated_at = :updated_at"
    " WHERE image_id = :image_id AND member_id = :member_id"
)
_DELETE = sql("DELETE FROM image_members WHERE image_id = :image_id AND member_id = :member_id")


def _member(row: Any) -> Member:
    return Member(
        image_id=row["image_id"],
        member_id=row["member_id"],
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def find(db: Reads, image_id: str, member_id: str) -> Member | None:
    row = await db.one(_FIND, image_id=image_id, member_id=member_id)
    return None if row is None else _member(row)


async def of(db: Reads, image_id: str) -> list[Member]:
    """The members of an image, oldest first."""
    return [_member(row) for row in await db.all(_OF, image_id=image_id)]


async def insert(tx: Transaction, member: Member) -> None:
    """Raises: Duplicate when the project is a member already."""
    await tx.run(
        _INSERT,
        image_id=member.image_id,
        member_id=member.member_id,
        status=member.status,
        created_at=member.created_at,
        updated_at=member.updated_at,
    )


async def answer(tx: Transaction, member: Member) -> None:
    """Write the member's status."""
    await tx.run(
        _ANSWER,
        image_id=member.image_id,
        member_id=member.member_id,
        status=member.status,
        updated_at=member.updated_at,
    )


async def delete(tx: Transaction, image_id: str, member_id: str) -> bool:
    """Whether there was such a member."""
    return await tx.run(_DELETE, image_id=image_id, member_id=member_id) > 0
