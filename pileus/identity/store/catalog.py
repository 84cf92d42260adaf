"""Rows of regions, services and endpoints."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Transaction, sql
from pileus.identity.domain.catalog import Endpoint, Region, Service
from pileus.identity.domain.filters import Condition
from pileus.identity.store import documents
from pileus.identity.store.filters import selection
from pileus.identity.store.projects import Reads

_REGIONS = "SELECT id, description, parent_region_id, extra FROM identity_regions"
_SERVICES = "SELECT id, type, name, enabled, description, extra FROM identity_services"
_ENDPOINTS = "SELECT id, service_id, interface, region_id, url, enabled, extra FROM identity_endpoints"
_REGION = sql(f"{_REGIONS} WHERE id = :id")
_SERVICE = sql(f"{_SERVICES} WHERE id = :id")
_ENDPOINT = sql(f"{_ENDPOINTS} WHERE id = :id")
_PUT_REGION = sql(
    "INSERT INTO identity_regions (id, description, parent_region_id, extra)"
    " VALUES (:id, :description, :parent_region_id, :extra) ON CONFLICT (id) DO UPDATE SET"
    " description = excluded.description, parent_region_id = excluded.parent_region_id, extra = excluded.extra"
)
_PUT_SERVICE = sql(
    "INSERT INTO identity_services (id, type, name, enabled, description, extra)"
    " VALUES (:id, :type, :name, :enabled, :description, :extra) ON CONFLICT (id) DO UPDATE SET type = excluded.type,"
    " name = excluded.name, enabled = excluded.enabled, description = excluded.description, extra = excluded.extra"
)
_PUT_ENDPOINT = sql(
    "INSERT INTO identity_endpoints (id, service_id, interface, region_id, url, enabled, extra)"
    " VALUES (:id, :service_id, :interface, :region_id, :url, :enabled, :extra) ON CONFLICT (id) DO UPDATE SET"
    " service_id = excluded.service_id, interface = excluded.interface, region_id = excluded.region_id,"
    " url = excluded.url, enabled = excluded.enabled, extra = excluded.extra"
)
_DROP_REGION = sql("DELETE FROM identity_regions WHERE id = :id")
_DROP_SERVICE = sql("DELETE FROM identity_services WHERE id = :id")
_DROP_ENDPOINT = sql("DELETE FROM identity_endpoints WHERE id = :id")
_DROP_ENDPOINTS_OF = sql("DELETE FROM identity_endpoints WHERE service_id = :id")


def _region(row: Any) -> Region:
    return Region(
        id=row["id"],
        description=row["description"],
        parent_region_id=row["parent_region_id"],
        extra=documents.read(row["extra"]),
    )


def _service(row: Any) -> Service:
    return Service(
        id=row["id"],
        type=row["type"],
        name=row["name"],
        enabled=bool(row["enabled"]),
        description=row["description"],
        extra=documents.read(row["extra"]),
    )


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        id=row["id"],
        interface=row["interface"],
        service_id=row["service_id"],
        url=row["url"],
        region_id=row["region_id"],
        enabled=bool(row["enabled"]),
        extra=documents.read(row["extra"]),
    )


async def find_region(db: Reads, id: str) -> Region | None:
    row = await db.one(_REGION, id=id)
    return None if row is None else _region(row)


async def find_service(db: Reads, id: str) -> Service | None:
    row = await db.one(_SERVICE, id=id)
    return None if row is None else _service(row)


async def find_endpoint(db: Reads, id: str) -> Endpoint | None:
    row = await db.one(_ENDPOINT, id=id)
    return None if row is None else _endpoint(row)


async def regions(db: Reads, conditions: Sequence[Condition] = ()) -> list[Region]:
    statement, values = selection(_REGIONS, conditions, "id")
    return [_region(row) for row in await db.all(statement, **values)]


async def services(db: Reads, conditions: Sequence[Condition] = ()) -> list[Service]:
    statement, values = selection(_SERVICES, conditions, "id")
    return [_service(row) for row in await db.all(statement, **values)]


async def endpoints(db: Reads, conditions: Sequence[Condition] = ()) -> list[Endpoint]:
    statement, values = selection(_ENDPOINTS, conditions, "id")
    return [_endpoint(row) for row in await db.all(statement, **values)]


async def put_region(tx: Transaction, region: Region) -> None:
    """Insert the region, or replace the one with its id."""
    await tx.run(
        _PUT_REGION,
        id=region.id,
        description=region.description,
        parent_region_id=region.parent_region_id,
        extra=documents.write(region.extra),
    )


async def put_service(tx: Transaction, service: Service) -> None:
    """Insert the service, or replace the one with its id."""
    await tx.run(
        _PUT_SERVICE,
        id=service.id,
        type=service.type,
        name=service.name,
        enabled=int(service.enabled),
        description=service.description,
        extra=documents.write(service.extra),
    )


async def put_endpoint(tx: Transaction, endpoint: Endpoint) -> None:
    """Insert the endpoint, or replace the one with its id."""
    await tx.run(
        _PUT_ENDPOINT,
        id=endpoint.id,
        service_id=endpoint.service_id,
        interface=endpoint.interface,
        region_id=endpoint.region_id,
        url=endpoint.url,
        enabled=int(endpoint.enabled),
        extra=documents.write(endpoint.extra),
    )


async def drop_region(tx: Transaction, id: str) -> None:
    await tx.run(_DROP_REGION, id=id)


async def drop_service(tx: Transaction, id: str) -> None:
    """The service and all its endpoints."""
    await tx.run(_DROP_ENDPOINTS_OF, id=id)
    await tx.run(_DROP_SERVICE, id=id)


async def drop_endpoint(tx: Transaction, id: str) -> None:
    await tx.run(_DROP_ENDPOINT, id=id)
