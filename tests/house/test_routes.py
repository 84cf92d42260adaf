"""Every operation is declared whole: who may call it, what it takes, which row of the reference it is."""

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from pileus.foundation.http.route import Route
from tests.house import plan, rules

# Asked before there is a token; a change of password is proved by the current one.
OPEN_TO_ALL = frozenset(
    {("POST", "/v3/auth/tokens"), ("POST", "/v3/OS-FEDERATION/saml2"), ("POST", "/v3/users/{user_id}/password")}
)


def tables() -> dict[str, list[Route]]:
    """The route table of every wing that has an API."""
    found = {}
    for wing in sorted(plan.WINGS):
        if (rules.ROOT / "pileus" / wing / "api" / "routes.py").exists():
            found[wing] = list(importlib.import_module(f"pileus.{wing}.api.routes").ROUTES)
    return found


# Said whole by the path: a verb on one thing. A body that comes with it is never read.
NOTHING_TO_SAY = frozenset({"/v1/flows/{flow_id}/resume", "/v1/flows/{flow_id}/abandon"})


def incomplete(route: Route) -> Iterator[str]:
    where = f"{route.method} {route.path} {route.action}".strip()
    if not route.op:
        yield f"{where}: no row of the reference (op)"
    if route.policy is None and not is_open(route):
        yield f"{where}: open to everybody, and neither discovery nor login"
    if route.action and route.body is None:
        yield f"{where}: an action without a schema of its body"
    if route.method in {"POST", "PATCH"} and route.body is None and not route.upload and not takes_nothing(route):
        yield f"{where}: no schema of its body"


def is_open(route: Route) -> bool:
    """Whether this is discovery (a version's document) or login."""
    segments = [part for part in route.path.split("/") if part]
    is_discovery = route.method in {"GET", "HEAD"} and len(segments) <= 1
    return is_discovery or (route.method, route.path) in OPEN_TO_ALL


def takes_nothing(route: Route) -> bool:
    """Whether the whole request is in the path, as with image deactivate: POST /images/{id}/actions/deactivate."""
    return "/actions/" in route.path or route.path in NOTHING_TO_SAY


def doubled(routes: Iterable[Route]) -> Iterator[str]:
    """Operations whose versions overlap: nobody could say which of them answers."""
    seen: dict[tuple[str, str, str], list[Route]] = {}
    for route in routes:
        shape = "/".join("{}" if part.startswith("{") else part for part in route.path.split("/"))
        for other in seen.setdefault((route.method, shape, route.action), []):
            if route.first <= other.last and other.first <= route.last:
                yield f"{route.method} {route.path} {route.action}: declared twice for the same versions"
        seen[(route.method, shape, route.action)].append(route)


def test_every_route_is_declared_whole() -> None:
    assert not "\n".join(
        f"{wing}: {fault}" for wing, routes in tables().items() for r in routes for fault in incomplete(r)
    )


def test_no_two_routes_answer_the_same_request() -> None:
    assert not [f"{wing}: {fault}" for wing, table in tables().items() for fault in doubled(table)]


async def handler(request: Any) -> Any:
    raise AssertionError("never called")


def route(method: str, path: str, **facts: Any) -> Route:
    return Route(method, path, handler, **{"policy": "x:y", "op": "x:y", **facts})


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        (route("GET", "/servers", op=""), "no row of the reference"),
        (route("GET", "/servers/detail", policy=None), "open to everybody"),
        (route("POST", "/servers"), "no schema"),
        (route("PATCH", "/images/{image_id}"), "no schema"),
        (route("POST", "/servers/{server_id}/action", action="reboot"), "an action without a schema"),
    ],
)
def test_a_route_declared_by_half_is_found(planted: Route, fault: str) -> None:
    assert any(fault in found for found in incomplete(planted))


@pytest.mark.parametrize(
    "whole",
    [
        route("GET", "/v3", policy=None),
        route("GET", "/", policy=None),
        route("GET", "/servers/{server_id}"),
        route("PUT", "/images/{image_id}/file", upload=True),
        route("PUT", "/servers/{server_id}/tags/{tag}"),
        route("POST", "/images/{image_id}/actions/deactivate"),
    ],
)
def test_a_route_declared_whole_passes(whole: Route) -> None:
    assert not list(incomplete(whole))


def test_two_routes_for_the_same_versions_are_found() -> None:
    old, new = route("GET", "/a/{b}", until="2.35"), route("GET", "/a/{c}", since="2.36")
    assert not list(doubled([old, new]))
    assert list(doubled([old, route("GET", "/a/{c}", since="2.35")]))
