"""Who could serve a request, over small forests."""

from collections.abc import Iterable

import pytest

from pileus.placement.domain.candidate_query import CandidateQuery, Group
from pileus.placement.domain.candidates import Candidate, Forest, Node, find_candidates
from pileus.placement.domain.filters import Filter
from pileus.placement.domain.trait import SHARES


def node(uuid: str, parent: str | None = None, root: str | None = None, **facts: object) -> Node:
    """A provider: `traits="A B"`, `aggregates="x"`, stock as `VCPU=8` or `VCPU=(capacity, used, min, max, step)`."""
    traits, aggregates = str(facts.pop("traits", "")), str(facts.pop("aggregates", ""))
    made = Node(uuid, parent, root or uuid, frozenset(traits.split()))
    made.aggregates = frozenset(aggregates.split())
    for name, stock in facts.items():
        made.stock[name] = stock if isinstance(stock, tuple) else (stock, 0, 1, 1000, 1)  # type: ignore[assignment]
    return made


def names(*wanted: str, forbidden: Iterable[str] = ()) -> Filter:
    return Filter(tuple(frozenset(each.split("|")) for each in wanted), frozenset(forbidden))


def shown(found: Iterable[Candidate]) -> set[str]:
    """Candidates as text: "host:VCPU=1 nic:VF=2"."""
    return {
        " ".join(sorted(f"{uuid}:{name}={amount}" for (uuid, name), amount in each.amounts.items())) for each in found
    }


def find(forest: Iterable[Node], *groups: Group, **facts: object) -> set[str]:
    return shown(find_candidates(Forest(forest), CandidateQuery(groups, **facts)))  # type: ignore[arg-type]


NUMA = (
    node("host", DISK_GB=100, traits="COMPUTE"),
    node("numa0", "host", "host", VCPU=4, MEMORY_MB=64, traits="FAST"),
    node("numa1", "host", "host", VCPU=4, MEMORY_MB=64),
    node("nic0", "numa0", "host", VF=2, traits="PHYSNET_A"),
    node("nic1", "numa1", "host", VF=2, traits="PHYSNET_B"),
)


@pytest.mark.parametrize(
    ("stock", "amount", "fits"),
    [
        ((8, 0, 1, 8, 1), 8, True),
        ((8, 1, 1, 8, 1), 8, False),
        ((8, 0, 2, 8, 1), 1, False),
        ((8, 0, 1, 4, 1), 5, False),
        ((8, 0, 1, 8, 2), 3, False),
        ((8, 0, 1, 8, 2), 4, True),
    ],
)
def test_room_is_capacity_and_units(stock: tuple[int, ...], amount: int, fits: bool) -> None:
    assert bool(find([node("a", VCPU=stock)], Group("", {"VCPU": amount}))) is fits


def test_every_host_with_room_is_a_candidate() -> None:
    hosts = [node("a", VCPU=4), node("b", VCPU=1), node("c", MEMORY_MB=64), node("d", VCPU=2)]
    assert find(hosts, Group("", {"VCPU": 2})) == {"a:VCPU=2", "d:VCPU=2"}


def test_traits_are_required_chosen_and_forbidden() -> None:
    hosts = [node("a", VCPU=4, traits="X"), node("b", VCPU=4, traits="Y"), node("c", VCPU=4, traits="X Z")]
    assert find(hosts, Group("", {"VCPU": 1}, names("X"))) == {"a:VCPU=1", "c:VCPU=1"}
    assert find(hosts, Group("", {"VCPU": 1}, names("X|Y", forbidden="Z"))) == {"a:VCPU=1", "b:VCPU=1"}


def test_the_group_without_a_suffix_is_spread_over_one_tree() -> None:
    assert find(NUMA, Group("", {"VCPU": 4, "DISK_GB": 1})) == {
        "host:DISK_GB=1 numa0:VCPU=4", "host:DISK_GB=1 numa1:VCPU=4",
    }  # fmt: skip


def test_spread_providers_have_the_traits_together() -> None:
    group = Group("", {"VCPU": 1, "DISK_GB": 1}, names("COMPUTE", "FAST"))
    assert find(NUMA, group) == {"host:DISK_GB=1 numa0:VCPU=1"}
    assert find(NUMA, Group("", {"VCPU": 1, "DISK_GB": 1}, names(forbidden=["FAST"]))) == {
        "host:DISK_GB=1 numa1:VCPU=1"
    }


def test_a_suffixed_group_comes_from_one_provider() -> None:
    assert find(NUMA, Group("1", {"VCPU": 1, "MEMORY_MB": 1})) == {
        "numa0:MEMORY_MB=1 numa0:VCPU=1", "numa1:MEMORY_MB=1 numa1:VCPU=1",
    }  # fmt: skip
    assert find(NUMA, Group("1", {"VCPU": 1, "DISK_GB": 1})) == set()


