"""The small languages of query strings."""

import pytest

from pileus.placement.domain.errors import BadQuery
from pileus.placement.domain.filters import Filter, parse_member_of, parse_required, parse_resources

AGG1, AGG2 = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"


def test_resources_are_classes_with_amounts() -> None:
    assert parse_resources("VCPU:2,CUSTOM_GOLD:1") == {"VCPU": 2, "CUSTOM_GOLD": 1}


@pytest.mark.parametrize("text", ["", "VCPU", "VCPU:", "VCPU:0", "VCPU:-1", "VCPU:1.5", "VCPU:x", "vcpu:1", "VCPU:1,"])
def test_resources_that_say_nothing_sensible_are_refused(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_resources(text)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["A"], Filter((frozenset("A"),))),
        (["A,B"], Filter((frozenset("A"), frozenset("B")))),
        (["A,!B"], Filter((frozenset("A"),), frozenset("B"))),
        (["in:A,B"], Filter((frozenset("AB"),))),
        (["in:A,B", "!C", "D"], Filter((frozenset("AB"), frozenset("D")), frozenset("C"))),
    ],
)
def test_traits_may_be_required_forbidden_or_one_of_several(values: list[str], expected: Filter) -> None:
    assert parse_required(values, may_forbid=True, may_choose=True) == expected


@pytest.mark.parametrize(
    ("text", "may_forbid", "may_choose"),
    [
        ("!A", False, False),
        ("in:A", True, False),
        ("in:!A", True, True),
        ("!in:A", True, True),
        ("A,in:B", True, True),
        ("", True, True),
        ("A,,", True, True),
        ("a", True, True),
        ("in:", True, True),
    ],
)
def test_traits_that_the_version_does_not_know_are_refused(text: str, may_forbid: bool, may_choose: bool) -> None:
    with pytest.raises(BadQuery):
        parse_required([text], may_forbid=may_forbid, may_choose=may_choose)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([AGG1], Filter((frozenset([AGG1]),))),
        ([f"in:{AGG1},{AGG2}"], Filter((frozenset([AGG1, AGG2]),))),
        ([AGG1, AGG2], Filter((frozenset([AGG1]), frozenset([AGG2])))),
        ([f"!{AGG1}"], Filter((), frozenset([AGG1]))),
        ([f"!in:{AGG1},{AGG2}"], Filter((), frozenset([AGG1, AGG2]))),
    ],
)
def test_aggregates_may_be_required_forbidden_or_one_of_several(values: list[str], expected: Filter) -> None:
    assert parse_member_of(values, may_forbid=True, may_repeat=True) == expected


@pytest.mark.parametrize(
    ("values", "may_forbid", "may_repeat"),
    [
        ([f"!{AGG1}"], False, True),
        ([AGG1, AGG2], True, False),
        ([f"{AGG1},{AGG2}"], True, True),
        (["x"], True, True),
        ([""], True, True),
    ],
)
def test_aggregates_that_the_version_does_not_know_are_refused(
    values: list[str], may_forbid: bool, may_repeat: bool
) -> None:
    with pytest.raises(BadQuery):
        parse_member_of(values, may_forbid=may_forbid, may_repeat=may_repeat)


@pytest.mark.parametrize(("names", "passes"), [("A", True), ("AB", True), ("B", False), ("AC", False), ("", False)])
def test_a_filter_wants_one_of_each_set_and_none_of_the_forbidden(names: str, passes: bool) -> None:
    assert Filter((frozenset("A"),), frozenset("C")).allows(frozenset(names)) is passes


def test_what_is_wanted_and_forbidden_at_once_is_a_contradiction() -> None:
    assert Filter((frozenset("A"), frozenset("BC")), frozenset("AB")).contradiction == ["A"]
