import pytest

from pileus.identity.domain import moments
from pileus.identity.domain.options import merged
from pileus.identity.domain.project import name_key
from pileus.identity.domain.tags import TagFilter


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05.000000", "1970-01-01T00:00:00.000001", "2099-12-31T23:59:59.999999"]
)
def test_a_moment_is_read_as_it_is_written(text: str) -> None:
    assert moments.as_bare_text(moments.read(text)) == text
    assert moments.as_text(moments.read(text)) == text + "Z"


def test_a_moment_with_a_zone_is_taken_to_utc() -> None:
    assert moments.read("2026-01-02T03:04:05+02:00") == moments.read("2026-01-02T01:04:05Z")


def test_an_option_set_to_null_goes_away() -> None:
    assert merged({"a": True, "b": True}, {"a": None, "c": False}) == {"b": True, "c": False}
    assert merged({"a": True}, None) == {"a": True}


def test_names_that_differ_only_by_case_are_one() -> None:
    assert name_key("Straße") == name_key("STRASSE")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({"tags": ["a,b"]}, True),
        ({"tags": ["a,c"]}, False),
        ({"tags-any": ["c,b"]}, True),
        ({"tags-any": ["c"]}, False),
        ({"not-tags": ["a,b"]}, False),
        ({"not-tags": ["a,c"]}, True),
        ({"not-tags-any": ["a,c"]}, False),
        ({"not-tags-any": ["c"]}, True),
        ({"tags": ["a"], "not-tags-any": ["b"]}, False),
    ],
)
def test_tags_choose(query: dict[str, list[str]], fits: bool) -> None:
    chosen = TagFilter.read(query)
    assert chosen is not None
    assert chosen.fits(("a", "b")) is fits


def test_a_query_without_tags_chooses_nothing() -> None:
    assert TagFilter.read({"name": ["x"], "tags": [""]}) is None
