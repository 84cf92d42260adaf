"""The default security group of a project: made when it is first needed."""

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app.service import NetworkService
from pileus.network.domain.moment import written
from pileus.network.domain.security_group import (
    DEFAULT,
    DEFAULT_DESCRIPTION,
    SecurityGroup,
    first_rules,
    plan_rule,
)
from pileus.network.store import security_groups
from pileus.network.store.security_groups import StoredGroup


async def ensure(tx: Transaction, service: NetworkService, project_id: str) -> str:
    """The id of the project's default group, which is there afterwards."""
    known = await security_groups.default_of(tx, project_id)
    if known is not None:
        return known
    now = service.runtime.now()
    group = SecurityGroup(
        id=service.runtime.uuid(),
        name=DEFAULT,
        project_id=project_id,
        tenant_id=project_id,
        description=DEFAULT_DESCRIPTION,
        created_at=written(now),
        updated_at=written(now),
    )
    await insert_with_rules(tx, service, StoredGroup(group, True), now)
    return group.id


async def insert_with_rules(tx: Transaction, service: NetworkService, stored: StoredGroup, now: int) -> None:
    """Write a new group with the rules every new one has."""
    group = stored.group
    await security_groups.insert(tx, stored, now)
    for new in first_rules(group.id, is_default=stored.is_default):
        rule = plan_rule(new, id=service.runtime.uuid(), project_id=group.project_id, in_default=stored.is_default)
        made = msgspec.structs.replace(rule, created_at=written(now), updated_at=written(now))
        await security_groups.insert_rule(tx, made, now)
