"""Allocation candidates: who could serve a request, as things stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from pileus.placement.domain.candidate_query import CandidateQuery
from pileus.placement.domain.candidates import Candidate, Forest, Node, find_candidates
from pileus.placement.service import Placement
from pileus.placement.store import candidates, resource_classes, traits


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates, the providers they were found among, and the traits of each provider as JSON text."""

    candidates: Sequence[Candidate]
    forest: Forest
    traits: dict[str, str]

    def involved(self) -> list[Node]:
        """Every provider of a tree that a candidate takes from, a sharing one's too; each once."""
        nodes = self.forest.nodes
        roots = dict.fromkeys(nodes[uuid].root for each in self.candidates for uuid in _givers(each))
        return [node for root in roots for node in self.forest.trees[root]]


def _givers(candidate: Candidate) -> set[str]:
    return {uuid for uuid, _ in candidate.amounts}


async def find(placement: Placement, query: CandidateQuery) -> Found:
    """Raises: NoSuchTraits, NoSuchResourceClass (400) for names that do not exist."""
    database = placement.database
    resources = query.resources
    await resource_classes.check(database, resources)
    await traits.check(database, query.traits)
    trees = [group.in_tree for group in query.groups]
    nodes, texts = await candidates.read(
        database,
        resources,
        [each for each in trees if each is not None] if all(trees) else (),
        with_aggregates=any(group.member_of for group in query.groups),
    )
    await placement.runtime.sleep(0)  # ten thousand hosts take a while: others may go on in between
    forest = Forest(nodes)
    most = min(query.limit or placement.most_candidates, placement.most_candidates)
    found = Found(list(islice(find_candidates(forest, query), most)), forest, texts)
    await placement.runtime.sleep(0)
    return found
