"""Quotas: reading and changing limits, counting what is used."""

from collections.abc import Iterable, Mapping

from pileus.foundation.database import Transaction
from pileus.volume.domain import quota
from pileus.volume.service import VolumeService
from pileus.volume.store import quotas, types, volumes


async def limits(service: VolumeService, project_id: str) -> dict[str, int]:
    """Every limit of a project, those of types too; -1 is no limit."""
    names = await types.names(service.database)
    return _with_types(await quotas.limits(service.database, project_id), names.values())


async def defaults(service: VolumeService) -> dict[str, int]:
    """The limits of projects that have none of their own."""
    names = await types.names(service.database)
    return _with_types(await quotas.defaults(service.database), names.values())


def _with_types(limits: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    """The limits, those of types in their place; limits of types that are gone are left out."""
    of_types = quota.type_limits(names)
    return {name: limits.get(name, default) for name, default in {**quota.DEFAULT_LIMITS, **of_types}.items()}


async def used(service: VolumeService, project_id: str) -> dict[str, int]:
    """What the project uses, in all and by type."""
    return await volumes.used(service.database, project_id, await types.names(service.database))


async def update(
    service: VolumeService, project_id: str, changes: Mapping[str, int], *, skip_validation: bool
) -> dict[str, int]:
    """Set limits of a project. Raises: BadRequest (400)."""

    async def work(tx: Transaction) -> dict[str, int]:
        await tx.lock("quota", project_id, "volumes")
        names = await types.names(tx)
        known = {**quota.DEFAULT_LIMITS, **quota.type_limits(names.values())}
        in_use = await volumes.used(tx, project_id, names)
        quota.check_new_limits(changes, known, in_use, below=skip_validation)
        await quotas.put(tx, project_id, changes)
        return _with_types(await quotas.limits(tx, project_id), names.values())

    return await service.database.transact(work)


async def update_defaults(service: VolumeService, changes: Mapping[str, int]) -> dict[str, int]:
    """Set limits for all projects that have none of their own. Raises: BadRequest (400)."""

    async def work(tx: Transaction) -> dict[str, int]:
        names = await types.names(tx)
        quota.check_new_limits(changes, {**quota.DEFAULT_LIMITS, **quota.type_limits(names.values())}, {}, below=True)
        await quotas.put(tx, quotas.DEFAULT_CLASS, changes)
        return _with_types(await quotas.defaults(tx), names.values())

    return await service.database.transact(work)


async def reset(service: VolumeService, project_id: str) -> None:
    """Forget a project's own limits."""
    await service.database.transact(lambda tx: quotas.drop(tx, project_id))
