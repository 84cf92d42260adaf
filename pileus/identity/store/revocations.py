"""The epoch and what was revoked in it. Both change in the transaction of whatever made a token worth less."""

from collections.abc import Iterable, Sequence

from pileus.foundation.database import Transaction, sql
from pileus.identity.store.projects import Reads

_EPOCH = sql("SELECT value FROM identity_epoch WHERE id = 1")
_ADVANCE = sql("UPDATE identity_epoch SET value = value + :by WHERE id = 1 RETURNING value")
_REVOKE = sql(
    "INSERT INTO identity_revocations (subject, epoch, revoked_at, forget_at)"
    " VALUES (:subject, :epoch, :now, :forget_at) ON CONFLICT (subject) DO UPDATE SET epoch = excluded.epoch,"
    " revoked_at = excluded.revoked_at, forget_at = excluded.forget_at"
)
_PRUNE = sql("DELETE FROM identity_revocations WHERE forget_at < :now")
_LATEST = sql("SELECT MAX(epoch) AS epoch FROM identity_revocations WHERE subject IN :subjects*")
_LATEST_OF_ALL = sql("SELECT MAX(epoch) AS epoch FROM identity_revocations")
_HAS = sql("SELECT 1 AS yes FROM identity_revocations WHERE subject = :subject")
_COUNT = sql("SELECT COUNT(*) AS count FROM identity_revocations")


async def read_epoch(db: Reads) -> int:
    row = await db.one(_EPOCH)
    assert row is not None, "the schema puts the epoch's row there"
    return int(row["value"])


async def advance_epoch(tx: Transaction, by: int = 1) -> int:
    """Answers about tokens made before may no longer hold; returns the new epoch."""
    row = await tx.one(_ADVANCE, by=by)
    assert row is not None, "the schema puts the epoch's row there"
    return int(row["value"])


async def revoke(tx: Transaction, subjects: Iterable[str], epoch: int, now: int, forget_at: int) -> None:
    """Refuse the subjects' tokens of before `epoch`; forgotten after `forget_at`, as is all that is older."""
    for subject in subjects:
        await tx.run(_REVOKE, subject=subject, epoch=epoch, now=now, forget_at=forget_at)
    await tx.run(_PRUNE, now=now)


async def latest(db: Reads, subjects: Sequence[str]) -> int:
    """The epoch of the latest revocation of any of them; 0 when there was none."""
    row = await db.one(_LATEST, subjects=subjects)
    return int(row["epoch"] or 0) if row is not None else 0


async def latest_of_all(db: Reads) -> int:
    """The epoch of the latest revocation of anything; a token from then on needs no closer look."""
    row = await db.one(_LATEST_OF_ALL)
    return int(row["epoch"] or 0) if row is not None else 0


async def is_revoked(db: Reads, subject: str) -> bool:
    return await db.one(_HAS, subject=subject) is not None


async def count(db: Reads) -> int:
    row = await db.one(_COUNT)
    return int(row["count"]) if row is not None else 0
