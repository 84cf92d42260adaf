"""Rows of application credentials and of the access rules made with them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Transaction, sql
from pileus.identity.domain.application_credential import AccessRule, ApplicationCredential
from pileus.identity.store.projects import Reads

_SELECT = (
    "SELECT id, user_id, name, project_id, description, expires_at, unrestricted, role_ids, access_rules"
    " FROM identity_application_credentials"
)
_GET = sql(f"{_SELECT} WHERE id = :id")
_OF_USER = sql(f"{_SELECT} WHERE user_id = :user_id ORDER BY id")
_BY_NAME = sql(f"{_SELECT} WHERE user_id = :user_id AND name = :name")
_SECRET = sql("SELECT secret_hash FROM identity_application_credentials WHERE id = :id")
_INSERT = sql(
    "INSERT INTO identity_application_credentials (id, user_id, name, project_id, description, secret_hash, expires_at,"
    " unrestricted, role_ids, access_rules) VALUES (:id, :user_id, :name, :project_id, :description, :secret_hash,"
    " :expires_at, :unrestricted, :role_ids, :access_rules)"
)
_DELETE = sql("DELETE FROM identity_application_credentials WHERE id = :id")
_DROP_USER = sql("DELETE FROM identity_application_credentials WHERE user_id = :user_id")
_DROP_PROJECT = sql("DELETE FROM identity_application_credentials WHERE project_id = :project_id")
_RULES = "SELECT id, user_id, service, method, path FROM identity_access_rules"
_RULES_OF = sql(f"{_RULES} WHERE user_id = :user_id ORDER BY id")
_RULE = sql(f"{_RULES} WHERE id = :id AND user_id = :user_id")
_ADD_RULE = sql(
    "INSERT INTO identity_access_rules (id, user_id, service, method, path)"
    " VALUES (:id, :user_id, :service, :method, :path)"
)
_DROP_RULE = sql("DELETE FROM identity_access_rules WHERE id = :id")
_DROP_RULES = sql("DELETE FROM identity_access_rules WHERE user_id = :user_id")

_encode = msgspec.json.encode
_decode_ids = msgspec.json.Decoder(tuple[str, ...]).decode


def _credential(row: Any) -> ApplicationCredential:
    rules = row["access_rules"]
    return ApplicationCredential(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        project_id=row["project_id"],
        description=row["description"],
        expires_at=row["expires_at"],
        unrestricted=bool(row["unrestricted"]),
        role_ids=_decode_ids(row["role_ids"]),
        access_rule_ids=_decode_ids(rules) if rules else None,
    )


def _rule(row: Any) -> AccessRule:
    return AccessRule(
        id=row["id"], user_id=row["user_id"], service=row["service"], method=row["method"], path=row["path"]
    )


async def find(db: Reads, id: str) -> ApplicationCredential | None:
    row = await db.one(_GET, id=id)
    return None if row is None else _credential(row)


async def find_by_name(db: Reads, user_id: str, name: str) -> ApplicationCredential | None:
    row = await db.one(_BY_NAME, user_id=user_id, name=name)
    return None if row is None else _credential(row)


async def of_user(db: Reads, user_id: str) -> list[ApplicationCredential]:
    return [_credential(row) for row in await db.all(_OF_USER, user_id=user_id)]


async def secret_hash(db: Reads, id: str) -> str:
    """The hash of its secret; empty when there is no such credential."""
    row = await db.one(_SECRET, id=id)
    return "" if row is None else str(row["secret_hash"])


async def insert(tx: Transaction, credential: ApplicationCredential, secret_hash: str) -> None:
    """Raises: Duplicate when the user has one of that name."""
    rules = credential.access_rule_ids
    await tx.run(
        _INSERT,
        id=credential.id,
        user_id=credential.user_id,
        name=credential.name,
        project_id=credential.project_id,
        description=credential.description,
        secret_hash=secret_hash,
        expires_at=credential.expires_at,
        unrestricted=int(credential.unrestricted),
        role_ids=_encode(credential.role_ids).decode(),
        access_rules="" if rules is None else _encode(rules).decode(),
    )


async def delete(tx: Transaction, id: str) -> None:
    await tx.run(_DELETE, id=id)


async def drop_user(tx: Transaction, user_id: str) -> None:
    await tx.run(_DROP_USER, user_id=user_id)
    await tx.run(_DROP_RULES, user_id=user_id)


async def drop_project(tx: Transaction, project_id: str) -> None:
    await tx.run(_DROP_PROJECT, project_id=project_id)


async def rules_of(db: Reads, user_id: str) -> Sequence[AccessRule]:
    return [_rule(row) for row in await db.all(_RULES_OF, user_id=user_id)]


async def find_rule(db: Reads, user_id: str, id: str) -> AccessRule | None:
    row = await db.one(_RULE, id=id, user_id=user_id)
    return None if row is None else _rule(row)


async def add_rule(tx: Transaction, rule: AccessRule) -> None:
    await tx.run(_ADD_RULE, id=rule.id, user_id=rule.user_id, service=rule.service, method=rule.method, path=rule.path)


async def drop_rule(tx: Transaction, id: str) -> None:
    await tx.run(_DROP_RULE, id=id)
