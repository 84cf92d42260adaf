"""The services of compute as administrators see them: which live, which are disabled, and changing that."""

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from pileus.compute.domain.errors import HostNotFound, ServiceNotFound
from pileus.compute.service import Compute
from pileus.compute.store import host_usage, services
from pileus.compute.store.services import HOST_SERVICE, Service
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Conflict

INTERNAL_ZONE = "internal"
"""Where the API shows services that are no hypervisor hosts."""


class ServiceHasServers(Conflict):
    code = "compute.service.has-servers"
    message = "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."


class ServiceFact(Struct, frozen=True):
    """A service and whether it is heard of."""

    service: Service
    is_up: bool

    @property
    def zone(self) -> str:
        return self.service.zone if self.service.name == HOST_SERVICE else INTERNAL_ZONE


class ServiceChanges(Struct, frozen=True, kw_only=True):
    """What an administrator decides about a service; what is unset stays."""

    is_disabled: bool | UnsetType = UNSET
    disabled_reason: str | UnsetType | None = UNSET
    is_forced_down: bool | UnsetType = UNSET


async def listed(compute: Compute, *, host: str | None = None, name: str | None = None) -> list[ServiceFact]:
    """Every service, or those on one host or of one name, in the order in which they were first heard of."""
    return [
        _fact(compute, service)
        for service in await services.all_services(compute.database)
        if host in (None, service.host) and name in (None, service.name)
    ]


def _fact(compute: Compute, service: Service) -> ServiceFact:
    alive = compute.hosts_alive(_key(service.host, service.name), service.beats)
    return ServiceFact(service, alive and not service.is_forced_down)


def _key(host: str, name: str) -> str:
    """Under which name a service's heartbeats are remembered: hypervisor hosts by their own."""
    return host if name == HOST_SERVICE else f"{name}@{host}"


async def change(compute: Compute, service_id: str, changes: ServiceChanges) -> ServiceFact:
    """Raises: ServiceNotFound (404)."""

    async def work(tx: Transaction) -> Service:
        await tx.lock("services")
        return await _changed(tx, compute, await services.get(tx, service_id), changes)

    return _fact(compute, await compute.database.transact(work))


async def change_on_host(compute: Compute, host: str, name: str, changes: ServiceChanges) -> ServiceFact:
    """Raises: HostNotFound (404)."""

    async def work(tx: Transaction) -> Service:
        await tx.lock("services")
        found = await services.find(tx, host, name)
        if found is None:
            raise HostNotFound(host=host)
        return await _changed(tx, compute, found, changes)

    return _fact(compute, await compute.database.transact(work))


async def _changed(tx: Transaction, compute: Compute, found: Service, changes: ServiceChanges) -> Service:
    facts = {name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    if facts.get("is_disabled") is False:
        facts["disabled_reason"] = None
    now = compute.runtime.now()
    after = replace(found, updated_at=now, **facts)
    await services.change(tx, after, now=now)
    return after


async def by_number(compute: Compute, number: str) -> ServiceFact:
    """The service that had this number before services had ids. Raises: ServiceNotFound (404)."""
    for service in await services.all_services(compute.database):
        if str(service.number) == number:
            return _fact(compute, service)
    raise ServiceNotFound(service_id=number)


async def delete(compute: Compute, service_id: str) -> None:
    """Forget a service; a hypervisor host gives up its place in placement too.

    Raises: ServiceNotFound (404), ServiceHasServers (409).
    """
    service = await services.get(compute.database, service_id)
    is_host = service.name == HOST_SERVICE

    async def work(tx: Transaction) -> None:
        if is_host and await host_usage.count(tx, service.host):
            raise ServiceHasServers
        await services.delete(tx, service_id)

    await compute.database.transact(work)
    if is_host:
        await compute.placement.remove_provider(service.id)


async def host_statuses(compute: Compute, hosts: Iterable[str]) -> dict[str, str]:
    """The `host_status` of each of these hosts: UP, DOWN (forced), MAINTENANCE (disabled) or UNKNOWN (not heard of)."""
    wanted = list(set(hosts))
    if not wanted:
        return {}
    known = await host_usage.beats(compute.database, HOST_SERVICE, wanted)
    return {host: _status(compute, host, known.get(host)) for host in wanted}


def _status(compute: Compute, host: str, beat: host_usage.Beat | None) -> str:
    if beat is None:
        return "UNKNOWN"
    if beat.is_forced_down:
        return "DOWN"
    if beat.is_disabled:
        return "MAINTENANCE"
    return "UP" if compute.hosts_alive(host, beat.beats) else "UNKNOWN"
