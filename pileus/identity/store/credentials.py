"""Rows of users' credentials; the store sees sealed bytes only."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.identity.domain.credential import Credential
from pileus.identity.domain.filters import Condition
from pileus.identity.store import documents
from pileus.identity.store.filters import selection
from pileus.identity.store.projects import Reads

_SELECT = "SELECT id, user_id, type, sealed, project_id, application_credential_id, extra FROM identity_credentials"
_GET = sql(f"{_SELECT} WHERE id = :id")
_INSERT = sql(
    "INSERT INTO identity_credentials (id, user_id, type, sealed, project_id, application_credential_id, extra)"
    " VALUES (:id, :user_id, :type, :sealed, :project_id, :application_credential_id, :extra)"
)
_UPDATE = sql("UPDATE identity_credentials SET sealed = :sealed, extra = :extra WHERE id = :id")
_DELETE = sql("DELETE FROM identity_credentials WHERE id = :id")
_DROP_USER = sql("DELETE FROM identity_credentials WHERE user_id = :user_id")
_DROP_PROJECT = sql("DELETE FROM identity_credentials WHERE project_id = :project_id")
_DROP_CHILDREN = sql("DELETE FROM identity_credentials WHERE application_credential_id = :id")

Sealed = tuple[Credential, bytes]
"""A credential without its blob, and the blob sealed."""


def _credential(row: Any) -> Sealed:
    credential = Credential(
        id=row["id"],
        user_id=row["user_id"],
        type=row["type"],
        blob="",
        project_id=row["project_id"],
        application_credential_id=row["application_credential_id"],
        extra=documents.read(row["extra"]),
    )
    return credential, bytes(row["sealed"])


async def find(db: Reads, id: str) -> Sealed | None:
    row = await db.one(_GET, id=id)
    return None if row is None else _credential(row)


async def listed(db: Reads, conditions: Sequence[Condition]) -> list[Sealed]:
    """Credentials that meet all conditions, ordered by id."""
    statement, values = selection(_SELECT, conditions, "id")
    return [_credential(row) for row in await db.all(statement, **values)]


async def insert(tx: Transaction, credential: Credential, sealed: bytes) -> None:
    """Raises: Duplicate when there is one with the id."""
    await tx.run(
        _INSERT,
        id=credential.id,
        user_id=credential.user_id,
        type=credential.type,
        sealed=sealed,
        project_id=credential.project_id,
        application_credential_id=credential.application_credential_id,
        extra=documents.write(credential.extra),
    )


async def update(tx: Transaction, credential: Credential, sealed: bytes) -> None:
    await tx.run(_UPDATE, id=credential.id, sealed=sealed, extra=documents.write(credential.extra))


async def delete(tx: Transaction, id: str) -> bool:
    """Whether it was there."""
    return await tx.run(_DELETE, id=id) > 0


async def drop_user(tx: Transaction, user_id: str) -> None:
    await tx.run(_DROP_USER, user_id=user_id)


async def drop_project(tx: Transaction, project_id: str) -> None:
    await tx.run(_DROP_PROJECT, project_id=project_id)


async def drop_children(tx: Transaction, application_credential_id: str) -> None:
    """Those that were made with an application credential."""
    await tx.run(_DROP_CHILDREN, id=application_credential_id)
