"""Flavors: what sizes there are, who may use which, and what further they ask of a host."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pileus.compute.domain.errors import FlavorExtraSpecNotFound, FlavorNotFound
from pileus.compute.domain.flavor import Flavor, check_extra_specs
from pileus.compute.service import Compute
from pileus.compute.store import flavors
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import BadRequest, Conflict, NotFound
from pileus.foundation.patterns import searcher


class FlavorMarkerNotFound(BadRequest):
    code = "compute.flavor.marker-not-found"
    message = "marker [{marker}] not found"


class AccessToPublicFlavor(Conflict):
    code = "compute.flavor.is-public"
    message = "Can not add access to a public flavor."


class NoAccessList(NotFound):
    code = "compute.flavor.no-access-list"
    message = "Access list not available for public flavors."


class FlavorQuery(Struct, frozen=True, kw_only=True):
    """A list's filters, order and page; None leaves a filter out."""

    is_public: bool | None = True  # True: public, and those that the caller's project was given
    min_ram_mib: int = 0
    min_disk_gib: int = 0
    name: str | None = None  # a regular expression
    sort_key: str = "flavorid"
    is_descending: bool = False
    limit: int = 1000
    marker: str | None = None


_SORTED_BY: Mapping[str, Callable[[Flavor], Any]] = {
    "created_at": lambda flavor: flavor.created_at,
    "description": lambda flavor: flavor.description or "",
    "disabled": lambda flavor: flavor.is_disabled,
    "ephemeral_gb": lambda flavor: flavor.ephemeral_gib,
    "flavorid": lambda flavor: flavor.id,
    "id": lambda flavor: flavor.created_at,
    "is_public": lambda flavor: flavor.is_public,
    "memory_mb": lambda flavor: flavor.ram_mib,
    "name": lambda flavor: flavor.name,
    "root_gb": lambda flavor: flavor.disk_gib,
    "rxtx_factor": lambda flavor: flavor.rxtx_factor,
    "swap": lambda flavor: flavor.swap_mib,
    "updated_at": lambda flavor: flavor.updated_at or 0,
    "vcpu_weight": lambda flavor: 0,
    "vcpus": lambda flavor: flavor.vcpus,
}
SORT_KEYS = tuple(sorted(_SORTED_BY))


async def get(compute: Compute, context: Context, flavor_id: str) -> Flavor:
    """Raises: FlavorNotFound (404), for one that the caller's project may not use too."""
    flavor = await flavors.get(compute.database, flavor_id)
    if not context.is_admin and not await flavors.may_use(compute.database, flavor, context.project_id):
        raise FlavorNotFound(flavor_id=flavor_id)
    return flavor


async def listed(compute: Compute, context: Context, query: FlavorQuery) -> list[Flavor]:
    """One page of flavors. Raises: FlavorMarkerNotFound, BadPattern (400)."""
    if query.is_public:
        found = await flavors.visible_to(compute.database, context.project_id)
    else:
        found = await flavors.everything(compute.database)
    if query.is_public is False:
        found = [flavor for flavor in found if not flavor.is_public]
    named = searcher(query.name) if query.name is not None else None
    found = [
        flavor
        for flavor in found
        if flavor.ram_mib >= query.min_ram_mib
        and flavor.disk_gib >= query.min_disk_gib
        and (context.is_admin or not flavor.is_disabled)
        and (named is None or named(flavor.name))
    ]
    key = _SORTED_BY[query.sort_key]
    found.sort(key=lambda flavor: (key(flavor), flavor.id), reverse=query.is_descending)
    return _page(found, query)


def _page(found: list[Flavor], query: FlavorQuery) -> list[Flavor]:
    if query.marker is None:
        return found[: query.limit]
    for at, flavor in enumerate(found):
        if flavor.id == query.marker:
            return found[at + 1 : at + 1 + query.limit]
    raise FlavorMarkerNotFound(marker=query.marker)


