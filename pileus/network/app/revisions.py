"""What every change of a row has in common: the caller's condition, the next revision, the time."""

from typing import Any, TypeVar

import msgspec

from pileus.network.domain.errors import RevisionNumberConstraintFailed
from pileus.network.domain.moment import written

S = TypeVar("S", bound=msgspec.Struct)


def expect(value: Any, revision: int | None) -> None:
    """Refuse to touch a row that is not at the revision the caller names.

    Raises: RevisionNumberConstraintFailed (412).
    """
    if revision is not None and value.revision_number != revision:
        raise RevisionNumberConstraintFailed(expected=revision, found=value.revision_number)


def next_revision(old: Any, new: S, now: int) -> S:
    """`new` as it is written over `old`: one revision on."""
    return msgspec.structs.replace(new, revision_number=old.revision_number + 1, updated_at=written(now))
