"""How much a project may have: asked inside the transaction that makes something."""

from collections.abc import Mapping, Sequence

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app.service import NetworkService
from pileus.network.domain.errors import HTTPBadRequest, TenantQuotaNotFound
from pileus.network.domain.quota import COUNTED, UNLIMITED, check
from pileus.network.store import quotas


class Usage(msgspec.Struct, frozen=True):
    """One line of the detailed view; nothing is ever reserved here."""

    limit: int
    used: int
    reserved: int = 0


async def admit(tx: Transaction, service: NetworkService, project_id: str, resource: str, wanted: int = 1) -> None:
    """Let the project have `wanted` more. Raises: OverQuota (409)."""
    if not project_id:
        return
    await tx.lock("network-quota", project_id, resource)
    limit = await limit_of(tx, service, project_id, resource)
    if limit != UNLIMITED:
        check(resource, limit, await quotas.used(tx, project_id, resource), wanted)


async def admit_all(tx: Transaction, service: NetworkService, owners: Sequence[str], resource: str) -> None:
    """As `admit`, for one new thing of each of `owners`, who may repeat. Raises: OverQuota (409)."""
    for project_id in sorted(set(owners)):
        await admit(tx, service, project_id, resource, owners.count(project_id))


async def limit_of(tx: Transaction, service: NetworkService, project_id: str, resource: str) -> int:
    """The limit that holds for the project."""
    own = await quotas.limit(tx, project_id, resource)
    return service.settings.quotas[resource] if own is None else own


async def limits(service: NetworkService, project_id: str) -> dict[str, int]:
    """Every limit of the project."""
    return {**service.settings.quotas, **await quotas.limits(service.database, project_id)}


async def all_limits(service: NetworkService) -> dict[str, dict[str, int]]:
    """The limits of the projects that have their own."""
    found = await quotas.all_limits(service.database)
    return {project_id: {**service.settings.quotas, **own} for project_id, own in found.items()}


async def usage(service: NetworkService, project_id: str) -> dict[str, Usage]:
    """Every limit of the project, with what it uses."""
    return {
        resource: Usage(limit, await quotas.used(service.database, project_id, resource))
        for resource, limit in (await limits(service, project_id)).items()
    }


async def update(service: NetworkService, project_id: str, wanted: Mapping[str, int], *, force: bool) -> None:
    """Give the project its own limits; below what it uses only with `force`. Raises: HTTPBadRequest (400)."""

    async def work(tx: Transaction) -> None:
        for resource, limit in wanted.items():
            await tx.lock("network-quota", project_id, resource)
            used = await quotas.used(tx, project_id, resource) if resource in COUNTED and not force else 0
            if limit != UNLIMITED and used > limit:
                raise HTTPBadRequest(
                    reason=f"Quota limit {limit} for {resource} must be greater than or equal to already used {used}"
                )
        await quotas.put(tx, project_id, wanted)

    await service.transact(work)


async def delete(service: NetworkService, project_id: str) -> None:
    """Let the defaults hold again. Raises: TenantQuotaNotFound (404)."""

    async def work(tx: Transaction) -> None:
        if not await quotas.clear(tx, project_id):
            raise TenantQuotaNotFound(project_id=project_id)

    await service.transact(work)
