"""The invariants of placement, checked against its own rows. It repairs nothing."""

from typing import Any

import msgspec

from pileus.placement.service import Placement
from pileus.placement.store import audit as rows

Finding = dict[str, Any]

_RECLAIM = "release the consumers of this provider and claim again"
_RESTORE = "restore a backup: only a fault of the program does this"


async def audit(placement: Placement) -> list[Finding]:
    """Every violation found: which invariant, about what, what is there, and what mends it."""
    return [*await _sums(placement), *await _owners(placement), *await _trees(placement)]


def _finding(invariant: str, subject: str, found: str, mend: str) -> Finding:
    return {"invariant": invariant, "subject": subject, "found": found, "mend": mend}


async def _sums(placement: Placement) -> list[Finding]:
    """What is used is what is held, and there is that much."""
    database = placement.database
    found = [
        _finding(
            "the use of an inventory is the sum of its allocations",
            row["provider"],
            f"{row['used']} of {row['class']} counted as used, {row['held']} held",
            _RECLAIM,
        )
        for row in await rows.miscounted(database)
    ]
    found += [
        _finding(
            "capacity is never exceeded",
            row["provider"],
            f"{row['used']} of {row['capacity']} {row['class']} used",
            "give the provider back what it had, or move consumers away",
        )
        for row in await rows.overcommitted(database)
    ]
    return found + [
        _finding(
            "nobody holds what a provider does not have",
            row["consumer"],
            f"holds {row['class']} of {row['provider']}",
            f"openstack resource provider allocation delete {row['consumer']}",
        )
        for row in await rows.unfounded(database)
    ]


async def _owners(placement: Placement) -> list[Finding]:
    """Consumers hold something, and whatever is held has one."""
    database = placement.database
    found = [
        _finding("every allocation has its consumer", each, "allocations without a consumer", _RESTORE)
        for each in await rows.ownerless(database)
    ]
    found += [
        _finding("every consumer holds something", each, "a consumer without allocations", _RESTORE)
        for each in await rows.idle(database)
    ]
    return found + [
        _finding("every inventory has its provider", each, "inventories without a provider", _RESTORE)
        for each in await rows.stray_inventories(database)
    ]


async def _trees(placement: Placement) -> list[Finding]:
    """What a provider's row repeats (root, traits) is what other rows say."""
    found = []
    providers = await rows.places(placement.database)
    traits = await rows.traits(placement.database)
    for uuid, (parent, root, listed) in providers.items():
        above = uuid if parent is None else providers[parent].root if parent in providers else None
        if root != above:
            found.append(_finding("every provider is in its tree", uuid, f"parent {parent}, root {root}", _RESTORE))
        if msgspec.json.decode(listed) != traits.get(uuid, []):
            found.append(_finding("a provider's list of traits is whole", uuid, listed, "set its traits again"))
    return found
