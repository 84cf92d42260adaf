"""The table of operations against the published one, and every operation against callers who must not pass."""

import csv
from pathlib import Path
from typing import Any

import pytest

from pileus.compute.api.policies import POLICIES
from pileus.compute.api.routes import API, ROUTES
from pileus.compute.api.versions import CHANGES, MICROVERSIONS
from pileus.foundation.http.route import Route
from pileus.foundation.http.versions import version
from pileus.foundation.policy import Policy
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import ALICE, CALLERS, Cloud, uuid

ROWS = list(csv.DictReader((Path(__file__).parent / "operations.csv").open()))
BY_OP: dict[str, list[dict[str, str]]] = {}
for row in ROWS:
    BY_OP.setdefault(row["op"], []).append(row)

# A rule of ours stands beside the row's: one path, two rules.
OTHER_POLICY = {"compute:put:servers/*/os-volume_attachments/*": "os_compute_api:os-volumes-attachments:update"}


def under_token() -> list[Route]:
    return [route for route in ROUTES if route.policy is not None]


def test_every_operation_of_tier_one_is_there() -> None:
    ours = {route.op for route in ROUTES}
    assert not [row["op"] for row in ROWS if row["tier"] == "1" and row["op"] not in ours]


def test_every_operation_is_a_published_one() -> None:
    assert not [route.op for route in ROUTES if route.op not in BY_OP]


@pytest.mark.parametrize("route", under_token(), ids=lambda route: f"{route.op} {route.since}")
def test_an_operation_is_as_it_was_published(route: Route) -> None:
    row = BY_OP[route.op][0]
    assert (route.method, route.action) == (row["method"], row["action"])
    shape = "/".join("*" if part.startswith("{") else part for part in route.path.split("/"))
    published = "/".join("*" if part.startswith("{") else part for part in row["path"].split("/"))
    assert shape == published
    others = [other for other in ROUTES if other.op == route.op]
    assert min(other.first for other in others) <= version(row["min_mv"])
    if row["min_mv"] != "2.1":
        assert min(other.first for other in others) == version(row["min_mv"])
    last = version(row["max_mv"]) if row["max_mv"] else (9999, 9999)
    assert max(other.last for other in others) == last
    if row["policy"] and not row["path"].startswith("/v2.1/flavors"):
        assert route.policy == OTHER_POLICY.get(route.op, row["policy"])
    assert str(route.success) in row["success"].replace("@", " ").split()


def test_every_rule_that_a_route_names_exists() -> None:
    Policy(POLICIES).require({route.policy for route in ROUTES if route.policy})


WORDS = {
    "admin": {"admin"},
    "member|admin": {"admin", "alice"},
    "reader|admin": {"admin", "alice", "reader"},
    "any": {"admin", "alice", "reader", "mallory", "nobody", "nova"},
    "service|admin": {"admin", "nova"},
    "manager|admin": {"admin"},
}


@pytest.mark.parametrize("rule", [rule for rule in POLICIES if ":" in rule.name], ids=lambda rule: rule.name)
def test_a_rule_admits_whom_the_published_default_admits(rule: Any) -> None:
    words = {row["default_policy"] for row in ROWS if row["policy"] == rule.name}
    words -= {"as image service", "admin|owner"}
    target = {"project_id": ALICE, "user_id": "u-alice"}
    policy = Policy(POLICIES)
    for word in words:
        passing = {name for name, caller in CALLERS.items() if policy.allows(rule.name, caller.credentials, target)}
        assert passing == WORDS[word], word


def test_every_microversion_has_its_line() -> None:
    assert list(CHANGES) == [f"2.{minor}" for minor in range(1, 105)]
    assert MICROVERSIONS.maximum == version(list(CHANGES)[-1])


def path_of(route: Route) -> str:
    values = {
        "server_id": uuid(1), "key": "k", "tag": "t", "network_label": "net1", "request_id": "req-1",
        "volume_id": uuid(2), "port_id": uuid(501), "flavor_id": "1", "keypair_name": "mine",
        "server_group_id": uuid(3), "project_id": ALICE, "id": "default", "service_id": uuid(4), "aggregate_id": "1",
        "hypervisor_id": uuid(4),
    }  # fmt: skip
    return route.path.removeprefix("/v2.1").format(**values)


