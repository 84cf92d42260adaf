"""The bounded log of issued tokens: which request, for whom, when. It never holds a token."""

import msgspec

from pileus.foundation.database import Transaction, sql
from pileus.identity.store.projects import Reads


class Issue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One token that was issued; times are UTC microseconds."""

    audit_id: str
    request_id: str
    user_id: str
    project_id: str  # empty for another scope
    methods: tuple[str, ...]
    started_at: int
    duration_us: int
    process: str = ""  # that issued it


_ADD = sql(
    "INSERT INTO identity_access_log (audit_id, request_id, user_id, project_id, methods, started_at, duration_us,"
    " process) VALUES (:audit_id, :request_id, :user_id, :project_id, :methods, :started_at, :duration_us, :process)"
)
_TRIM = sql(
    "DELETE FROM identity_access_log WHERE started_at <="
    " (SELECT started_at FROM identity_access_log ORDER BY started_at DESC LIMIT 1 OFFSET :most)"
)
_FIND = sql(
    "SELECT audit_id, request_id, user_id, project_id, methods, started_at, duration_us, process"
    " FROM identity_access_log WHERE audit_id = :audit_id"
)
_COUNT = sql("SELECT COUNT(*) AS count FROM identity_access_log")


async def add(tx: Transaction, issue: Issue) -> None:
    await tx.run(
        _ADD,
        audit_id=issue.audit_id,
        request_id=issue.request_id,
        user_id=issue.user_id,
        project_id=issue.project_id,
        methods=" ".join(issue.methods),
        started_at=issue.started_at,
        duration_us=issue.duration_us,
        process=issue.process,
    )


async def trim(tx: Transaction, most: int) -> None:
    """Forget all but the newest `most`."""
    await tx.run(_TRIM, most=most)


async def find(db: Reads, audit_id: str) -> Issue | None:
    row = await db.one(_FIND, audit_id=audit_id)
    if row is None:
        return None
    return Issue(
        audit_id=row["audit_id"],
        request_id=row["request_id"],
        user_id=row["user_id"],
        project_id=row["project_id"],
        methods=tuple(row["methods"].split()),
        started_at=row["started_at"],
        duration_us=row["duration_us"],
        process=row["process"],
    )


async def count(db: Reads) -> int:
    row = await db.one(_COUNT)
    return int(row["count"]) if row is not None else 0
