"""What fits under a quota, and the words when it does not."""

import pytest

from pileus.compute.domain.quota import DEFAULT_LIMITS, check, check_new_limits, most_that_fit, overs
from pileus.foundation.errors import BadRequest, OverQuota

NONE: dict[str, int] = {}


def test_the_defaults_are_those_of_the_recorded_quota_set() -> None:
    recorded = {
        "cores": 20, "fixed_ips": -1, "floating_ips": -1, "injected_file_content_bytes": 10240,
        "injected_file_path_bytes": 255, "injected_files": 5, "instances": 10, "key_pairs": 100,
        "metadata_items": 128, "ram": 51200, "security_group_rules": -1, "security_groups": -1,
        "server_group_members": 10, "server_groups": 10,
    }  # fmt: skip
    assert dict(DEFAULT_LIMITS) == recorded


def test_a_request_that_just_fits_is_accepted() -> None:
    check(DEFAULT_LIMITS, {"instances": 9, "cores": 18, "ram": 51200 - 512}, {"instances": 1, "cores": 2, "ram": 512})


def test_a_refusal_names_what_was_asked_used_and_allowed() -> None:
    with pytest.raises(OverQuota) as refused:
        check(DEFAULT_LIMITS, {"instances": 9, "cores": 3}, {"instances": 2, "cores": 20, "ram": 51200})
    assert refused.value.text == (
        "Quota exceeded for cores, instances: Requested 20, 2, but already used 3, 9 of 20, 10 cores, instances"
    )
    assert refused.value.status == 403


def test_minus_one_is_no_limit_and_nothing_asked_never_exceeds() -> None:
    check({"instances": -1}, {"instances": 10**9}, {"instances": 10**9})
    check({"instances": 1}, {"instances": 5}, {"instances": 0})
    assert overs({}, NONE, {"instances": 99}) == []


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ("key_pairs", "Quota exceeded, too many key pairs."),
        ("server_groups", "Quota exceeded, too many server groups."),
        ("server_group_members", "Quota exceeded, too many servers in group"),
        ("metadata_items", "Maximum number of metadata items exceeds 128"),
        ("injected_files", "Personality file limit exceeded"),
    ],
)
def test_single_things_have_refusals_of_their_own(resource: str, text: str) -> None:
    with pytest.raises(OverQuota) as refused:
        check(DEFAULT_LIMITS, NONE, {resource: DEFAULT_LIMITS[resource] + 1})
    assert refused.value.text == text


def test_a_launch_of_several_takes_as_many_as_fit() -> None:
    one = {"instances": 1, "cores": 4, "ram": 1024}
    assert most_that_fit(DEFAULT_LIMITS, {"cores": 9}, one, 10) == 2
    assert most_that_fit(DEFAULT_LIMITS, {"cores": 30}, one, 10) == 0
    assert most_that_fit({"instances": -1}, NONE, one, 10) == 10


def test_a_limit_below_what_is_used_needs_force() -> None:
    with pytest.raises(BadRequest, match="must be greater than or equal to already used and reserved 5"):
        check_new_limits({"instances": 4}, {"instances": 5}, force=False)
    check_new_limits({"instances": 4}, {"instances": 5}, force=True)
    check_new_limits({"instances": -1}, {"instances": 5}, force=False)


@pytest.mark.parametrize("change", [{"instances": -2}, {"nonsense": 1}])
def test_limits_that_make_no_sense_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(BadRequest):
        check_new_limits(change, NONE, force=True)
