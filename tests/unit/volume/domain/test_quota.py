"""What fits under a quota, and which limits make sense."""

import pytest

from pileus.foundation.errors import BadRequest
from pileus.volume.domain.errors import GigabytesExceeded, SizeExceedsLimit, VolumeLimitExceeded
from pileus.volume.domain.quota import DEFAULT_LIMITS, check, check_new_limits, check_size, type_limits


def test_what_fits_passes() -> None:
    check({"volumes": 2, "gigabytes": 10}, {"volumes": 1, "gigabytes": 9}, {"volumes": 1, "gigabytes": 1}, "t")
    check({"volumes": -1, "gigabytes": -1}, {"volumes": 999}, {"volumes": 1, "gigabytes": 1 << 20}, "t")
    check({"gigabytes": 1}, {"gigabytes": 5}, {"gigabytes": 0}, "t")


def test_too_many_volumes_and_too_many_gigabytes_are_told_apart() -> None:
    with pytest.raises(VolumeLimitExceeded, match=r"Maximum number of volumes allowed \(2\) exceeded for quota 'vol"):
        check({"volumes": 2, "gigabytes": 10}, {"volumes": 2}, {"volumes": 1, "gigabytes": 1}, "t")
    with pytest.raises(GigabytesExceeded, match="Requested 3G, quota is 10G and 8G has been consumed") as refused:
        check({"volumes": 9, "gigabytes": 10}, {"gigabytes": 8}, {"volumes": 1, "gigabytes": 3}, "t")
    assert refused.value.status == 413


def test_a_type_has_limits_of_its_own() -> None:
    limits = {**DEFAULT_LIMITS, **type_limits(["fast"]), "volumes_fast": 1}
    check(limits, {"volumes_slow": 5}, {"volumes": 1}, "fast")
    with pytest.raises(VolumeLimitExceeded, match="quota 'volumes_fast'"):
        check(limits, {"volumes": 1, "volumes_fast": 1}, {"volumes": 1}, "fast")


def test_one_volume_has_a_limit_too() -> None:
    check_size(DEFAULT_LIMITS, 1 << 30)
    with pytest.raises(SizeExceedsLimit, match="Requested volume size 6GB is larger than maximum allowed limit 5GB"):
        check_size({"per_volume_gigabytes": 5}, 6)


@pytest.mark.parametrize(
    ("changes", "used", "below", "said"),
    [
        ({"chairs": 3}, {}, True, "Bad key"),
        ({"volumes": -2}, {}, True, "-1 or greater"),
        ({"volumes": 1 << 31}, {}, True, "at most"),
        ({"volumes": 3}, {"volumes": 4}, False, "more than 3"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    changes: dict[str, int], used: dict[str, int], below: bool, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        check_new_limits(changes, DEFAULT_LIMITS, used, below=below)


def test_limits_may_lie_below_what_is_used_when_asked_for() -> None:
    check_new_limits({"volumes": 3, "gigabytes": -1}, DEFAULT_LIMITS, {"volumes": 4}, below=True)
