"""Rows of users, with what a password login needs."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.project import name_key
from pileus.identity.domain.user import Credentials, User
from pileus.identity.store import documents
from pileus.identity.store.filters import selection
from pileus.identity.store.projects import Reads

_COLUMNS = "id, name, domain_id, enabled, default_project_id, options, extra, password_expires_at"
_SELECT = f"SELECT {_COLUMNS} FROM identity_users"
_GET = sql(f"{_SELECT} WHERE id = :id")
_AMONG = sql(f"{_SELECT} WHERE id IN :ids* ORDER BY id")
_BY_NAME = sql(f"{_SELECT} WHERE domain_id = :domain_id AND name_key = :name_key")
_INSERT = sql(
    "INSERT INTO identity_users (id, name, name_key, domain_id, enabled, default_project_id, options,"
    " extra, password_hash, password_set_at, password_expires_at, failed_logins, last_failed_at)"
    " VALUES (:id, :name, :name_key, :domain_id, :enabled, :default_project_id, :options,"
    " :extra, '', 0, NULL, 0, 0)"
)
_UPDATE = sql(
    "UPDATE identity_users SET name = :name, name_key = :name_key, enabled = :enabled,"
    " default_project_id = :default_project_id, options = :options, extra = :extra"
    " WHERE id = :id"
)
_DELETE = sql("DELETE FROM identity_users WHERE id = :id")
_FORGET_PROJECT = sql("UPDATE identity_users SET default_project_id = NULL WHERE default_project_id = :project_id")
_IN_DOMAIN = sql("SELECT id FROM identity_users WHERE domain_id = :domain_id ORDER BY id")

_CREDENTIALS = (
    "SELECT u.id, u.password_hash, u.password_set_at, u.password_expires_at, u.failed_logins, u.last_failed_at,"
    " u.options, u.enabled, d.enabled AS domain_enabled"
    " FROM identity_users u JOIN identity_projects d ON d.id = u.domain_id"
)
_CREDENTIALS_BY_ID = sql(f"{_CREDENTIALS} WHERE u.id = :id")
_CREDENTIALS_BY_NAME = sql(f"{_CREDENTIALS} WHERE u.domain_id = :domain_id AND u.name_key = :name_key")
_SET_PASSWORD = sql(
    "UPDATE identity_users SET password_hash = :hash, password_set_at = :now, password_expires_at = :expires_at,"
    " failed_logins = 0, last_failed_at = 0 WHERE id = :id"
)
_REPLACE_HASH = sql("UPDATE identity_users SET password_hash = :hash WHERE id = :id AND password_hash = :known")
_FAILED = sql("UPDATE identity_users SET failed_logins = :count, last_failed_at = :now WHERE id = :id")
_FORGET_FAILURES = sql(
    "UPDATE identity_users SET failed_logins = 0, last_failed_at = 0 WHERE id = :id AND password_hash = :known"
)
_HISTORY = sql("SELECT hash FROM identity_password_history WHERE user_id = :id ORDER BY set_at DESC LIMIT :most")
_LAST_SET = sql("SELECT MAX(set_at) AS set_at FROM identity_password_history WHERE user_id = :id")
_REMEMBER = sql("INSERT INTO identity_password_history (user_id, set_at, hash) VALUES (:id, :set_at, :hash)")
_FORGET = sql(
    "DELETE FROM identity_password_history WHERE user_id = :id AND set_at NOT IN"
    " (SELECT set_at FROM identity_password_history WHERE user_id = :id ORDER BY set_at DESC LIMIT :keep)"
)


def _user(row: Any) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        domain_id=row["domain_id"],
        enabled=bool(row["enabled"]),
        default_project_id=row["default_project_id"],
        options=documents.read(row["options"]),
        extra=documents.read(row["extra"]),
        password_expires_at=row["password_expires_at"],
    )


def _credentials(row: Any) -> Credentials:
    return Credentials(
        user_id=row["id"],
        password_hash=row["password_hash"],
        password_set_at=row["password_set_at"],
        password_expires_at=row["password_expires_at"],
        failed_logins=row["failed_logins"],
        last_failed_at=row["last_failed_at"],
        options=documents.read(row["options"]),
        is_enabled=bool(row["enabled"]) and bool(row["domain_enabled"]),
    )


async def find(db: Reads, id: str) -> User | None:
    row = await db.one(_GET, id=id)
    return None if row is None else _user(row)


async def find_by_name(db: Reads, name: str, domain_id: str) -> User | None:
    row = await db.one(_BY_NAME, domain_id=domain_id, name_key=name_key(name))
    return None if row is None else _user(row)


async def among(db: Reads, ids: Sequence[str]) -> list[User]:
    """Those of `ids` that exist, ordered by id."""
    return [_user(row) for row in await db.all(_AMONG, ids=list(ids))]


async def listed(db: Reads, conditions: Sequence[Condition], most: int | None = None) -> list[User]:
    """Users that meet all conditions, ordered by id."""
    statement, values = selection(_SELECT, conditions, "id", most)
    return [_user(row) for row in await db.all(statement, **values)]


async def in_domain(db: Reads, domain_id: str) -> list[str]:
    return [row["id"] for row in await db.all(_IN_DOMAIN, domain_id=domain_id)]


async def insert(tx: Transaction, user: User) -> None:
    """A user without a password. Raises: Duplicate when the name is taken in the domain."""
    await tx.run(_INSERT, domain_id=user.domain_id, **_values(user))


async def update(tx: Transaction, user: User) -> None:
    """Write everything but id, domain and password. Raises: Duplicate when the name is taken."""
    await tx.run(_UPDATE, **_values(user))


def _values(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "name_key": name_key(user.name),
        "enabled": int(user.enabled),
        "default_project_id": user.default_project_id,
        "options": documents.write(user.options),
        "extra": documents.write(user.extra),
    }


async def delete(tx: Transaction, id: str) -> None:
    await tx.run(_FORGET, id=id, keep=0)
    await tx.run(_DELETE, id=id)


async def forget_project(tx: Transaction, project_id: str) -> None:
    """Nobody's default project is one that is gone."""
    await tx.run(_FORGET_PROJECT, project_id=project_id)


