"""From claims to what happens to inventories."""

from hypothesis import given
from hypothesis import strategies as st

from pileus.placement.domain.claim import Move, plan_moves

A, B = ("p1", "VCPU"), ("p2", "DISK_GB")


def test_a_new_claim_takes_what_it_asks_for() -> None:
    assert plan_moves([({}, {A: 2})]) == [Move("p1", "VCPU", 2, 2, 2, 2)]


def test_a_claim_that_replaces_another_takes_only_the_difference() -> None:
    assert plan_moves([({A: 5}, {A: 2})]) == [Move("p1", "VCPU", -3, 2, 2, 2)]


def test_what_is_only_given_back_asks_for_nothing() -> None:
    assert plan_moves([({A: 5}, {B: 1})]) == [Move("p1", "VCPU", -5), Move("p2", "DISK_GB", 1, 1, 1, 1)]


def test_moves_remember_the_single_amounts_of_several_consumers() -> None:
    moves = plan_moves([({A: 1}, {A: 4}), ({}, {A: 6}), ({A: 3}, {})])
    assert moves == [Move("p1", "VCPU", 6, 4, 6, 2)]


KEYS = st.tuples(st.sampled_from(["p1", "p2", "p3"]), st.sampled_from(["VCPU", "DISK_GB"]))
HELD = st.dictionaries(KEYS, st.integers(1, 1000))


@given(st.lists(st.tuples(HELD, HELD), max_size=5))
def test_moves_are_ordered_and_add_up(
    changes: list[tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]],
) -> None:
    moves = plan_moves(changes)
    keys = [(move.provider, move.resource_class) for move in moves]
    assert keys == sorted(set(keys))
    for move in moves:
        key = (move.provider, move.resource_class)
        asked = [wanted[key] for _, wanted in changes if key in wanted]
        assert move.delta == sum(asked) - sum(held.get(key, 0) for held, _ in changes)
        assert (move.least, move.most) == ((min(asked), max(asked)) if asked else (0, 0))
        assert all(amount % move.divisor == 0 for amount in asked)
