"""Trees of providers."""

import pytest

from pileus.placement.domain.errors import BadParent
from pileus.placement.domain.provider import Provider, ancestors, branch, check_parent

PARENTS = {"root": None, "numa0": "root", "numa1": "root", "nic": "numa1", "other": None}


def provider(uuid: str) -> Provider:
    return Provider(uuid, uuid, 0, PARENTS[uuid], "other" if uuid == "other" else "root")


def test_a_branch_is_a_provider_and_all_below_it() -> None:
    assert branch("root", PARENTS) == ["nic", "numa0", "numa1", "root"]
    assert branch("numa1", PARENTS) == ["nic", "numa1"]
    assert ancestors("nic", PARENTS) == {"nic", "numa1", "root"}


def test_ancestors_end_even_where_rows_lie() -> None:
    assert ancestors("a", {"a": "b", "b": "a"}) == {"a", "b"}


@pytest.mark.parametrize(
    ("moved", "wanted", "may_move", "is_fine"),
    [
        ("numa0", "root", False, True),  # where it is
        ("other", "root", False, True),  # from nowhere
        ("numa0", None, False, False),
        ("numa0", None, True, True),
        ("numa0", "numa1", False, False),
        ("numa0", "numa1", True, True),
        ("numa1", "nic", True, False),  # below itself
        ("numa1", "numa1", True, False),
        ("other", "unknown", True, False),
    ],
)
def test_a_parent_is_refused_when_the_tree_could_not_be(
    moved: str, wanted: str | None, may_move: bool, is_fine: bool
) -> None:
    if is_fine:
        check_parent(provider(moved), wanted, PARENTS, may_move=may_move)
    else:
        with pytest.raises(BadParent):
            check_parent(provider(moved), wanted, PARENTS, may_move=may_move)
