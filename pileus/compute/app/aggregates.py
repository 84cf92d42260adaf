"""Host aggregates: making them, and moving hosts between availability zones with them."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from pileus.compute.domain.aggregate import (
    ZONE,
    Aggregate,
    AggregateHostExists,
    AggregateHostNotFound,
    AggregateNameExists,
    AggregateNotEmpty,
    HostHasServers,
    with_metadata,
    zone_of,
)
from pileus.compute.service import Compute
from pileus.compute.store import aggregates, host_usage, services
from pileus.foundation.database import Transaction


async def listed(compute: Compute) -> list[Aggregate]:
    return await aggregates.everything(compute.database)


async def get(compute: Compute, aggregate_id: str) -> Aggregate:
    """Raises: AggregateNotFound (404)."""
    return await aggregates.get(compute.database, aggregate_id)


async def create(compute: Compute, name: str, zone: str | None) -> Aggregate:
    """Raises: AggregateNameExists (409)."""

    async def work(tx: Transaction) -> Aggregate:
        await tx.lock("aggregates")
        await _check_name(tx, name)
        made = Aggregate(
            number=await aggregates.next_number(tx), id=compute.runtime.uuid(), name=name,
            metadata={} if zone is None else {ZONE: zone}, created_at=compute.runtime.now(),
        )  # fmt: skip
        await aggregates.insert(tx, made)
        return made

    return await compute.database.transact(work)


async def _check_name(tx: Transaction, name: str) -> None:
    if any(one.name == name for one in await aggregates.everything(tx)):
        raise AggregateNameExists(name=name)


async def update(compute: Compute, aggregate_id: str, *, name: str | None, facts: Mapping[str, Any]) -> Aggregate:
    """Rename an aggregate, and change its metadata, the zone among them; null takes a name away.

    Raises: AggregateNotFound (404), AggregateNameExists, HostInOtherZone, HostHasServers (409).
    """

    async def change(tx: Transaction, found: Aggregate) -> None:
        if name is not None and name != found.name:
            await _check_name(tx, name)
        after = replace(found, name=name or found.name, metadata=with_metadata(found.metadata, facts))
        await aggregates.update(tx, after, now=compute.runtime.now())

    return await _change(compute, aggregate_id, change)


async def delete(compute: Compute, aggregate_id: str) -> None:
    """Raises: AggregateNotFound (404), AggregateNotEmpty (400)."""

    async def work(tx: Transaction) -> None:
        await tx.lock("aggregates")
        found = await aggregates.get(tx, aggregate_id)
        if found.hosts:
            raise AggregateNotEmpty(aggregate_id=aggregate_id)
        await aggregates.delete(tx, found.number)

    await compute.database.transact(work)


async def add_host(compute: Compute, aggregate_id: str, host: str) -> Aggregate:
    """Raises: AggregateNotFound, HostNotFound (404), AggregateHostExists, HostInOtherZone, HostHasServers (409)."""

    async def change(tx: Transaction, found: Aggregate) -> None:
        await services.of_host(tx, host)
        if host in found.hosts:
            raise AggregateHostExists(aggregate_id=aggregate_id, host=host)
        await aggregates.add_host(tx, found.number, host)

    return await _change(compute, aggregate_id, change)


async def remove_host(compute: Compute, aggregate_id: str, host: str) -> Aggregate:
    """Raises: AggregateNotFound, AggregateHostNotFound (404), HostHasServers (409)."""

    async def change(tx: Transaction, found: Aggregate) -> None:
        if not await aggregates.remove_host(tx, found.number, host):
            raise AggregateHostNotFound(aggregate_id=aggregate_id, host=host)

    return await _change(compute, aggregate_id, change)


async def _change(compute: Compute, aggregate_id: str, change: Callable[[Transaction, Aggregate], Any]) -> Aggregate:
    """Change one aggregate, then have every host that it has or had in the zone where it belongs now."""

    async def work(tx: Transaction) -> Aggregate:
        await tx.lock("aggregates")
        before = await aggregates.get(tx, aggregate_id)
        await change(tx, before)
        after = await aggregates.get(tx, aggregate_id)
        everything = await aggregates.everything(tx)
        for host in sorted({*before.hosts, *after.hosts}):
            await _place(tx, host, zone_of(host, everything) or compute.settings.default_zone)
        return after

    return await compute.database.transact(work)


async def _place(tx: Transaction, host: str, zone: str) -> None:
    service = await services.find(tx, host)
    if service is None or service.zone == zone:
        return
    if await host_usage.count(tx, host):
        raise HostHasServers(host=host)
    await aggregates.move_host(tx, host, zone)
