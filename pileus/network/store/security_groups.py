"""Rows of security groups and their rules."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.network.domain.document import read, render
from pileus.network.domain.security_group import Rule, SecurityGroup, fingerprint

_READ = sql("SELECT document, is_default FROM network_security_groups WHERE id = :id")
_READ_MANY = sql("SELECT document, is_default FROM network_security_groups WHERE id IN :ids*")
_DEFAULT = sql("SELECT id FROM network_security_groups WHERE project_id = :project_id AND is_default = 1")
_INSERT = sql(
    "INSERT INTO network_security_groups (id, project_id, name, is_default, created_at, updated_at, revision, "
    "document) VALUES (:id, :project_id, :name, :is_default, :now, :now, :revision, :document)"
)
_UPDATE = sql(
    "UPDATE network_security_groups SET name = :name, updated_at = :now, revision = :revision, document = :document "
    "WHERE id = :id AND revision = :read_revision"
)
_DELETE = sql("DELETE FROM network_security_groups WHERE id = :id AND revision = :revision")
_USED = sql("SELECT 1 FROM network_port_groups WHERE group_id = :id LIMIT 1")
_RULES_OF = sql(
    "SELECT group_id, document FROM network_security_group_rules WHERE group_id IN :ids* ORDER BY created_at, id"
)
_READ_RULE = sql("SELECT document FROM network_security_group_rules WHERE id = :id")
_SAME_RULE = sql(
    "SELECT id FROM network_security_group_rules WHERE group_id = :group_id AND fingerprint = :fingerprint"
)
_INSERT_RULE = sql(
    "INSERT INTO network_security_group_rules (id, project_id, group_id, remote_group_id, fingerprint, created_at, "
    "updated_at, revision, document) VALUES (:id, :project_id, :group_id, :remote_group_id, :fingerprint, :now, :now, "
    ":revision, :document)"
)
_DELETE_RULE = sql("DELETE FROM network_security_group_rules WHERE id = :id")
_DELETE_RULES_OF = sql("DELETE FROM network_security_group_rules WHERE group_id = :id OR remote_group_id = :id")


class StoredGroup(NamedTuple):
    """A group, and whether it is its project's default one."""

    group: SecurityGroup
    is_default: bool


def _stored(row: Any) -> StoredGroup:
    return StoredGroup(read(row["document"], SecurityGroup), bool(row["is_default"]))


async def find(db: Database | Transaction, group_id: str) -> StoredGroup | None:
    row = await db.one(_READ, id=group_id)
    return _stored(row) if row else None


async def find_many(db: Database | Transaction, ids: Sequence[str]) -> list[StoredGroup]:
    return [_stored(row) for row in await db.all(_READ_MANY, ids=list(ids))]


async def default_of(db: Database | Transaction, project_id: str) -> str | None:
    """The id of the project's default group."""
    row = await db.one(_DEFAULT, project_id=project_id)
    return row["id"] if row else None


async def insert(tx: Transaction, stored: StoredGroup, now: int) -> None:
    group = stored.group
    await tx.run(
        _INSERT,
        id=group.id,
        project_id=group.project_id,
        name=group.name,
        is_default=int(stored.is_default),
        now=now,
        revision=group.revision_number,
        document=render(group),
    )


async def update(tx: Transaction, old: SecurityGroup, new: SecurityGroup, now: int) -> None:
    """Write `new` over `old`. Raises: ConcurrentChange."""
    done = await tx.run(
        _UPDATE,
        id=new.id,
        name=new.name,
        now=now,
        revision=new.revision_number,
        document=render(new),
        read_revision=old.revision_number,
    )
    if not done:
        raise ConcurrentChange()


async def delete(tx: Transaction, group: SecurityGroup) -> None:
    """Remove the group that was read, its rules, and other groups' rules that speak of it. Raises: ConcurrentChange."""
    await tx.run(_DELETE_RULES_OF, id=group.id)
    if not await tx.run(_DELETE, id=group.id, revision=group.revision_number):
        raise ConcurrentChange()


async def is_used(tx: Transaction, group_id: str) -> bool:
    """Whether a port has the group."""
    return await tx.one(_USED, id=group_id) is not None


# -- rules --------------------------------------------------------------------------------------------------------
async def rule_documents(db: Database | Transaction, group_ids: Sequence[str]) -> dict[str, list[str]]:
    """The rules of these groups as rendered, by group."""
    found: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
    for row in await db.all(_RULES_OF, ids=list(group_ids)):
        found[row["group_id"]].append(row["document"])
    return found


async def find_rule(db: Database | Transaction, rule_id: str) -> Rule | None:
    row = await db.one(_READ_RULE, id=rule_id)
    return read(row["document"], Rule) if row else None


async def same_rule(tx: Transaction, rule: Rule) -> str | None:
    """The id of an equal rule in the same group."""
    row = await tx.one(_SAME_RULE, group_id=rule.security_group_id, fingerprint=fingerprint(rule))
    return row["id"] if row else None


async def insert_rule(tx: Transaction, rule: Rule, now: int) -> None:
    await tx.run(
        _INSERT_RULE,
        id=rule.id,
        project_id=rule.project_id,
        group_id=rule.security_group_id,
        remote_group_id=rule.remote_group_id,
        fingerprint=fingerprint(rule),
        now=now,
        revision=rule.revision_number,
        document=render(rule),
    )


async def delete_rule(tx: Transaction, rule_id: str) -> None:
    await tx.run(_DELETE_RULE, id=rule_id)
