"""Regions, services and endpoints. Every change shows in the catalogs of the next tokens."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.errors import BadRequest
from pileus.identity.app.change import Change, change
from pileus.identity.app.service import Identity
from pileus.identity.domain.catalog import Endpoint, Region, Service, is_usable
from pileus.identity.domain.errors import Expected, InUse, Missing, Taken, UnusableUrl
from pileus.identity.domain.filters import Condition
from pileus.identity.store import catalog


async def get_region(identity: Identity, id: str) -> Region:
    """Raises: Missing (404)."""
    found = await catalog.find_region(identity.database, id)
    if found is None:
        raise Missing(what="region", id=id)
    return found


async def get_service(identity: Identity, id: str) -> Service:
    """Raises: Missing (404)."""
    found = await catalog.find_service(identity.database, id)
    if found is None:
        raise Missing(what="service", id=id)
    return found


async def get_endpoint(identity: Identity, id: str) -> Endpoint:
    """Raises: Missing (404)."""
    found = await catalog.find_endpoint(identity.database, id)
    if found is None:
        raise Missing(what="endpoint", id=id)
    return found


async def list_regions(identity: Identity, conditions: Sequence[Condition]) -> list[Region]:
    return await catalog.regions(identity.database, conditions)


async def list_services(identity: Identity, conditions: Sequence[Condition]) -> list[Service]:
    return await catalog.services(identity.database, conditions)


async def list_endpoints(identity: Identity, conditions: Sequence[Condition]) -> list[Endpoint]:
    return await catalog.endpoints(identity.database, conditions)


async def create_region(identity: Identity, region: Region) -> Region:
    """Make a region; without an id it gets one. Raises: Missing (404) for the parent, Taken (409)."""
    made = region if region.id else msgspec.structs.replace(region, id=identity.runtime.hex_id())

    async def work(step: Change) -> None:
        if await catalog.find_region(step.tx, made.id) is not None:
            raise Taken(what="region", detail=f"Duplicate ID, {made.id}.")
        await _check_parent(step, made)
        await catalog.put_region(step.tx, made)

    await change(identity, work)
    return made


async def _check_parent(step: Change, region: Region) -> None:
    """Raises: Missing (404), BadRequest when the region would lie within itself."""
    above = region.parent_region_id
    while above is not None:
        parent = await catalog.find_region(step.tx, above)
        if above == region.id:
            raise BadRequest(f"Invalid parent region: {region.parent_region_id} lies within {region.id}.")
        if parent is None:
            raise Missing(what="region", id=above)
        above = parent.parent_region_id


async def update_region(identity: Identity, id: str, changes: dict[str, Any]) -> Region:
    """Raises: Missing (404)."""

    async def work(step: Change) -> Region:
        old = await catalog.find_region(step.tx, id)
        if old is None:
            raise Missing(what="region", id=id)
        new = msgspec.structs.replace(old, **(changes | {"extra": old.extra | changes.get("extra", {})}))
        await _check_parent(step, new)
        await catalog.put_region(step.tx, new)
        return new

    return await change(identity, work)


async def delete_region(identity: Identity, id: str) -> None:
    """Raises: Missing (404), InUse (403)."""

    async def work(step: Change) -> None:
        if await catalog.find_region(step.tx, id) is None:
            raise Missing(what="region", id=id)
        used = await catalog.endpoints(step.tx, [Condition("region_id", id)])
        below = await catalog.regions(step.tx, [Condition("parent_region_id", id)])
        if used or below:
            raise InUse(id=id)
        await catalog.drop_region(step.tx, id)

    await change(identity, work)


async def create_service(identity: Identity, service: Service) -> Service:
    """Make a service; the id is chosen here."""
    made = msgspec.structs.replace(service, id=identity.runtime.hex_id())

    async def work(step: Change) -> None:
        await catalog.put_service(step.tx, made)

    await change(identity, work)
    return made


async def update_service(identity: Identity, id: str, changes: dict[str, Any]) -> Service:
    """Raises: Missing (404)."""

    async def work(step: Change) -> Service:
        old = await catalog.find_service(step.tx, id)
        if old is None:
            raise Missing(what="service", id=id)
        new = msgspec.structs.replace(old, **(changes | {"extra": old.extra | changes.get("extra", {})}))
        await catalog.put_service(step.tx, new)
        return new

    return await change(identity, work)


async def delete_service(identity: Identity, id: str) -> None:
    """Delete a service with its endpoints. Raises: Missing (404)."""

    async def work(step: Change) -> None:
        if await catalog.find_service(step.tx, id) is None:
            raise Missing(what="service", id=id)
        await catalog.drop_service(step.tx, id)

    await change(identity, work)


async def create_endpoint(identity: Identity, endpoint: Endpoint, new_region: str = "") -> Endpoint:
    """Make an endpoint; the id is chosen here. `new_region` is made if it is not there.

    Raises: Expected, UnusableUrl (400).
    """
    made = msgspec.structs.replace(endpoint, id=identity.runtime.hex_id())

    async def work(step: Change) -> None:
        if new_region and await catalog.find_region(step.tx, new_region) is None:
            await catalog.put_region(step.tx, Region(id=new_region))
        await _check_endpoint(step, made)
        await catalog.put_endpoint(step.tx, made)

    await change(identity, work)
    return made


async def _check_endpoint(step: Change, endpoint: Endpoint) -> None:
    if await catalog.find_service(step.tx, endpoint.service_id) is None:
        raise Expected(attribute="endpoint service_id", target="service table")
    if endpoint.region_id is not None and await catalog.find_region(step.tx, endpoint.region_id) is None:
        raise Expected(attribute="endpoint region_id", target="region table")
    if not is_usable(endpoint.url):
        raise UnusableUrl(url=endpoint.url)


async def update_endpoint(identity: Identity, id: str, changes: dict[str, Any], new_region: str = "") -> Endpoint:
    """Raises: Missing (404), Expected, UnusableUrl (400)."""

    async def work(step: Change) -> Endpoint:
        old = await catalog.find_endpoint(step.tx, id)
        if old is None:
            raise Missing(what="endpoint", id=id)
        new = msgspec.structs.replace(old, **(changes | {"extra": old.extra | changes.get("extra", {})}))
        if new_region and await catalog.find_region(step.tx, new_region) is None:
            await catalog.put_region(step.tx, Region(id=new_region))
        await _check_endpoint(step, new)
        await catalog.put_endpoint(step.tx, new)
        return new

    return await change(identity, work)


async def delete_endpoint(identity: Identity, id: str) -> None:
    """Raises: Missing (404)."""

    async def work(step: Change) -> None:
        if await catalog.find_endpoint(step.tx, id) is None:
            raise Missing(what="endpoint", id=id)
        await catalog.drop_endpoint(step.tx, id)

    await change(identity, work)
