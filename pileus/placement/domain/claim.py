"""What one consumer shall hold from now on, and what that changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

Key = tuple[str, str]
"""(uuid of a provider, resource class)"""

Amounts = Mapping[Key, int]

UNKNOWN_TYPE = "unknown"
INCOMPLETE = "00000000-0000-0000-0000-000000000000"
"""The project and user of consumers that were made before 1.8, when nobody had to name them."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """Whoever holds resources; it exists only as long as it holds some."""

    uuid: str
    generation: int
    project_id: str
    user_id: str
    type: str | None = None  # None: made before 1.38, shown as "unknown"
    updated_at: int = 0  # UTC microseconds


@dataclass(frozen=True, slots=True)
class Claim:
    """All that a consumer shall hold; whatever else it held, it gives back.

    `generation` None says that the consumer must be new; it is looked at only with `is_guarded` (from 1.28).
    """

    consumer: str
    amounts: dict[Key, int]
    project_id: str = INCOMPLETE
    user_id: str = INCOMPLETE
    type: str | None = None
    generation: int | None = None
    is_guarded: bool = False


class Move(NamedTuple):
    """What happens to one inventory: by how much its use changes, and what single amounts were asked of it.

    `least`, `most` and `divisor` (greatest common divisor) say of all amounts whether the inventory's units allow
    them; with `most` 0 nothing was asked for.
    """

    provider: str
    resource_class: str
    delta: int
    least: int = 0
    most: int = 0
    divisor: int = 0


def plan_moves(changes: Iterable[tuple[Amounts, Amounts]]) -> list[Move]:
    """What consumers that go from holding the first to holding the second do to inventories.

    Ordered by provider and class: who touches rows in one order never waits in a circle.
    """
    moves: dict[Key, Move] = {}
    for held, wanted in changes:
        for key, amount in wanted.items():
            before = moves.get(key)
            if before is None:
                moves[key] = Move(*key, amount, amount, amount, amount)
            else:
                least = min(before.least, amount) if before.most else amount
                delta, most = before.delta + amount, max(before.most, amount)
                moves[key] = Move(*key, delta, least, most, gcd(before.divisor, amount))
        for key, amount in held.items():
            before = moves.get(key)
            moves[key] = Move(*key, -amount) if before is None else before._replace(delta=before.delta - amount)
    return [moves[key] for key in sorted(moves)]