async def create(compute: Compute, flavor: Flavor) -> Flavor:
    """Keep a new flavor; without an id it gets one. Raises: FlavorIdExists, FlavorNameExists (409)."""
    made = replace(flavor, id=flavor.id or compute.runtime.uuid(), created_at=compute.runtime.now())

    async def work(tx: Transaction) -> None:
        await tx.lock("flavors")
        await flavors.insert(tx, made)

    await compute.database.transact(work)
    return made


async def describe(compute: Compute, flavor_id: str, description: str | None) -> Flavor:
    """Change a flavor's description: all else of it stays for ever. Raises: FlavorNotFound (404)."""
    return await _change(compute, flavor_id, lambda flavor: replace(flavor, description=description))


async def delete(compute: Compute, flavor_id: str) -> None:
    """Servers keep their copy. Raises: FlavorNotFound (404)."""

    async def work(tx: Transaction) -> None:
        await tx.lock("flavors")
        await flavors.delete(tx, flavor_id)

    await compute.database.transact(work)


async def add_extra_specs(compute: Compute, flavor_id: str, specs: Mapping[str, str]) -> Flavor:
    """Add extra specs and change those that are there. Raises: FlavorNotFound (404), BadRequest (400)."""
    check_extra_specs(dict(specs))
    return await _change(
        compute, flavor_id, lambda flavor: replace(flavor, extra_specs={**flavor.extra_specs, **specs})
    )


async def delete_extra_spec(compute: Compute, flavor_id: str, key: str) -> None:
    """Raises: FlavorNotFound, FlavorExtraSpecNotFound (404)."""

    def without(flavor: Flavor) -> Flavor:
        extra_spec(flavor, key)
        return replace(flavor, extra_specs={name: value for name, value in flavor.extra_specs.items() if name != key})

    await _change(compute, flavor_id, without)


def extra_spec(flavor: Flavor, key: str) -> str:
    """Raises: FlavorExtraSpecNotFound (404)."""
    if key not in flavor.extra_specs:
        raise FlavorExtraSpecNotFound(flavor_id=flavor.id, key=key)
    return flavor.extra_specs[key]


async def _change(compute: Compute, flavor_id: str, decide: Callable[[Flavor], Flavor]) -> Flavor:
    async def work(tx: Transaction) -> Flavor:
        await tx.lock("flavors")
        after = replace(decide(await flavors.get(tx, flavor_id)), updated_at=compute.runtime.now())
        await flavors.update(tx, after)
        return after

    return await compute.database.transact(work)


async def access(compute: Compute, flavor_id: str) -> Sequence[str]:
    """The projects that were given a flavor that is not public. Raises: FlavorNotFound, NoAccessList (404)."""
    flavor = await flavors.get(compute.database, flavor_id)
    if flavor.is_public:
        raise NoAccessList
    return await flavors.access(compute.database, flavor_id)


async def grant(compute: Compute, flavor_id: str, project_id: str, *, even_if_public: bool) -> Sequence[str]:
    """Let a project use the flavor. Raises: FlavorNotFound (404), FlavorAccessExists, AccessToPublicFlavor (409)."""

    async def work(tx: Transaction) -> Sequence[str]:
        await tx.lock("flavors")
        flavor = await flavors.get(tx, flavor_id)
        if flavor.is_public and not even_if_public:
            raise AccessToPublicFlavor
        await flavors.grant(tx, flavor_id, project_id)
        return await flavors.access(tx, flavor_id)

    return await compute.database.transact(work)


async def revoke(compute: Compute, flavor_id: str, project_id: str) -> Sequence[str]:
    """Raises: FlavorNotFound, FlavorAccessNotFound (404)."""

    async def work(tx: Transaction) -> Sequence[str]:
        await tx.lock("flavors")
        await flavors.get(tx, flavor_id)
        await flavors.revoke(tx, flavor_id, project_id)
        return await flavors.access(tx, flavor_id)

    return await compute.database.transact(work)
