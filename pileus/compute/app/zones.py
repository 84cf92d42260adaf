"""Availability zones: they exist because hosts name them."""

from msgspec import Struct

from pileus.compute.app import services
from pileus.compute.app.services import INTERNAL_ZONE, ServiceFact
from pileus.compute.service import Compute


class Zone(Struct, frozen=True):
    """A zone; available while at least one of its services is enabled."""

    name: str
    is_available: bool
    services: list[ServiceFact]


async def listed(compute: Compute, *, internal: bool) -> list[Zone]:
    """Every zone by name, available ones first; the one of the cloud's own services only when `internal`."""
    by_zone: dict[str, list[ServiceFact]] = {}
    for fact in await services.listed(compute):
        if internal or fact.zone != INTERNAL_ZONE:
            by_zone.setdefault(fact.zone, []).append(fact)
    found = [Zone(name, any(not fact.service.is_disabled for fact in facts), facts) for name, facts in by_zone.items()]
    return sorted(found, key=lambda zone: (not zone.is_available, zone.name))
