"""Moments: written as the API writes them, read as ISO 8601 allows."""

import pytest

from pileus.compute.domain.moments import MomentInvalid, read_moment, to_micros, to_seconds

MOMENT = 1_767_323_045_123_456


def test_two_ways_to_write_a_moment() -> None:
    assert to_seconds(MOMENT) == "2026-01-02T03:04:05Z"
    assert to_micros(MOMENT) == "2026-01-02T03:04:05.123456"
    assert to_micros(MOMENT // 1_000_000 * 1_000_000) == "2026-01-02T03:04:05.000000"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", MOMENT - 123_456),
        ("2026-01-02T03:04:05.123456", MOMENT),
        ("2026-01-02 03:04:05", MOMENT - 123_456),
        ("2026-01-02T05:04:05+02:00", MOMENT - 123_456),
        ("2026-01-01T21:04:05-0600", MOMENT - 123_456),
        ("20260102T030405Z", MOMENT - 123_456),
        ("2026-01-02", MOMENT - 123_456 - (3 * 3600 + 4 * 60 + 5) * 1_000_000),
    ],
)
def test_a_moment_is_read(text: str, moment: int) -> None:
    assert read_moment(text, "changes-since") == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-02-30T00:00:00", "1767323045", "2026-01-02T25:00"]
)
def test_what_is_no_moment_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(MomentInvalid, match="changes-since"):
        read_moment(text, "changes-since")