async def find_credentials(db: Reads, id: str) -> Credentials | None:
    row = await db.one(_CREDENTIALS_BY_ID, id=id)
    return None if row is None else _credentials(row)


async def find_credentials_by_name(db: Reads, name: str, domain_id: str) -> Credentials | None:
    row = await db.one(_CREDENTIALS_BY_NAME, domain_id=domain_id, name_key=name_key(name))
    return None if row is None else _credentials(row)


async def set_password(tx: Transaction, id: str, hash: str, now: int, expires_at: int | None, keep: int) -> None:
    """The new hash; the last `keep` ones are remembered, this one included."""
    await tx.run(_SET_PASSWORD, id=id, hash=hash, now=now, expires_at=expires_at)
    if keep:
        last = await tx.one(_LAST_SET, id=id)
        after = (last["set_at"] or 0) + 1 if last else 0
        await tx.run(_REMEMBER, id=id, set_at=max(now, after), hash=hash)
    await tx.run(_FORGET, id=id, keep=keep)


async def replace_hash(tx: Transaction, id: str, known: str, hash: str) -> None:
    """Another hash of the same password; of a password that was changed meanwhile nothing comes back."""
    await tx.run(_REPLACE_HASH, id=id, known=known, hash=hash)


async def forget_failures(tx: Transaction, id: str, known: str) -> None:
    """The password whose hash we know was given."""
    await tx.run(_FORGET_FAILURES, id=id, known=known)


async def previous_hashes(db: Reads, id: str, most: int) -> list[str]:
    """The last `most` password hashes, the current one first."""
    return [row["hash"] for row in await db.all(_HISTORY, id=id, most=most)]


async def note_failures(tx: Transaction, id: str, count: int, now: int) -> None:
    await tx.run(_FAILED, id=id, count=count, now=now)
