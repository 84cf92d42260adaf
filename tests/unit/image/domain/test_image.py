"""Who may know of an image, and which bytes a Range header means."""

import pytest

from pileus.image.domain.byte_range import parse
from pileus.image.domain.errors import BadRange, OverLimit
from pileus.image.domain.image import Image, Limits, is_visible


def image(visibility: str, owner: str | None = "alice") -> Image:
    return Image(id="i", owner=owner, visibility=visibility, created_at=1, updated_at=1)


@pytest.mark.parametrize(
    ("visibility", "owner", "stranger", "member"),
    [
        ("public", True, True, True),
        ("community", True, True, True),
        ("shared", True, False, True),
        ("private", True, False, False),
    ],
)
def test_visibility_decides_who_sees(visibility: str, owner: bool, stranger: bool, member: bool) -> None:
    def sees(project: str, is_member: bool = False, is_admin: bool = False) -> bool:
        return is_visible(image(visibility), project, is_admin=is_admin, is_member=is_member)

    assert sees("alice") is owner
    assert sees("bob") is stranger
    assert sees("") is stranger
    assert sees("bob", is_member=True) is member
    assert sees("bob", is_admin=True)


def test_an_image_of_nobody_is_seen_by_all() -> None:
    assert is_visible(image("private", owner=None), "bob", is_admin=False, is_member=False)


def test_limits_are_checked_and_zero_means_none() -> None:
    many = Image(id="i", owner="p", created_at=1, updated_at=1, properties={"a": "1", "b": "2"}, tags=("x", "y"))
    Limits(properties=2, tags=2).check(many)
    Limits(properties=0, tags=0).check(many)
    for limits in (Limits(properties=1), Limits(tags=1)):
        with pytest.raises(OverLimit) as refused:
            limits.check(many)
        assert refused.value.status == 413


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=5-5", (5, 1)),
        ("bytes=90-", (90, 10)),
        ("bytes=90-1000", (90, 10)),
        ("bytes=-10", (90, 10)),
        ("bytes=-1000", (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=9-5", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=99999999999999999999-", None),
    ],
)
def test_a_range_is_read_as_http_says(header: str, found: tuple[int, int] | None) -> None:
    assert parse(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(header: str) -> None:
    with pytest.raises(BadRange) as refused:
        parse(header, 100)
    assert refused.value.status == 416


def test_nothing_has_no_range() -> None:
    with pytest.raises(BadRange):
        parse("bytes=0-", 0)
