from pileus.identity.domain.role import IMPLICATIONS, Role, RoleBook

ROLES = [Role(id=f"{name}-id", name=name) for name in ("admin", "manager", "member", "reader", "service")]
IMPLIED: dict[str, frozenset[str]] = {f"{a}-id": frozenset({f"{b}-id"}) for a, b in IMPLICATIONS}


def names(book: RoleBook, *assigned: str) -> set[str]:
    return {role.name for role in book.effective(assigned)}


def test_admin_is_manager_member_and_reader_too() -> None:
    assert names(RoleBook(ROLES, IMPLIED), "admin-id") == {"admin", "manager", "member", "reader"}


def test_member_is_no_manager() -> None:
    assert names(RoleBook(ROLES, IMPLIED), "member-id") == {"member", "reader"}


def test_service_stands_apart() -> None:
    book = RoleBook(ROLES, IMPLIED)
    assert names(book, "service-id") == {"service"}
    assert all("service" not in pair for pair in IMPLICATIONS)


def test_roles_that_imply_each_other_in_a_circle_end() -> None:
    book = RoleBook(ROLES, {"member-id": frozenset({"reader-id"}), "reader-id": frozenset({"member-id"})})
    assert names(book, "reader-id") == {"member", "reader"}


def test_a_role_of_one_domain_never_shows_but_what_it_implies_does() -> None:
    own = Role(id="own-id", name="boss", domain_id="d1")
    book = RoleBook([*ROLES, own], IMPLIED | {"own-id": frozenset({"member-id"})})
    assert names(book, "own-id") == {"member", "reader"}


def test_an_assignment_of_a_role_that_is_gone_is_worth_nothing() -> None:
    assert names(RoleBook(ROLES, IMPLIED), "gone-id") == set()
