"""Requests for candidates, read in the version they are made in."""

import pytest

from pileus.foundation.errors import BadRequest
from pileus.placement.domain.candidate_query import Group, parse
from pileus.placement.domain.errors import BAD_VALUE
from pileus.placement.domain.filters import Filter

LATEST = (1, 39)
TREE = "00000000-0000-4000-8000-000000000001"


def test_a_plain_request_is_one_group_without_a_suffix() -> None:
    query = parse({"resources": ["VCPU:1"]}, (1, 10))
    assert query.groups == (Group("", {"VCPU": 1}),)
    assert (query.limit, query.is_isolated) == (None, False)


def test_keys_of_one_suffix_are_one_group() -> None:
    query = parse({"resources_nic": ["SRIOV_NET_VF:1"], "required_nic": ["!A"], "in_tree_nic": [TREE]}, LATEST)
    assert query.groups == (Group("_nic", {"SRIOV_NET_VF": 1}, Filter((), frozenset("A")), in_tree=TREE),)


def test_the_least_amount_of_each_class_is_known() -> None:
    query = parse({"resources": ["VCPU:4,DISK_GB:1"], "resources1": ["VCPU:2"]}, LATEST)
    assert query.resources == {"VCPU": 2, "DISK_GB": 1}


def test_groups_without_resources_belong_to_a_subtree() -> None:
    query = parse(
        {"resources1": ["VCPU:1"], "required_x": ["A"], "same_subtree": ["1,_x"], "group_policy": ["none"]}, LATEST
    )
    assert query.same_subtrees == (frozenset({"1", "_x"}),)
    assert query.traits == {"A"}


@pytest.mark.parametrize(
    ("query", "version", "code"),
    [
        ({}, LATEST, "placement.query.missing_value"),
        ({}, (1, 25), "bad-request"),
        ({"required1": ["A"]}, LATEST, "placement.query.missing_value"),
        ({"resources": ["VCPU:1"], "required1": ["A"]}, LATEST, BAD_VALUE),
        ({"resources": ["VCPU:1"], "required1": ["A"]}, (1, 35), "bad-request"),
        ({"resources1": ["VCPU:1"], "resources2": ["VCPU:1"]}, LATEST, "bad-request"),
        ({"resources": ["VCPU:1"], "required": ["A,!A"]}, LATEST, "bad-request"),
        ({"resources": ["VCPU:1"], "root_required": ["A,!A"]}, LATEST, BAD_VALUE),
        ({"resources": ["VCPU:1"], "root_required": ["A", "B"]}, LATEST, "placement.query.duplicate_key"),
        ({"resources1": ["VCPU:1"], "same_subtree": ["1,"]}, LATEST, BAD_VALUE),
        ({"resources1": ["VCPU:1"], "same_subtree": ["1,_y"]}, LATEST, BAD_VALUE),
    ],
)
def test_requests_that_cannot_be_meant_are_refused(
    query: dict[str, list[str]], version: tuple[int, int], code: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(query, version)
    assert refused.value.code == code


def test_two_groups_need_a_policy() -> None:
    two = {"resources1": ["VCPU:1"], "resources2": ["VCPU:1"]}
    assert parse(two | {"group_policy": ["isolate"]}, (1, 25)).is_isolated
    assert not parse(two | {"group_policy": ["none"]}, (1, 25)).is_isolated
