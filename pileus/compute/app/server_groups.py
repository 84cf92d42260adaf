"""Server groups: making and removing them; servers join when they are launched."""

from msgspec import Struct

from pileus.compute.app.servers import sees
from pileus.compute.domain import quota
from pileus.compute.domain.candidate import Policy
from pileus.compute.domain.errors import ServerGroupNotFound
from pileus.compute.domain.server_group import ServerGroup
from pileus.compute.service import Compute
from pileus.compute.store import quotas, server_groups
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction


class GroupWithMembers(Struct, frozen=True):
    group: ServerGroup
    members: list[str]


async def create(
    compute: Compute, context: Context, *, name: str, policy: Policy, max_server_per_host: int | None
) -> GroupWithMembers:
    """Raises: ServerGroupQuotaExceeded (403)."""
    group = ServerGroup(
        id=compute.runtime.uuid(), name=name, project_id=context.project_id, user_id=context.user_id, policy=policy,
        max_server_per_host=max_server_per_host, created_at=compute.runtime.now(),
    )  # fmt: skip

    async def work(tx: Transaction) -> None:
        await tx.lock("quota", context.project_id, "server_groups")
        used = await server_groups.count(tx, context.project_id)
        limits = await quotas.limits(tx, context.project_id)
        quota.check(limits, {"server_groups": used}, {"server_groups": 1})
        await server_groups.insert(tx, group)

    await compute.database.transact(work)
    return GroupWithMembers(group, [])


async def get(compute: Compute, context: Context, group_id: str) -> GroupWithMembers:
    """Raises: ServerGroupNotFound (404)."""
    group = await server_groups.get(compute.database, group_id)
    if not sees(context, group.project_id):
        raise ServerGroupNotFound(group_id=group_id)
    members = await server_groups.members(compute.database, [group_id])
    return GroupWithMembers(group, members[group_id])


async def listed(compute: Compute, project_id: str | None, *, limit: int, offset: int) -> list[GroupWithMembers]:
    """Groups of one project, or of all (None)."""
    groups = await server_groups.listed(compute.database, project_id, limit=limit, offset=offset)
    members = await server_groups.members(compute.database, [group.id for group in groups])
    return [GroupWithMembers(group, members[group.id]) for group in groups]


async def delete(compute: Compute, context: Context, group_id: str) -> None:
    """Its servers stay as they are. Raises: ServerGroupNotFound (404)."""
    await get(compute, context, group_id)
    await compute.database.transact(lambda tx: server_groups.delete(tx, group_id))
