"""Server groups: their policies, and who may join where."""

from typing import Any

import pytest

from pileus.compute.domain.candidate import Policy
from pileus.compute.domain.server_group import ServerGroup, may_join, read_policies, read_policy
from pileus.foundation.errors import BadRequest


def group(policy: Policy, **facts: Any) -> ServerGroup:
    return ServerGroup(id="g", name="g", project_id="p", user_id="u", policy=policy, **facts)


@pytest.mark.parametrize(
    ("policy", "members", "host", "allowed"),
    [
        (Policy.AFFINITY, {}, "a", True),
        (Policy.AFFINITY, {"a": 1}, "a", True),
        (Policy.AFFINITY, {"a": 1}, "b", False),
        (Policy.ANTI_AFFINITY, {"a": 1}, "a", False),
        (Policy.ANTI_AFFINITY, {"a": 1}, "b", True),
        (Policy.SOFT_AFFINITY, {"a": 1}, "b", True),
        (Policy.SOFT_ANTI_AFFINITY, {"a": 9}, "a", True),
    ],
)
def test_a_server_joins_where_the_policy_allows(
    policy: Policy, members: dict[str, int], host: str, allowed: bool
) -> None:
    assert may_join(group(policy), members, host) is allowed


def test_a_rule_lets_several_members_share_a_host() -> None:
    pairs = group(Policy.ANTI_AFFINITY, max_server_per_host=2)
    assert may_join(pairs, {"a": 1}, "a")
    assert not may_join(pairs, {"a": 2}, "a")
    assert pairs.rules == {"max_server_per_host": 2}
    assert group(Policy.AFFINITY).rules == {}


def test_policies_are_read_from_both_shapes_of_request() -> None:
    assert read_policy("anti-affinity", {"max_server_per_host": "3"}) == (Policy.ANTI_AFFINITY, 3)
    assert read_policy("affinity") == (Policy.AFFINITY, None)
    assert read_policies(["soft-affinity"]) is Policy.SOFT_AFFINITY


@pytest.mark.parametrize(
    ("policy", "rules"),
    [("nonsense", {}), ("affinity", {"max_server_per_host": 2}), ("anti-affinity", {"max_server_per_host": 0})],
)
def test_policies_and_rules_that_make_no_sense_are_refused(policy: str, rules: dict[str, int]) -> None:
    with pytest.raises(BadRequest):
        read_policy(policy, rules)


@pytest.mark.parametrize("policies", [[], ["affinity", "anti-affinity"]])
def test_a_group_has_exactly_one_policy(policies: list[str]) -> None:
    with pytest.raises(BadRequest):
        read_policies(policies)
