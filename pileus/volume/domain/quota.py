"""Quotas of block storage: the limits, and whether a request fits under them.

Usage is counted by whoever calls, never stored. -1 stands for no limit. Every volume type has limits of its own beside
the project's: `volumes_TYPE`, `gigabytes_TYPE`, `snapshots_TYPE`.
"""

from collections.abc import Iterable, Mapping

from pileus.foundation.errors import BadRequest
from pileus.volume.domain.errors import GigabytesExceeded, SizeExceedsLimit, SnapshotLimitExceeded, VolumeLimitExceeded

UNLIMITED = -1
MOST = 0x7FFFFFFF

DEFAULT_LIMITS: Mapping[str, int] = {
    "volumes": 10,
    "per_volume_gigabytes": UNLIMITED,
    "snapshots": 10,
    "gigabytes": 1000,
    "backups": 10,
    "backup_gigabytes": 1000,
    "groups": 10,
}

PER_TYPE = ("volumes", "gigabytes", "snapshots")


def type_limits(type_names: Iterable[str]) -> dict[str, int]:
    """The limits of volume types, by their defaults."""
    return {f"{resource}_{name}": UNLIMITED for name in type_names for resource in PER_TYPE}


def check_size(limits: Mapping[str, int], size_gib: int) -> None:
    """Raises: SizeExceedsLimit (400)."""
    most = limits.get("per_volume_gigabytes", UNLIMITED)
    if 0 <= most < size_gib:
        raise SizeExceedsLimit(size=size_gib, limit=most)


def check(limits: Mapping[str, int], used: Mapping[str, int], asked: Mapping[str, int], type_name: str) -> None:
    """Refuse what does not fit, of the project or of the type. Raises: OverQuota's kinds (413)."""
    for resource, amount in asked.items():
        for name in (resource, f"{resource}_{type_name}"):
            limit, have = limits.get(name, UNLIMITED), used.get(name, 0)
            if amount <= 0 or limit < 0 or have + amount <= limit:
                continue
            if resource == "gigabytes":
                raise GigabytesExceeded(name=name, requested=amount, allowed=limit, consumed=have)
            if resource == "snapshots":
                raise SnapshotLimitExceeded(allowed=limit)
            raise VolumeLimitExceeded(allowed=limit, name=name)


def check_new_limits(changes: Mapping[str, int], known: Iterable[str], used: Mapping[str, int], *, below: bool) -> None:
    """Refuse limits that make no sense; `below` lets them lie under what is used. Raises: BadRequest (400)."""
    unknown = sorted(changes.keys() - set(known))
    if unknown:
        raise BadRequest(f"Bad key(s) in quota set: {', '.join(unknown)}")
    for name, limit in changes.items():
        if not UNLIMITED <= limit <= MOST:
            raise BadRequest(f"Invalid input received: {name} must be -1 or greater, and at most {MOST}.")
        if not below and 0 <= limit < used.get(name, 0):
            raise BadRequest(f"Invalid input: {name} is in use: {used[name]}, which is more than {limit}.")
