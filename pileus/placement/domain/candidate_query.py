"""What a request for allocation candidates asks: groups of resources with conditions, and how groups belong together.

Source: placement API reference, "List allocation candidates"; microversions 1.10 to 1.39.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pileus.placement.domain.errors import BadQuery, BadQueryValue, DuplicateKey, MissingValue
from pileus.placement.domain.filters import (
    NOTHING,
    Filter,
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
    """Read a query string whose names are known in `version`; of what may not be repeated, the last counts.

    Raises: BadQuery, BadQueryValue, MissingValue, DuplicateKey (400).
    """
    groups = _groups(query, version)
    subtrees = tuple(_subtree(text) for text in query.get("same_subtree", ()))
    _check_groups(groups, subtrees, version)
    return CandidateQuery(
        tuple(groups[suffix] for suffix in sorted(groups)),
        _is_isolated(query, groups),
        int(query["limit"][-1]) if "limit" in query else None,
        _root_required(query),
        subtrees,
    )


def _groups(query: Mapping[str, Sequence[str]], version: Version) -> dict[str, Group]:
    pattern = _KEYS[max(number for number in _KEYS if version >= (1, number))]
    parts: dict[str, dict[str, Sequence[str]]] = {}
    for key, values in query.items():
        match = pattern.fullmatch(key)
        if match is not None:
            parts.setdefault(match[2] or "", {})[match[1]] = values
    return {suffix: _group(suffix, each, version) for suffix, each in parts.items()}


def _group(suffix: str, parts: Mapping[str, Sequence[str]], version: Version) -> Group:
    traits = parts.get("required", ())
    required = parse_required(
        traits if version >= (1, 39) else traits[-1:], may_forbid=version >= (1, 22), may_choose=version >= (1, 39)
    )
    both = required.contradiction
    if both:
        raise BadQuery(
            complaint="Conflicting required and forbidden traits found in the following traits keys: "
            f"required{suffix}: ({', '.join(both)})"
        )
    return Group(
        suffix,
        parse_resources(parts["resources"][-1]) if "resources" in parts else {},
        required,
        parse_member_of(parts.get("member_of", ()), may_forbid=version >= (1, 32), may_repeat=version >= (1, 24)),
        parts["in_tree"][-1] if "in_tree" in parts else None,
    )


def _check_groups(groups: Mapping[str, Group], subtrees: Sequence[frozenset[str]], version: Version) -> None:
    """Refuse groups that ask for nothing, unless a subtree names them, and subtrees of groups that are not there."""
    if not groups and version < (1, 36):
        raise BadQuery(complaint="At least one request group (`resources` or `resources{$S}`) is required.")
    together = frozenset[str]().union(*subtrees)
    idle = sorted(suffix for suffix, group in groups.items() if not group.resources and suffix not in together)
    if not any(group.resources for group in groups.values()):
        raise MissingValue(complaint="There must be at least one resources or resources[$S] parameter.")
    if idle and version >= (1, 36) and "" not in idle:
        raise BadQueryValue(
            complaint="Resourceless suffixed group request should be specified in `same_subtree` query param: "
            f"bad group(s) - {idle}."
        )
    if idle:
        raise BadQuery(
            complaint="All traits, member_of and in_tree parameters must be associated with resources. "
            f"Found groups without resources: {idle}"
        )
    unknown = sorted(together - groups.keys())
    if unknown:
        raise BadQueryValue(complaint=f"Real suffixes should be specified in `same_subtree`: {unknown} not found.")


def _is_isolated(query: Mapping[str, Sequence[str]], groups: Mapping[str, Group]) -> bool:
    policy = query["group_policy"][0] if "group_policy" in query else None
    if policy is None and len(groups.keys() - {""}) > 1:
        raise BadQuery(
            complaint='The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return policy == "isolate"


def _root_required(query: Mapping[str, Sequence[str]]) -> Filter:
    values = query.get("root_required", ())
    if len(values) > 1:
        raise DuplicateKey(name="root_required")
    found = parse_required(values, may_forbid=True, may_choose=False)
    if found.contradiction:
        raise BadQueryValue(
            complaint="Conflicting required and forbidden traits found in root_required: "
            + ", ".join(found.contradiction)
        )
    return found


def _subtree(text: str) -> frozenset[str]:
    suffixes = text.split(",")
    if "" in suffixes:
        raise BadQueryValue(complaint="Empty string (unsuffixed group) can not be specified in `same_subtree`")
    return frozenset(suffixes)
