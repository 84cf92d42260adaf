"""Security groups and their rules: make, change, delete."""

from collections.abc import Sequence

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import default_group
from pileus.network.app.ports import Actor
from pileus.network.app.quotas import admit, admit_all
from pileus.network.app.revisions import expect, next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.errors import (
    DuplicateSecurityGroupRuleInPost,
    SecurityGroupCannotRemoveDefault,
    SecurityGroupCannotUpdateDefault,
    SecurityGroupDefaultAlreadyExists,
    SecurityGroupInUse,
    SecurityGroupNotFound,
    SecurityGroupNotSingleGroupRules,
    SecurityGroupRuleExists,
    SecurityGroupRuleNotFound,
)
from pileus.network.domain.moment import written
from pileus.network.domain.security_group import DEFAULT, NewRule, Rule, SecurityGroup, is_repeated, plan_rule
from pileus.network.store import security_groups
from pileus.network.store.security_groups import StoredGroup


class NewGroup(msgspec.Struct, frozen=True, kw_only=True):
    project_id: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


async def find(service: NetworkService, group_id: str) -> SecurityGroup | None:
    stored = await security_groups.find(service.database, group_id)
    return stored.group if stored else None


async def find_rule(service: NetworkService, rule_id: str) -> Rule | None:
    return await security_groups.find_rule(service.database, rule_id)


async def rule_documents(service: NetworkService, group_ids: Sequence[str]) -> dict[str, list[str]]:
    """The rendered rules of these groups, by group."""
    return await security_groups.rule_documents(service.database, group_ids)


async def ensure_default(service: NetworkService, project_id: str) -> None:
    """Have the project's default group; on disk before anybody is told its id."""
    if not project_id or await security_groups.default_of(service.database, project_id) is not None:
        return

    async def work(tx: Transaction) -> None:
        await default_group.ensure(tx, service, project_id)

    await service.transact(work)
    await service.database.durable()


async def create(service: NetworkService, wanted: Sequence[NewGroup]) -> list[SecurityGroup]:
    """Make these groups, all or none. Raises: OverQuota, SecurityGroupDefaultAlreadyExists (409)."""
    if any(new.name == DEFAULT for new in wanted):
        raise SecurityGroupDefaultAlreadyExists()

    async def work(tx: Transaction) -> list[SecurityGroup]:
        for project_id in sorted({new.project_id for new in wanted}):
            await default_group.ensure(tx, service, project_id)
        owners = [new.project_id for new in wanted]
        await admit_all(tx, service, owners, "security_group")
        await admit_all(tx, service, owners * 2, "security_group_rule")
        return [await _insert(tx, service, new) for new in wanted]

    return await service.transact(work)


async def _insert(tx: Transaction, service: NetworkService, new: NewGroup) -> SecurityGroup:
    now = service.runtime.now()
    group = SecurityGroup(
        id=service.runtime.uuid(),
        name=new.name,
        project_id=new.project_id,
        tenant_id=new.project_id,
        description=new.description,
        tags=new.tags,
        created_at=written(now),
        updated_at=written(now),
    )
    await default_group.insert_with_rules(tx, service, StoredGroup(group, False), now)
    return group


async def update(
    service: NetworkService,
    group_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    revision: int | None = None,
) -> SecurityGroup:
    """Rename or describe a group; the default one keeps its name, which nobody else may have.

    Raises: SecurityGroupNotFound (404), SecurityGroupCannotUpdateDefault, SecurityGroupDefaultAlreadyExists (409),
    RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> SecurityGroup:
        stored = await _existing(tx, group_id)
        old = stored.group
        expect(old, revision)
        if name is not None and name != old.name:
            if stored.is_default:
                raise SecurityGroupCannotUpdateDefault()
            if name == DEFAULT:
                raise SecurityGroupDefaultAlreadyExists()
        now = service.runtime.now()
        new = msgspec.structs.replace(
            old,
            name=old.name if name is None else name,
            description=old.description if description is None else description,
        )
        new = next_revision(old, new, now)
        await security_groups.update(tx, old, new, now)
        return new

    return await service.transact(work)


async def _existing(tx: Transaction, group_id: str) -> StoredGroup:
    stored = await security_groups.find(tx, group_id)
    if stored is None:
        raise SecurityGroupNotFound(id=group_id)
    return stored


async def delete(service: NetworkService, group_id: str, actor: Actor, *, revision: int | None = None) -> None:
    """Delete a group that no port has. The default one only an administrator can delete; it comes again when needed.

    Raises: SecurityGroupNotFound (404), SecurityGroupInUse, SecurityGroupCannotRemoveDefault (409),
    RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> None:
        stored = await _existing(tx, group_id)
        expect(stored.group, revision)
        if stored.is_default and not actor.is_admin:
            raise SecurityGroupCannotRemoveDefault()
        if await security_groups.is_used(tx, group_id):
            raise SecurityGroupInUse(id=group_id)
        await security_groups.delete(tx, stored.group)

    await service.transact(work)


# -- rules --------------------------------------------------------------------------------------------------------
async def create_rules(service: NetworkService, wanted: Sequence[NewRule], actor: Actor) -> list[Rule]:
    """Add rules to one group, all or none. They belong to the group's project.

    Raises: as `plan_rule`; SecurityGroupNotSingleGroupRules (400), SecurityGroupNotFound (404), OverQuota,
    SecurityGroupRuleExists, DuplicateSecurityGroupRuleInPost (409).
    """
    if len({new.security_group_id for new in wanted}) > 1:
        raise SecurityGroupNotSingleGroupRules()

    async def work(tx: Transaction) -> list[Rule]:
        stored = await _existing(tx, wanted[0].security_group_id)
        project_id = stored.group.project_id
        now = service.runtime.now()
        rules = [
            msgspec.structs.replace(
                plan_rule(new, id=service.runtime.uuid(), project_id=project_id, in_default=stored.is_default),
                created_at=written(now),
                updated_at=written(now),
            )
            for new in wanted
        ]
        if is_repeated(rules):
            raise DuplicateSecurityGroupRuleInPost()
        await admit(tx, service, project_id, "security_group_rule", len(rules))
        for rule in rules:
            await _insert_rule(tx, rule, actor, now)
        await _bump(tx, stored.group, now)
        return rules

    return await service.transact(work)


async def _insert_rule(tx: Transaction, rule: Rule, actor: Actor, now: int) -> None:
    if rule.remote_group_id is not None:
        remote = await _existing(tx, rule.remote_group_id)
        if not actor.is_admin and remote.group.project_id != rule.project_id:
            raise SecurityGroupNotFound(id=rule.remote_group_id)
    same = await security_groups.same_rule(tx, rule)
    if same is not None:
        raise SecurityGroupRuleExists(rule_id=same)
    await security_groups.insert_rule(tx, rule, now)


async def _bump(tx: Transaction, group: SecurityGroup, now: int) -> None:
    """A change of its rules is a change of the group."""
    await security_groups.update(tx, group, next_revision(group, group, now), now)


async def delete_rule(service: NetworkService, rule_id: str, *, revision: int | None = None) -> None:
    """Raises: SecurityGroupRuleNotFound (404), RevisionNumberConstraintFailed (412)."""

    async def work(tx: Transaction) -> None:
        rule = await security_groups.find_rule(tx, rule_id)
        if rule is None:
            raise SecurityGroupRuleNotFound(id=rule_id)
        expect(rule, revision)
        await security_groups.delete_rule(tx, rule_id)
        stored = await _existing(tx, rule.security_group_id)
        await _bump(tx, stored.group, service.runtime.now())

    await service.transact(work)
