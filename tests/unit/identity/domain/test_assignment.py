from pileus.identity.domain.assignment import DOMAIN, GROUP, PROJECT, USER, Assignment, Effective, expand
from pileus.identity.domain.role import Role, RoleBook

BOOK = RoleBook(
    [Role(id="m", name="member"), Role(id="r", name="reader"), Role(id="d", name="own", domain_id="x")],
    {"m": frozenset({"r"}), "d": frozenset({"r"})},
)


def facts(found: list[Effective]) -> set[tuple[str, str, str, str, str, str]]:
    return {(e.user_id, e.target_kind, e.target_id, e.role_id, e.group_id, e.prior_role_id) for e in found}


def test_a_role_brings_those_it_implies_and_says_by_which() -> None:
    made = [Assignment(USER, "u", PROJECT, "p", "m")]
    assert facts(expand(made, {}, {}, BOOK)) == {
        ("u", PROJECT, "p", "m", "", ""),
        ("u", PROJECT, "p", "r", "", "m"),
    }


def test_a_group_stands_for_its_members() -> None:
    made = [Assignment(GROUP, "g", PROJECT, "p", "r")]
    assert facts(expand(made, {"g": ["u", "v"]}, {}, BOOK)) == {
        ("u", PROJECT, "p", "r", "g", ""),
        ("v", PROJECT, "p", "r", "g", ""),
    }


def test_an_inherited_role_works_below_and_not_on_the_target_itself() -> None:
    made = [Assignment(USER, "u", DOMAIN, "d", "r", inherited=True)]
    assert facts(expand(made, {}, {"d": ["p", "q"]}, BOOK)) == {
        ("u", PROJECT, "p", "r", "", ""),
        ("u", PROJECT, "q", "r", "", ""),
    }


def test_a_role_of_one_domain_shows_only_by_what_it_implies() -> None:
    made = [Assignment(USER, "u", PROJECT, "p", "d")]
    assert facts(expand(made, {}, {}, BOOK)) == {("u", PROJECT, "p", "r", "", "d")}
