"""Hypervisor hosts: what they have, what is used of it, and which servers live there."""

from msgspec import Struct

from pileus.compute.app.services import ServiceFact
from pileus.compute.app.services import listed as listed_services
from pileus.compute.service import Compute
from pileus.compute.store import host_usage
from pileus.compute.store.host_usage import Usage
from pileus.compute.store.services import HOST_SERVICE
from pileus.foundation.errors import BadRequest, NotFound

NOTHING = Usage()


class HypervisorNotFound(NotFound):
    code = "compute.hypervisor.not-found"
    message = "Compute host {hypervisor_id} could not be found."


class NoHypervisorMatches(NotFound):
    code = "compute.hypervisor.no-match"
    message = "No hypervisor matching '{pattern}' could be found."


class HypervisorMarkerNotFound(BadRequest):
    code = "compute.hypervisor.marker-not-found"
    message = "marker [{marker}] not found"


class Hypervisor(Struct, frozen=True):
    """A host; `usage` and `servers` (id, name) where they were asked for."""

    fact: ServiceFact
    usage: Usage | None = None
    servers: list[tuple[str, str]] | None = None

    @property
    def hostname(self) -> str:
        return str(self.fact.service.inventory.get("hostname", self.fact.service.host))


async def listed(
    compute: Compute,
    *,
    pattern: str | None = None,
    marker: str | None = None,
    limit: int | None = None,
    with_usage: bool = False,
    with_servers: bool = False,
) -> list[Hypervisor]:
    """A page of hosts; `marker` is an id or a number, `pattern` a part of the host name.

    Raises: NoHypervisorMatches (404), HypervisorMarkerNotFound (400).
    """
    hosts = [Hypervisor(fact) for fact in await listed_services(compute, name=HOST_SERVICE)]
    if pattern is not None:
        hosts = [host for host in hosts if pattern in host.hostname]
        if not hosts:
            raise NoHypervisorMatches(pattern=pattern)
    if marker is not None:
        hosts = _after(hosts, marker)
    return await _filled(compute, hosts[:limit], with_usage=with_usage, with_servers=with_servers)


def _after(hosts: list[Hypervisor], marker: str) -> list[Hypervisor]:
    for at, host in enumerate(hosts):
        if marker in (host.fact.service.id, str(host.fact.service.number)):
            return hosts[at + 1 :]
    raise HypervisorMarkerNotFound(marker=marker)


async def get(
    compute: Compute, hypervisor_id: str, *, with_usage: bool = False, with_servers: bool = False
) -> Hypervisor:
    """One host by its id, or by its number as before ids. Raises: HypervisorNotFound (404)."""
    for fact in await listed_services(compute, name=HOST_SERVICE):
        if hypervisor_id in (fact.service.id, str(fact.service.number)):
            filled = await _filled(compute, [Hypervisor(fact)], with_usage=with_usage, with_servers=with_servers)
            return filled[0]
    raise HypervisorNotFound(hypervisor_id=hypervisor_id)


async def _filled(
    compute: Compute, hosts: list[Hypervisor], *, with_usage: bool, with_servers: bool
) -> list[Hypervisor]:
    names = [host.fact.service.host for host in hosts]
    usage = await host_usage.usage(compute.database, names) if with_usage and names else {}
    servers = await host_usage.names(compute.database, names) if with_servers and names else {}
    return [
        Hypervisor(host.fact, usage.get(host.fact.service.host), servers.get(host.fact.service.host)) for host in hosts
    ]
