"""Tags of whatever has them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Database, Transaction
from pileus.network.app.revisions import expect, next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain import errors
from pileus.network.store import floating_ips, networks, ports, routers, security_groups, subnets

Change = Callable[[Sequence[str]], Sequence[str]]


async def find(service: NetworkService, kind: str, resource_id: str) -> Any | None:
    """The value that carries the tags: a network, port ..."""
    return await _FINDERS[kind](service.database, resource_id)


async def update(
    service: NetworkService, kind: str, resource_id: str, change: Change, *, revision: int | None = None
) -> tuple[str, ...]:
    """Write the tags that `change` makes of those there are, sorted; returns them.

    Raises: ...NotFound (404), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> tuple[str, ...]:
        old = await _FINDERS[kind](tx, resource_id)
        if old is None:
            raise NOT_FOUND[kind](id=resource_id)
        expect(old, revision)
        tags = tuple(sorted(set(change(old.tags))))
        if tags != old.tags:
            now = service.runtime.now()
            new = next_revision(old, msgspec.structs.replace(old, tags=tags), now)
            await _WRITERS[kind](tx, old, new, now)
        return tags

    return await service.transact(work)


NOT_FOUND: Mapping[str, type[errors.Named]] = {
    "network": errors.NetworkNotFound,
    "subnet": errors.SubnetNotFound,
    "port": errors.PortNotFound,
    "router": errors.RouterNotFound,
    "floatingip": errors.FloatingIPNotFound,
    "security_group": errors.SecurityGroupNotFound,
}


# -- finding and writing each kind ------------------------------------------------------------------------------------
async def _find_port(db: Database | Transaction, port_id: str) -> Any | None:
    stored = await ports.find(db, port_id)
    return stored.port if stored else None


async def _find_router(db: Database | Transaction, router_id: str) -> Any | None:
    found = await routers.find(db, router_id)
    return found[0] if found else None


async def _find_floating_ip(db: Database | Transaction, floating_id: str) -> Any | None:
    found = await floating_ips.find(db, floating_id)
    return found[0] if found else None


async def _find_group(db: Database | Transaction, group_id: str) -> Any | None:
    stored = await security_groups.find(db, group_id)
    return stored.group if stored else None


_FINDERS: Mapping[str, Callable[[Database | Transaction, str], Awaitable[Any | None]]] = {
    "network": networks.find,
    "subnet": subnets.find,
    "port": _find_port,
    "router": _find_router,
    "floatingip": _find_floating_ip,
    "security_group": _find_group,
}


async def _write_port(tx: Transaction, old: Any, new: Any, now: int) -> None:
    stored = await ports.find(tx, old.id)
    if stored is not None:
        await ports.update(tx, stored._replace(port=old), stored._replace(port=new), now)


async def _write_router(tx: Transaction, old: Any, new: Any, now: int) -> None:
    found = await routers.find(tx, old.id)
    if found is not None:
        await routers.update(tx, old, new, found[1], now)


_WRITERS: Mapping[str, Callable[[Transaction, Any, Any, int], Awaitable[None]]] = {
    "network": networks.update,
    "subnet": subnets.update,
    "port": _write_port,
    "router": _write_router,
    "floatingip": floating_ips.update,
    "security_group": security_groups.update,
}
