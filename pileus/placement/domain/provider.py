"""A resource provider: something that has resources, alone or as part of a tree."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from pileus.placement.domain.errors import BadParent


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider; `root` is the top of its tree, itself when it has no parent."""

    uuid: str
    name: str
    generation: int
    parent: str | None
    root: str
    updated_at: int = 0  # UTC microseconds


def check_parent(provider: Provider, wanted: str | None, parents: Mapping[str, str | None], *, may_move: bool) -> None:
    """Refuse a parent that is unknown, inside the provider's own branch, or, up to 1.36, not the one it has.

    `parents` names the parent of every provider that is known here: of the provider's tree and of the wanted one.
    Raises: BadParent (400).
    """
    if wanted == provider.parent:
        return
    if provider.parent is not None and not may_move:
        raise BadParent(uuid=provider.uuid, complaint="re-parenting a provider is not currently allowed.")
    if wanted is None:
        return
    if wanted not in parents:
        raise BadParent(uuid=provider.uuid, complaint="parent provider UUID does not exist.")
    if provider.uuid in ancestors(wanted, parents):
        raise BadParent(uuid=provider.uuid, complaint="creating loop in the provider tree is not allowed.")


def ancestors(uuid: str, parents: Mapping[str, str | None]) -> Set[str]:
    """A provider and all above it."""
    found: set[str] = set()
    at: str | None = uuid
    while at is not None and at not in found:
        found.add(at)
        at = parents.get(at)
    return found


def branch(uuid: str, parents: Mapping[str, str | None]) -> list[str]:
    """A provider and all below it, in order of uuid."""
    return sorted(each for each in parents if uuid in ancestors(each, parents))
