"""Telling compute that servers have other addresses now, behind the answer to whoever changed them."""

import logging
from collections.abc import Iterable

from pileus.foundation.errors import Error
from pileus.network.app.service import NetworkService
from pileus.network.store import ports

log = logging.getLogger("pileus.network")


def tell(service: NetworkService, port_ids: Iterable[str | None]) -> None:
    """Let compute hear of these ports, as far as they are servers'; nobody waits for it."""
    changed = sorted({port_id for port_id in port_ids if port_id})
    if changed:
        service.runtime.spawn(_tell(service, changed), "news for servers")


def tell_servers(service: NetworkService, server_ids: Iterable[str]) -> None:
    """Let compute hear of the ports of these servers, of those too that are gone; nobody waits for it."""
    service.runtime.spawn(_tell_owners(service, set(server_ids)), "news for servers")


async def _tell(service: NetworkService, port_ids: list[str]) -> None:
    found = [await ports.find(service.database, port_id) for port_id in port_ids]
    await _tell_owners(
        service, {held.port.device_id for held in found if held and held.port.device_owner.startswith("compute:")}
    )


async def _tell_owners(service: NetworkService, owners: set[str]) -> None:
    if not owners:
        return
    try:
        await service.servers.addresses_changed(sorted(owners))
    except Error as error:  # compute looks by itself now and then
        log.warning("addresses of servers %s: %s", ", ".join(sorted(owners)), error)
