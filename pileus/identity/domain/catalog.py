"""Services, their endpoints, regions, and the catalog that a token carries."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

INTERFACES = ("admin", "internal", "public")

_PLACE = re.compile(r"[$%]\(([^)]*)\)s")
_SUBSTITUTES = frozenset({"project_id", "tenant_id", "user_id", "domain_id"})


class Region(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str
    description: str = ""
    parent_region_id: str | None = None
    extra: dict[str, Any] = {}


class Service(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str
    type: str
    name: str = ""
    enabled: bool = True
    description: str | None = None
    extra: dict[str, Any] = {}


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a service answers. A `url` that begins with "/" is a path of this cloud's own address."""

    id: str
    interface: str
    service_id: str
    url: str
    region_id: str | None = None
    enabled: bool = True
    extra: dict[str, Any] = {}


def is_usable(url: str) -> bool:
    """Whether every placeholder of an endpoint's URL is one that can be filled."""
    rest = _PLACE.sub("", url)
    return set(_PLACE.findall(url)) <= _SUBSTITUTES and "%(" not in rest and "$(" not in rest


def absolute(url: str, base_url: str) -> str:
    """The URL as clients see it; `base_url` is this cloud's own address."""
    return base_url + url if url.startswith("/") else url


def resolve(url: str, facts: Mapping[str, str]) -> str | None:
    """Fill the placeholders; None when this scope lacks one of them, as `project_id` for a domain."""
    if "(" not in url:
        return url
    missing = [name for name in _PLACE.findall(url) if not facts.get(name)]
    return None if missing else _PLACE.sub(lambda place: facts[place[1]], url)


def render(
    services: Sequence[Service], endpoints: Iterable[Endpoint], base_url: str, facts: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The catalog of one scope, as it stands in a token: enabled services with their enabled endpoints."""
    by_service: dict[str, list[dict[str, Any]]] = {service.id: [] for service in services if service.enabled}
    for endpoint in endpoints:
        if not endpoint.enabled or endpoint.service_id not in by_service:
            continue
        url = resolve(absolute(endpoint.url, base_url), facts)
        if url is not None:
            by_service[endpoint.service_id].append(
                {
                    "id": endpoint.id,
                    "interface": endpoint.interface,
                    "region_id": endpoint.region_id,
                    "url": url,
                    "region": endpoint.region_id,
                }
            )
    return [
        {"endpoints": by_service[service.id], "id": service.id, "type": service.type, "name": service.name}
        for service in services
        if service.enabled
    ]
