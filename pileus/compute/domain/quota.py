"""Quotas of compute: the limits, and whether a request fits under them.

Usage is counted by whoever calls, never stored. -1 stands for no limit.
"""

from collections.abc import Mapping

from pileus.compute.domain.errors import (
    GroupMemberQuotaExceeded,
    InjectedContentQuotaExceeded,
    InjectedFileQuotaExceeded,
    InjectedPathQuotaExceeded,
    KeypairQuotaExceeded,
    MetadataQuotaExceeded,
    QuotaExceeded,
    ServerGroupQuotaExceeded,
)
from pileus.foundation.errors import BadRequest, OverQuota

UNLIMITED = -1

DEFAULT_LIMITS: Mapping[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,  # MiB
    "key_pairs": 100,  # of a user
    "metadata_items": 128,  # of a server
    "server_groups": 10,
    "server_group_members": 10,  # of a group
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "fixed_ips": UNLIMITED,
    "floating_ips": UNLIMITED,
    "security_groups": UNLIMITED,
    "security_group_rules": UNLIMITED,
}

COUNTED = ("instances", "cores", "ram", "server_groups")
"""What a project uses in all; the rest bounds single things."""

_OWN_WORDS: Mapping[str, type[OverQuota]] = {
    "metadata_items": MetadataQuotaExceeded,
    "key_pairs": KeypairQuotaExceeded,
    "server_groups": ServerGroupQuotaExceeded,
    "server_group_members": GroupMemberQuotaExceeded,
    "injected_files": InjectedFileQuotaExceeded,
    "injected_file_path_bytes": InjectedPathQuotaExceeded,
    "injected_file_content_bytes": InjectedContentQuotaExceeded,
}


def overs(limits: Mapping[str, int], used: Mapping[str, int], asked: Mapping[str, int]) -> list[str]:
    """The resources of which more is asked than is left, by name; nothing asked never exceeds."""
    return sorted(
        name
        for name, amount in asked.items()
        if amount > 0 and 0 <= limits.get(name, UNLIMITED) < used.get(name, 0) + amount
    )


def check(limits: Mapping[str, int], used: Mapping[str, int], asked: Mapping[str, int]) -> None:
    """Refuse a request that does not fit. Raises: OverQuota's kinds (403) naming resources, amounts and limits."""
    names = overs(limits, used, asked)
    if not names:
        return
    first = _OWN_WORDS.get(names[0])
    if first is not None:
        raise first(allowed=limits[names[0]], resource=names[0])
    raise QuotaExceeded(
        overs=", ".join(names),
        req=", ".join(str(asked[name]) for name in names),
        used=", ".join(str(used.get(name, 0)) for name in names),
        allowed=", ".join(str(limits[name]) for name in names),
    )


def most_that_fit(limits: Mapping[str, int], used: Mapping[str, int], one: Mapping[str, int], wanted: int) -> int:
    """How many servers of `one`'s size still fit, at most `wanted`: a launch of min_count to max_count takes these."""
    most = wanted
    for name, amount in one.items():
        limit = limits.get(name, UNLIMITED)
        if limit != UNLIMITED and amount > 0:
            most = min(most, (limit - used.get(name, 0)) // amount)
    return max(most, 0)


def check_new_limits(changes: Mapping[str, int], used: Mapping[str, int], *, force: bool) -> None:
    """Refuse limits that make no sense, or that lie below what is used unless forced. Raises: BadRequest (400)."""
    for name, limit in changes.items():
        if name not in DEFAULT_LIMITS:
            raise BadRequest(f"Bad key(s) {name} in quota set")
        if limit < UNLIMITED:
            raise BadRequest(f"Quota limit {limit} for {name} must be -1 or greater.")
        if not force and limit != UNLIMITED and limit < used.get(name, 0):
            raise BadRequest(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                f"{used.get(name, 0)}."
            )
