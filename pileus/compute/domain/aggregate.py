"""Host aggregates: sets of hosts with facts of their own; one that names an availability zone puts its hosts there."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from pileus.foundation.errors import BadRequest, Conflict, NotFound

ZONE = "availability_zone"
"""The fact that names the zone; it is shown among the metadata too."""


class AggregateNotFound(NotFound):
    code = "compute.aggregate.not-found"
    message = "Aggregate {aggregate_id} could not be found."


class AggregateHostNotFound(NotFound):
    code = "compute.aggregate.host-not-found"
    message = "Aggregate {aggregate_id} has no host {host}."


class AggregateNameExists(Conflict):
    code = "compute.aggregate.name-exists"
    message = "Aggregate {name} already exists."


class AggregateHostExists(Conflict):
    code = "compute.aggregate.host-exists"
    message = "Aggregate {aggregate_id} already has host {host}."


class AggregateNotEmpty(BadRequest):
    code = "compute.aggregate.not-empty"
    message = "Cannot remove aggregate '{aggregate_id}'. Reason: Host aggregate is not empty."


class HostInOtherZone(Conflict):
    """A host is in one zone; another aggregate has put it into another."""

    code = "compute.aggregate.host-in-other-zone"
    message = "Host {host} already in availability zone(s) {zone}"


class HostHasServers(Conflict):
    """Servers do not change their zone: a host with servers stays in its own."""

    code = "compute.aggregate.host-has-servers"
    message = "Cannot change the availability zone of host {host}: it has servers."


class Aggregate(Struct, frozen=True, kw_only=True):
    """A set of hosts; `number` is its id in the API. Times are UTC microseconds."""

    number: int
    id: str
    name: str
    metadata: dict[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    created_at: int = 0
    updated_at: int | None = None

    @property
    def zone(self) -> str | None:
        return self.metadata.get(ZONE)


def with_metadata(metadata: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The metadata after changes; null takes a name away. Raises: BadRequest (400) for a zone without a name."""
    if changes.get(ZONE, "named") == "":
        raise BadRequest("Aggregate metadata property value can't be an empty availability zone.")
    merged = {**metadata, **{name: value for name, value in changes.items() if value is not None}}
    return {name: value for name, value in merged.items() if changes.get(name, "") is not None}


def zone_of(host: str, aggregates: Iterable[Aggregate]) -> str | None:
    """The zone into which aggregates put a host. Raises: HostInOtherZone (409) when they disagree."""
    zones = sorted({one.zone for one in aggregates if host in one.hosts and one.zone is not None})
    if len(zones) > 1:
        raise HostInOtherZone(host=host, zone=", ".join(zones))
    return zones[0] if zones else None
