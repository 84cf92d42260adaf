"""Quotas: reading and changing limits, counting what is used."""

from collections.abc import Mapping

from pileus.compute.domain import quota
from pileus.compute.service import Compute
from pileus.compute.store import keypairs, quotas, server_groups, servers
from pileus.foundation.context import Context
from pileus.foundation.database import Database, Transaction


async def limits(compute: Compute, project_id: str) -> dict[str, int]:
    """Every limit of the project; -1 is no limit."""
    return await quotas.limits(compute.database, project_id)


async def defaults(compute: Compute) -> dict[str, int]:
    """The limits of projects that have none of their own."""
    return await quotas.defaults(compute.database)


async def used(compute: Compute, project_id: str) -> dict[str, int]:
    """What the project uses of what is counted for projects."""
    return await _used(compute.database, project_id)


async def _used(tx: Database | Transaction, project_id: str) -> dict[str, int]:
    return {**await servers.used(tx, project_id), "server_groups": await server_groups.count(tx, project_id)}


async def key_pairs(compute: Compute, user_id: str) -> int:
    return await keypairs.count(compute.database, user_id)


async def update(compute: Compute, project_id: str, changes: Mapping[str, int], *, force: bool) -> dict[str, int]:
    """Set limits of a project. Raises: BadRequest (400) for less than what is used, unless forced."""

    async def work(tx: Transaction) -> dict[str, int]:
        await tx.lock("quota", project_id)
        await tx.lock("quota", project_id, "server_groups")
        quota.check_new_limits(changes, await _used(tx, project_id), force=force)
        await quotas.put(tx, project_id, changes)
        return await quotas.limits(tx, project_id)

    return await compute.database.transact(work)


async def of_class(compute: Compute, name: str) -> dict[str, int]:
    """The limits of a quota class. Only the class "default" is in force; others may be kept, and are."""
    return await quotas.of_class(compute.database, name)


async def update_class(compute: Compute, name: str, changes: Mapping[str, int]) -> dict[str, int]:
    """Set limits of a class: of "default", for all projects that have none of their own. Raises: BadRequest (400)."""

    async def work(tx: Transaction) -> dict[str, int]:
        quota.check_new_limits(changes, {}, force=True)
        await quotas.put(tx, quotas.class_key(name), changes)
        return await quotas.of_class(tx, name)

    return await compute.database.transact(work)


async def reset(compute: Compute, project_id: str) -> None:
    """Forget a project's own limits."""
    await compute.database.transact(lambda tx: quotas.drop(tx, project_id))


async def check_items(compute: Compute, context: Context, asked: Mapping[str, int]) -> None:
    """Refuse more of what bounds single requests (metadata items, files) than the limit. Raises: OverQuota (403)."""
    if asked:
        quota.check(await quotas.limits(compute.database, context.project_id), {}, asked)