def version_of(route: Route) -> str:
    return route.until or "2.100"


def body_of(route: Route) -> Any:
    if route.action:
        return {route.action: None}
    return {} if route.method in ("POST", "PUT") else None


@pytest.mark.parametrize("route", under_token(), ids=lambda route: f"{route.op} {route.since}")
def test_nothing_is_answered_without_a_token(route: Route, talk: Talk) -> None:
    async def work(cloud: Cloud) -> int:
        await cloud.server(1)
        asked = await cloud.ask(route.method, path_of(route), body_of(route), version=version_of(route), token="")
        return asked.status

    assert talk(work) == 401


@pytest.mark.parametrize(
    "route", [route for route in under_token() if "{server_id}" in route.path], ids=lambda route: route.op
)
def test_a_server_of_another_project_is_not_there(route: Route, talk: Talk) -> None:
    """Whatever is asked of it, and before anything in the body is looked at by the handler."""

    async def work(cloud: Cloud) -> Any:
        await cloud.server(1)
        return await cloud.ask(
            route.method, path_of(route), valid_body(route), version=version_of(route), token="mallory"
        )

    found = talk(work)
    assert found.status == 404, found.body
    assert found.json()["itemNotFound"]["message"] == f"Instance {uuid(1)} could not be found."


@pytest.mark.parametrize(
    "route",
    [route for route in under_token() if "{server_id}" in route.path and route.method != "GET"],
    ids=lambda route: route.op,
)
def test_a_reader_changes_no_server(route: Route, talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        await cloud.server(1)
        return await cloud.ask(
            route.method, path_of(route), valid_body(route), version=version_of(route), token="reader"
        )

    found = talk(work)
    assert found.status == 403, found.body
    assert found.json()["forbidden"]["message"] == f"Policy doesn't allow {route.policy} to be performed."


def valid_body(route: Route) -> Any:
    """A body that the route's schema takes."""
    if route.method not in ("POST", "PUT"):
        return None
    return VALID.get(route.action or route.path.rpartition("/")[2], body_of(route))


VALID: dict[str, Any] = {
    "{server_id}": {"server": {"name": "n"}},
    "{key}": {"meta": {"k": "v"}},
    "{volume_id}": {"volumeAttachment": {"volumeId": uuid(2)}},
    "reboot": {"reboot": {"type": "SOFT"}},
    "rebuild": {"rebuild": {"imageRef": uuid(9)}},
    "createImage": {"createImage": {"name": "n"}},
    "os-getConsoleOutput": {"os-getConsoleOutput": {}},
    "changePassword": {"changePassword": {"adminPass": "p"}},
    "os-resetState": {"os-resetState": {"state": "active"}},
    "addSecurityGroup": {"addSecurityGroup": {"name": "default"}},
    "removeSecurityGroup": {"removeSecurityGroup": {"name": "default"}},
    "metadata": {"metadata": {"k": "v"}},
    "tags": {"tags": ["t"]},
    "remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    "os-volume_attachments": {"volumeAttachment": {"volumeId": uuid(2)}},
    "os-interface": {"interfaceAttachment": {"net_id": uuid(2)}},
}


@pytest.mark.parametrize(
    "route",
    [route for route in under_token() if "{server_id}" not in route.path and "rule:context_is_admin" in
     [rule.check_str for rule in POLICIES if rule.name == route.policy]],
    ids=lambda route: f"{route.op} {route.since}",
)  # fmt: skip
def test_what_is_for_administrators_is_refused_to_members(route: Route, talk: Talk) -> None:
    async def work(cloud: Cloud) -> int:
        asked = await cloud.ask(
            route.method, path_of(route), ADMIN_BODIES.get(route.op, body_of(route)), version=version_of(route)
        )
        return asked.status

    assert talk(work) == 403


ADMIN_BODIES = {
    "compute:put:os-quota-sets/*": {"quota_set": {"cores": 1}},
}


def test_the_api_is_built_of_the_whole_table() -> None:
    assert tuple(API.routes) == ROUTES
