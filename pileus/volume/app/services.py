"""The volume-hosts, as operators see them, and whether they take new volumes."""

from typing import Any

import msgspec

from pileus.foundation.database import Transaction
from pileus.volume.domain.errors import ServiceNotFound
from pileus.volume.service import VolumeService
from pileus.volume.store import hosts, volumes


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """One back end's host. Times are UTC microseconds."""

    backend: str
    host: str
    is_alive: bool
    is_disabled: bool
    reason: str | None
    last_seen_at: int
    allocated_gib: int
    facts: dict[str, Any]


async def all_services(service: VolumeService) -> list[HostState]:
    """Every back end that was ever heard of; alive is one whose heartbeats grew lately, by this process' clock."""
    now = service.runtime.monotonic()
    allocated = await volumes.allocated(service.database)
    found = []
    for row in await hosts.all_hosts(service.database):
        service.liveness.observe(row.backend, row.beats, now)
        found.append(
            HostState(
                backend=row.backend, host=service.settings.host, is_alive=service.liveness.is_alive(row.backend, now),
                is_disabled=row.is_disabled, reason=row.reason, last_seen_at=row.last_seen_at,
                allocated_gib=allocated.get(row.backend, 0), facts=row.facts,
            )
        )  # fmt: skip
    return found


async def usage(service: VolumeService, backend: str) -> list[tuple[str, int, int]]:
    """Project, number of volumes, their GiB: of everybody who has something in a back end."""
    return await volumes.usage(service.database, backend)


async def set_disabled(service: VolumeService, host: str, *, is_disabled: bool, reason: str | None = None) -> None:
    """Let the back end behind HOST@BACKEND take new volumes, or no more. Raises: ServiceNotFound (404)."""
    name, _, backend = host.partition("@")

    async def work(tx: Transaction) -> int:
        return await hosts.set_disabled(tx, backend, is_disabled=is_disabled, reason=reason)

    if name != service.settings.host or not await service.database.transact(work):
        raise ServiceNotFound(host=host)
