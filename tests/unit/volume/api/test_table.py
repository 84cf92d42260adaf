"""The table of operations against the published one."""

import csv
from pathlib import Path

import pytest

from pileus.foundation.http.route import Route
from pileus.foundation.http.schema import overlaps
from pileus.foundation.http.versions import as_text, version
from pileus.foundation.policy import Policy
from pileus.volume.api.policies import POLICIES
from pileus.volume.api.routes import ROUTES
from pileus.volume.api.versions import CHANGES, MICROVERSIONS

ROWS = list(csv.DictReader((Path(__file__).parent / "operations.csv").open()))
BY_OP: dict[str, list[dict[str, str]]] = {}
for row in ROWS:
    BY_OP.setdefault(row["op"], []).append(row)

# Its row names the rule for what the call did beside; ours is the one for the call itself.
OTHER_POLICY = {"block-storage:post:volumes/*/action:os-attach": "volume_extension:volume_actions:attach"}
NOT_PUBLISHED = {("GET", "/v3")}  # sends to /v3/


def test_every_operation_of_tier_one_is_there() -> None:
    ours = {route.op for route in ROUTES}
    tier_one = {row["op"] for row in ROWS if row["tier"] == "1"}
    assert len(tier_one) == 34
    assert not tier_one - ours


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.op} {route.since}")
def test_an_operation_is_as_it_was_published(route: Route) -> None:
    if (route.method, route.path) in NOT_PUBLISHED:
        return
    row = BY_OP[route.op][0]
    assert (route.method, route.action) == (row["method"], row["action"])
    shape = "/".join("*" if part.startswith("{") else part for part in route.path.split("/"))
    assert shape == "/".join("*" if part.startswith("{") else part for part in row["path"].split("/"))
    others = [other for other in ROUTES if other.op == route.op]
    if row["min_mv"] not in ("", "3.0"):
        assert min(other.first for other in others) == version(row["min_mv"])
    assert max(other.last for other in others) == (9999, 9999)
    if row["policy"] and not row["policy"].startswith("("):
        assert route.policy == OTHER_POLICY.get(route.op, row["policy"])
    assert str(route.success) == row["success"]


def test_every_rule_that_a_route_names_exists() -> None:
    Policy(POLICIES).require({route.policy for route in ROUTES if route.policy})


WHO = {"admin": {"admin", "member", "reader"}, "member": {"member", "reader"}, "reader": {"reader"}}


@pytest.mark.parametrize("row", [row for row in ROWS if row["op"] in {route.op for route in ROUTES}],
                         ids=lambda row: row["op"])  # fmt: skip
def test_a_rule_admits_whom_the_published_default_admits(row: dict[str, str]) -> None:
    admitted = set(row["default_policy"].split("|"))
    route = next(route for route in ROUTES if route.op == row["op"])
    if not route.policy or row["op"] in OTHER_POLICY or row["policy"].startswith("("):
        return
    policy, target = Policy(POLICIES), {"project_id": "p"}
    for name, roles in WHO.items():
        credentials = {"roles": sorted(roles), "project_id": "p"}
        expected = name in admitted or ("reader" in admitted) or (name == "admin")
        expected = expected and not (name == "reader" and "reader" not in admitted)
        assert policy.allows(route.policy, credentials, target) == expected, (name, route.policy)
        stranger = {**credentials, "project_id": "other"}
        assert policy.allows(route.policy, stranger, target) == (name == "admin")


def test_every_microversion_says_in_one_line_what_changed() -> None:
    assert list(CHANGES) == [f"3.{minor}" for minor in range(72)]
    assert (as_text(MICROVERSIONS.minimum), as_text(MICROVERSIONS.maximum)) == ("3.0", "3.71")


def test_no_body_knows_a_field_twice_in_one_version() -> None:
    assert not [overlaps(route.body) for route in ROUTES if route.body is not None and overlaps(route.body)]
