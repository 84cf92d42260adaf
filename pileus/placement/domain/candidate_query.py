"""What a request for allocation candidates asks: groups of resources with conditions, and how groups belong together.

Source: placement API reference, "List allocation candidates"; microversions 1.10 to 1.39.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pileus.placement.domain.errors import BadQuery, DuplicateKey, MissingValue
from pileus.placement.domain.filters import (
    NOTHING,
    Filter,
    is_uuid,
    parse_member_of,
    parse_required,
    parse_resources,
)

Version = tuple[int, int]

NUMBERED = r"([1-9][0-9]*)?"  # suffixes of 1.25
NAMED = r"([a-zA-Z0-9_-]{1,64})?"  # suffixes of 1.33

_KEYS = {
    number: re.compile(rf"(resources|required|member_of|in_tree){suffix}")
    for number, suffix in ((0, "()"), (25, NUMBERED), (33, NAMED))
}
_SUBTREE = re.compile(r"_?[a-zA-Z0-9_-]{1,64}")
_GROUP_KEYS = ("resources", "required", "member_of", "in_tree")


@dataclass(frozen=True, slots=True)
class Group:
    """Resources that come from one provider, or, without a suffix, from any providers of one tree."""

    suffix: str
    resources: Mapping[str, int] = field(default_factory=dict)
    required: Filter = NOTHING
    member_of: Filter = NOTHING
    in_tree: str | None = None


@dataclass(frozen=True, slots=True)
class CandidateQuery:
    """Everything a request for candidates says."""

    groups: tuple[Group, ...]
    is_isolated: bool = False  # each suffixed group from a provider of its own
    limit: int | None = None
    root_required: Filter = NOTHING
    same_subtrees: tuple[frozenset[str], ...] = ()

    @property
    def resources(self) -> dict[str, int]:
        """The least amount of each class that any group asks for."""
        least: dict[str, int] = {}
        for group in self.groups:
            for name, amount in group.resources.items():
                least[name] = min(amount, least.get(name, amount))
        return least

    @property
    def traits(self) -> frozenset[str]:
        """Every trait that is named."""
        return self.root_required.names.union(*(group.required.names for group in self.groups))


def parse(query: Mapping[str, Sequence[str]], version: Version) -> CandidateQuery:
    """Read a query string whose names are known in `version`.

    Raises: BadQuery, MissingValue, DuplicateKey (400).
    """
    groups = _groups(query, version)
    subtrees = tuple(_subtree(text) for text in query.get("same_subtree", ()))
    _check_groups(groups, subtrees)
    return CandidateQuery(
        tuple(groups[suffix] for suffix in sorted(groups)),
        _is_isolated(query, groups),
        int(query["limit"][0]) if "limit" in query else None,
        _root_required(query, version),
        subtrees,
    )


def _groups(query: Mapping[str, Sequence[str]], version: Version) -> dict[str, Group]:
    pattern = _KEYS[max(number for number in _KEYS if version >= (1, number))]
    parts: dict[str, dict[str, Sequence[str]]] = {}
    for key, values in query.items():
        match = pattern.fullmatch(key)
        if match is None or (match[1] == "in_tree" and version < (1, 31)):
            continue
        may_repeat = (match[1] == "member_of" and version >= (1, 24)) or (match[1] == "required" and version >= (1, 39))
        if len(values) > 1 and not may_repeat:
            raise DuplicateKey(name=key)
        parts.setdefault(match[2] or "", {})[match[1]] = values
    return {suffix: _group(suffix, each, version) for suffix, each in parts.items()}


def _group(suffix: str, parts: Mapping[str, Sequence[str]], version: Version) -> Group:
    in_tree = parts["in_tree"][0] if "in_tree" in parts else None
    if in_tree is not None and not is_uuid(in_tree):
        raise BadQuery(complaint=f"Expected 'in_tree' parameter to be a format of uuid. Got: {in_tree}")
    return Group(
        suffix,
        parse_resources(parts["resources"][0]) if "resources" in parts else {},
        parse_required(parts["required"], may_forbid=version >= (1, 22), may_choose=version >= (1, 39))
        if "required" in parts
        else NOTHING,
        parse_member_of(parts["member_of"], may_forbid=version >= (1, 32)) if "member_of" in parts else NOTHING,
        in_tree,
    )


def _check_groups(groups: Mapping[str, Group], subtrees: Sequence[frozenset[str]]) -> None:
    """Refuse groups that ask for nothing, unless a subtree names them, and subtrees of groups that are not there."""
    together = frozenset().union(*subtrees)
    unknown = sorted(together - groups.keys())
    if unknown:
        raise BadQuery(complaint=f"Real suffixes should be specified in same_subtree: {unknown} not found.")
    if not any(group.resources for group in groups.values()):
        raise MissingValue(complaint="There must be at least one resources or resources[$S] parameter.")
    for suffix, group in sorted(groups.items()):
        if group.resources or suffix in together:
            continue
        for name, value in (("required", group.required), ("member_of", group.member_of), ("in_tree", group.in_tree)):
            if value:
                raise MissingValue(
                    complaint="All traits, aggregates and trees must be associated with resources. Found the "
                    f"following orphaned {name} keys: {name}{suffix}"
                )


def _is_isolated(query: Mapping[str, Sequence[str]], groups: Mapping[str, Group]) -> bool:
    policy = query["group_policy"][0] if "group_policy" in query else None
    if policy is None and sum(1 for suffix, group in groups.items() if suffix and group.resources) > 1:
        raise MissingValue(
            complaint='The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return policy == "isolate"


def _root_required(query: Mapping[str, Sequence[str]], version: Version) -> Filter:
    values = query.get("root_required", ())
    if len(values) > 1:
        raise DuplicateKey(name="root_required")
    return parse_required(values, may_forbid=True, may_choose=False) if values else NOTHING


def _subtree(text: str) -> frozenset[str]:
    suffixes = text.split(",")
    if not all(_SUBTREE.fullmatch(suffix) for suffix in suffixes):
        raise BadQuery(complaint=f"Empty string (unsuffixed group) can not be specified in 'same_subtree'. Got: {text}")
    return frozenset(suffixes)