def test_groups_together_never_ask_for_more_than_there_is() -> None:
    assert find(NUMA, Group("1", {"VCPU": 3}), Group("2", {"VCPU": 3})) == {"numa0:VCPU=3 numa1:VCPU=3"}
    assert "numa0:VCPU=4" in find(NUMA, Group("1", {"VCPU": 2}), Group("2", {"VCPU": 2}))


def test_isolated_groups_come_from_different_providers() -> None:
    groups = Group("1", {"VCPU": 1}), Group("2", {"VCPU": 1})
    assert find(NUMA, *groups, is_isolated=True) == {"numa0:VCPU=1 numa1:VCPU=1"}


def test_groups_of_a_subtree_are_below_one_of_them() -> None:
    groups = Group("_cpu", {"VCPU": 1}), Group("_vf", {"VF": 1})
    assert len(find(NUMA, *groups)) == 4
    assert find(NUMA, *groups, same_subtrees=(frozenset({"_cpu", "_vf"}),)) == {
        "nic0:VF=1 numa0:VCPU=1", "nic1:VF=1 numa1:VCPU=1",
    }  # fmt: skip


def test_a_group_without_resources_names_the_top_of_a_subtree() -> None:
    groups = Group("_cpu", {"VCPU": 1}), Group("_top", {}, names("FAST"))
    found = list(find_candidates(Forest(NUMA), CandidateQuery(groups, same_subtrees=(frozenset({"_cpu", "_top"}),))))
    assert [(each.amounts, each.groups["_top"]) for each in found] == [({("numa0", "VCPU"): 1}, ["numa0"])]


def test_the_top_of_the_tree_may_have_to_be_like_something() -> None:
    forest = [*NUMA, node("b", VCPU=8)]
    assert find(forest, Group("", {"VCPU": 4}), root_required=names("COMPUTE")) == {"numa0:VCPU=4", "numa1:VCPU=4"}
    assert find(forest, Group("", {"VCPU": 4}), root_required=names(forbidden=["COMPUTE"])) == {"b:VCPU=4"}


def test_only_one_tree_may_be_wanted() -> None:
    forest = [*NUMA, node("b", VCPU=8)]
    assert find(forest, Group("", {"VCPU": 1}, in_tree="b")) == {"b:VCPU=1"}
    assert find(forest, Group("", {"VCPU": 1}, in_tree="nic0")) == {"numa0:VCPU=1", "numa1:VCPU=1"}
    assert find(forest, Group("", {"VCPU": 1}, in_tree="gone")) == set()


def test_aggregates_of_the_top_count_for_the_tree_and_not_for_suffixed_groups() -> None:
    forest = [node("host", aggregates="x"), node("child", "host", "host", VCPU=4), node("b", VCPU=4, aggregates="y")]
    assert find(forest, Group("", {"VCPU": 1}, member_of=names("x"))) == {"child:VCPU=1"}
    assert find(forest, Group("", {"VCPU": 1}, member_of=names(forbidden="x"))) == {"b:VCPU=1"}
    assert find(forest, Group("1", {"VCPU": 1}, member_of=names("x"))) == set()


SHARED = (
    node("a", VCPU=4, aggregates="x"),
    node("b", VCPU=4, DISK_GB=10, aggregates="x"),
    node("c", VCPU=4),
    node("nfs", DISK_GB=100, traits=SHARES, aggregates="x"),
)


def test_sharing_providers_serve_the_trees_of_their_aggregates() -> None:
    assert find(SHARED, Group("", {"VCPU": 1, "DISK_GB": 5})) == {
        "a:VCPU=1 nfs:DISK_GB=5", "b:VCPU=1 nfs:DISK_GB=5", "b:DISK_GB=5 b:VCPU=1",
    }  # fmt: skip


def test_a_candidate_that_several_trees_lead_to_is_told_once() -> None:
    found = list(find_candidates(Forest(SHARED), CandidateQuery((Group("", {"DISK_GB": 50}),))))
    assert [each.amounts for each in found] == [{("nfs", "DISK_GB"): 50}]


def test_who_is_not_in_the_wanted_tree_does_not_share_with_it() -> None:
    assert find(SHARED, Group("", {"VCPU": 1, "DISK_GB": 5}, in_tree="b")) == {"b:DISK_GB=5 b:VCPU=1"}


def test_a_request_that_could_be_served_in_countless_ways_ends() -> None:
    forest = [node("top", VCPU=64), *(node(f"n{i}", "top", "top", VCPU=64) for i in range(40))]
    groups = [Group(str(i), {"VCPU": 1}) for i in range(8)]
    assert find(forest, *groups)
