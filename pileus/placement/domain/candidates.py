"""Finds who could serve a request: pure, over providers as they were read.

A candidate takes the resources of every group within one tree, and from providers that share theirs with it. The
claim decides later; nothing is promised here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice, product
from typing import NamedTuple

from pileus.placement.domain.candidate_query import CandidateQuery, Group
from pileus.placement.domain.filters import Filter
from pileus.placement.domain.trait import SHARES

MOST_IN_A_TREE = 10_000
"""Combinations that are tried within one tree: a request of many groups could ask for more than anyone can count."""


Stock = tuple[int, int, int, int, int]
"""What a provider has of one class: capacity, used, min_unit, max_unit, step_size."""


class Node:
    """A provider as the search sees it."""

    __slots__ = ("aggregates", "parent", "root", "stock", "traits", "uuid")

    def __init__(self, uuid: str, parent: str | None, root: str, traits: frozenset[str]):
        self.uuid = uuid
        self.parent = parent
        self.root = root
        self.traits = traits
        self.aggregates: frozenset[str] = frozenset()
        self.stock: dict[str, Stock] = {}

    def has_room(self, name: str, amount: int) -> bool:
        """Whether so much of a class can be taken here in one piece."""
        found = self.stock.get(name)
        if found is None:
            return False
        capacity, used, least, most, step = found
        return used + amount <= capacity and least <= amount <= most and amount % step == 0


class Candidate(NamedTuple):
    """One way to serve a request: what to take where, and which providers serve which group."""

    amounts: Mapping[tuple[str, str], int]  # (provider, class)
    groups: Mapping[str, Sequence[str]]  # suffix to providers

    def key(self) -> object:
        """What two candidates have in common when they say the same."""
        return frozenset(self.amounts.items()), tuple((suffix, tuple(each)) for suffix, each in self.groups.items())


class Part(NamedTuple):
    """One way to serve one group: providers with what each gives; a group without resources has one that gives none."""

    suffix: str
    nodes: tuple[Node, ...]
    amounts: tuple[tuple[Node, str, int], ...]


class Forest:
    """Every tree that matters, and the providers that share."""

    def __init__(self, nodes: Iterable[Node]):
        self.nodes: dict[str, Node] = {}
        self.trees: dict[str, list[Node]] = {}
        self.sharing: list[Node] = []
        for node in nodes:
            self.nodes[node.uuid] = node
            tree = self.trees.get(node.root)
            if tree is None:
                self.trees[node.root] = [node]
            else:
                tree.append(node)
            if SHARES in node.traits:
                self.sharing.append(node)

    def sharing_with(self, tree: Sequence[Node]) -> list[Node]:
        """The providers outside a tree that share with it: those in an aggregate of any of its providers."""
        if not self.sharing:
            return []
        inside = {node.uuid for node in tree}
        near = frozenset[str]().union(*(node.aggregates for node in tree))
        return [node for node in self.sharing if node.uuid not in inside and near & node.aggregates]


def find_candidates(forest: Forest, query: CandidateQuery) -> Iterator[Candidate]:
    """Every way to serve the request, tree by tree, each once."""
    seen: set[object] = set()
    is_plain = len(query.groups) == 1 and not query.groups[0].suffix and not query.same_subtrees
    for root, tree in forest.trees.items():
        if query.root_required:
            top = forest.nodes.get(root)
            if top is None or not query.root_required.allows(top.traits):
                continue
        if forest.sharing:
            for candidate in _in_tree(forest, tree, query):
                key = candidate.key()
                if key not in seen:
                    seen.add(key)
                    yield candidate
        elif is_plain and len(tree) == 1:
            if _serves(forest, tree[0], query.groups[0]):
                yield _alone(tree[0], query.groups[0])
        else:
            yield from _in_tree(forest, tree, query)


def _serves(forest: Forest, node: Node, group: Group) -> bool:
    """Whether a provider can serve a group by itself."""
    for name, amount in group.resources.items():
        if not node.has_room(name, amount):
            return False
    if group.required and not group.required.allows(node.traits):
        return False
    if group.member_of and not group.member_of.allows(node.aggregates):
        return False
    return group.in_tree is None or _is_in(forest, node, group.in_tree)


def _alone(node: Node, group: Group) -> Candidate:
    """The only candidate in a tree of one provider, for a request of one group: by far the most frequent."""
    uuid = node.uuid
    return Candidate({(uuid, name): amount for name, amount in group.resources.items()}, {group.suffix: (uuid,)})


def _in_tree(forest: Forest, tree: Sequence[Node], query: CandidateQuery) -> Iterator[Candidate]:
    guests = forest.sharing_with(tree)
    choices = []
    for group in query.groups:
        found = _spread(forest, tree, guests, group) if not group.suffix else _whole(forest, tree, guests, group)
        if not found:
            return
        choices.append(found)
    for parts in islice(product(*choices), MOST_IN_A_TREE):
        if _fit_together(forest, parts, query):
            yield _candidate(parts)


def _whole(forest: Forest, tree: Sequence[Node], guests: Sequence[Node], group: Group) -> list[Part]:
    """The providers that can serve a suffixed group alone."""
    return [
        Part(group.suffix, (node,), tuple((node, name, amount) for name, amount in group.resources.items()))
        for node in (*tree, *guests)
        if _serves(forest, node, group)
    ]


def _spread(forest: Forest, tree: Sequence[Node], guests: Sequence[Node], group: Group) -> list[Part]:
    """The ways to serve the group without a suffix: each class from any provider, all traits from all together."""
    nodes = [
        node
        for node in (*tree, *guests)
        if _is_in(forest, node, group.in_tree) and _is_member(forest, node, group.member_of)
    ]
    choices = []
    for name, amount in group.resources.items():
        able = [(node, name, amount) for node in nodes if node.has_room(name, amount)]
        if not able:
            return []
        choices.append(able)
    found = []
    for amounts in islice(product(*choices), MOST_IN_A_TREE):
        givers = tuple(dict.fromkeys(node for node, _, _ in amounts))
        if group.required.allows(frozenset[str]().union(*(node.traits for node in givers))):
            found.append(Part(group.suffix, givers, amounts))
    return found


def _is_in(forest: Forest, node: Node, in_tree: str | None) -> bool:
    if in_tree is None:
        return True
    wanted = forest.nodes.get(in_tree)
    return wanted is not None and wanted.root == node.root


def _is_member(forest: Forest, node: Node, wanted: Filter) -> bool:
    """Whether a provider is in the aggregates itself, or, for each of them, the top of its tree is."""
    if not wanted:
        return True
    top = forest.nodes.get(node.root, node)
    either: Set[str] = node.aggregates | top.aggregates
    return wanted.allows(either)


def _fit_together(forest: Forest, parts: Sequence[Part], query: CandidateQuery) -> bool:
    """Whether parts that could each be served can be served at once, where the request wants them."""
    if query.is_isolated:
        suffixed = [part.nodes[0].uuid for part in parts if part.suffix]
        if len(set(suffixed)) < len(suffixed):
            return False
    for subtree in query.same_subtrees:
        nodes = {node.uuid: node for part in parts if part.suffix in subtree for node in part.nodes}
        if not any(_is_above_all(forest, top, nodes.values()) for top in nodes):
            return False
    total: dict[tuple[str, str], int] = {}
    for part in parts:
        for node, name, amount in part.amounts:
            key = (node.uuid, name)
            total[key] = total.get(key, 0) + amount
            capacity, used, _, max_unit, _ = node.stock[name]
            if total[key] > max_unit or used + total[key] > capacity:
                return False
    return True


def _is_above_all(forest: Forest, top: str, nodes: Iterable[Node]) -> bool:
    """Whether a provider is each of these, or above it."""
    for node in nodes:
        at: Node | None = node
        while at is not None and at.uuid != top:
            at = forest.nodes.get(at.parent) if at.parent is not None else None
        if at is None:
            return False
    return True


def _candidate(parts: Sequence[Part]) -> Candidate:
    amounts: dict[tuple[str, str], int] = {}
    for part in parts:
        for node, name, amount in part.amounts:
            key = (node.uuid, name)
            amounts[key] = amounts.get(key, 0) + amount
    return Candidate(amounts, {part.suffix: [node.uuid for node in part.nodes] for part in parts})
