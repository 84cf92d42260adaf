"""Random requests, from the operation table's own schemas and beyond them, never break placement."""

import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from pileus.foundation.http.route import Route
from pileus.placement.api.routes import ROUTES
from pileus.placement.app.audit import audit
from tests.api.placement_cloud import PlacementCloud, tell, uuid

TEXTS = (
    "", "x", "VCPU", "MEMORY_MB", "CUSTOM_GOLD", "CUSTOM_NONE", "COMPUTE_NODE", "!COMPUTE_NODE", "in:A,B", "VCPU:1",
    "VCPU:999999999999999999999", "VCPU:1,MEMORY_MB:64", "\x00", "é☃", "' OR 1=1 --", "p1", "true", "none", "isolate",
    "1", "-1", "1e9", "{}", "a" * 300, "\u2028", "INSTANCE", "all", *(uuid(n) for n in (1, 2, 3, 100, 900)),
)  # fmt: skip
NUMBERS = (0, 1, 2, -1, 8, 64, 1 << 31, 1 << 63, 1 << 80, 0.5, 1e308, True, None)
KEYS = (
    "name", "uuid", "parent_provider_uuid", "inventories", "resource_provider_generation", "total", "reserved",
    "allocation_ratio", "traits", "aggregates", "allocations", "resources", "project_id", "user_id", "mappings",
    "consumer_generation", "consumer_type", "resource_class", "resource_provider",
)  # fmt: skip


def value(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON."""
    dice = chance.random()
    if depth > 4 or dice < 0.3:
        return chance.choice(TEXTS)
    if dice < 0.55:
        return chance.choice(NUMBERS)
    if dice < 0.7:
        return [value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice((*KEYS, *TEXTS)): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def fitting(chance: random.Random, schema: Any) -> Any:
    """Something like what a schema wants; a branch is sometimes replaced by anything."""
    if chance.random() < 0.08 or not isinstance(schema, dict):
        return value(chance)
    if "anyOf" in schema:
        return fitting(chance, chance.choice(schema["anyOf"]))
    kind = schema.get("type")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    match kind:
        case "object":
            made = {
                name: fitting(chance, part)
                for name, part in schema.get("properties", {}).items()
                if name in schema.get("required", ()) or chance.random() < 0.4
            }
            for part in schema.get("patternProperties", {}).values():
                made |= {chance.choice(TEXTS): fitting(chance, part) for _ in range(chance.randrange(1, 3))}
            return made
        case "array":
            return [fitting(chance, schema.get("items", {})) for _ in range(chance.randrange(3))]
        case "integer" | "number":
            return chance.choice(NUMBERS)
        case "null":
            return None
        case "string":
            return chance.choice(schema.get("enum", TEXTS))
    return value(chance)


def request(chance: random.Random, route: Route) -> tuple[str, Any, str]:
    """A path, a body and a version for a route; the version is sometimes not its own."""
    first, last = route.first[1] if route.since else 0, min(route.last[1], 39)
    minor = chance.randint(first, last) if chance.random() < 0.9 else chance.randint(0, 39)
    path = "/".join(
        quote(chance.choice(TEXTS) or "x") if part.startswith("{") else part for part in route.path.split("/")
    )
    names = [*KEYS, "resources", "resources1", "required", "member_of", "in_tree", "limit", "group_policy", "x"]
    if route.query is not None:
        names += [param.name for param in route.query.params if not param.pattern] * 3
    if route.method == "GET" and chance.random() < 0.8:
        query = [f"{chance.choice(names)}={quote(chance.choice(TEXTS))}" for _ in range(chance.randrange(4))]
        path += f"?{'&'.join(query)}"
    body = fitting(chance, route.body.json_schema((1, minor))) if route.body is not None else None
    return path, body, f"1.{minor}"


@pytest.fixture
def told(run: Any, database: Any, runtime: Any) -> Callable[..., Any]:
    return tell(run, database, runtime)


async def furnish(cloud: PlacementCloud) -> None:
    await cloud.host(uuid(1), VCPU=8, MEMORY_MB=1024)
    await cloud.host(uuid(2), parent=uuid(1), VCPU=4)
    assert (await cloud.ask("PUT", "/resource_classes/CUSTOM_GOLD")).status == 201
    assert (await cloud.claim(uuid(100), amounts={uuid(1): {"VCPU": 1}})).status == 204


def requests(chance: random.Random, count: int) -> Iterator[tuple[str, str, Any, str]]:
    for _ in range(count):
        route = chance.choice(ROUTES)
        yield route.method, *request(chance, route)


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_is_refused_and_breaks_nothing(told: Callable[..., Any], seed: int) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await furnish(cloud)
        statuses = set()
        for method, path, body, version in requests(random.Random(seed), 600):
            answer = await cloud.ask(method, path, body, version=version)
            assert answer.status < 500, (method, path, body, version, answer.body)
            statuses.add(answer.status)
        assert {200, 400, 404} <= statuses
        assert [each for each in await audit(cloud.placement) if "capacity" not in each["invariant"]] == []

    told(story)
