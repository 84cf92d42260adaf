"""Allocation candidates over HTTP.

The answer names every host of the cloud, so it is written as text: uuids, classes and traits come from alphabets
that need no escapes, and the traits of a provider are JSON already.
"""

from collections.abc import Iterable, Sequence

from pileus.foundation.http.request import JSON, Request, Response
from pileus.foundation.http.schema import Param, Query, digits, text, uuid, word
from pileus.foundation.http.versions import Version
from pileus.placement.api.shown import stamp
from pileus.placement.app import candidates
from pileus.placement.app.candidates import Found
from pileus.placement.domain.candidate_query import NAMED, NUMBERED, parse
from pileus.placement.domain.candidates import Candidate, Node
from pileus.placement.domain.inventory import MAX_INT
from pileus.placement.service import Placement

_GROUP_KEYS = "resources|required|member_of"
LIST = Query(
    Param("resources", text(1), required=True, until="1.24", repeat=True),
    Param("required", text(), since="1.17", until="1.24", repeat=True),
    Param("member_of", text(), since="1.21", until="1.24", repeat=True),
    Param(f"^({_GROUP_KEYS}){NUMBERED}$", text(), since="1.25", until="1.32", pattern=True, repeat=True),
    Param(f"^in_tree{NUMBERED}$", uuid, since="1.31", until="1.32", pattern=True, repeat=True),
    Param(f"^({_GROUP_KEYS}){NAMED}$", text(), since="1.33", pattern=True, repeat=True),
    Param(f"^in_tree{NAMED}$", uuid, since="1.33", pattern=True, repeat=True),
    Param("limit", digits(1, MAX_INT), since="1.16", repeat=True),
    Param("group_policy", word("none", "isolate"), since="1.25", repeat=True),
    Param("root_required", text(1), since="1.35", repeat=True),
    Param("same_subtree", text(), since="1.36", repeat=True),
    additional=False,
)


async def list_candidates(request: Request[Placement]) -> Response:
    query = parse(request.query, request.version)
    found = await candidates.find(request.service, query)
    body = view(found, query.resources.keys(), request.version)
    return Response(200, body, stamp(request), JSON)


def view(found: Found, asked: Iterable[str], version: Version) -> bytes:
    """The candidates and what is known of their providers, as a version shows them."""
    chosen, nodes = found.candidates, found.involved()
    if version < (1, 29):
        chosen, nodes = _without_trees(found, chosen, nodes)
    request = _request if version >= (1, 12) else _request_as_list
    classes = None if version >= (1, 27) else frozenset(asked)
    requests = ",".join([request(each, version) for each in chosen])
    summaries = ",".join([_summary(node, found.traits[node.uuid], classes, version) for node in nodes])
    return f'{{"allocation_requests":[{requests}],"provider_summaries":{{{summaries}}}}}'.encode()


def _without_trees(
    found: Found, chosen: Sequence[Candidate], nodes: Sequence[Node]
) -> tuple[list[Candidate], list[Node]]:
    """What was shown before nested providers were: no candidate that takes from two providers of one tree."""
    known = found.forest.nodes
    kept = []
    for each in chosen:
        givers = {uuid for uuid, _ in each.amounts}
        if len({known[uuid].root for uuid in givers}) == len(givers):
            kept.append(each)
    shown = {uuid for each in kept for uuid, _ in each.amounts}
    return kept, [node for node in nodes if node.uuid in shown]


def _request(candidate: Candidate, version: Version) -> str:
    by_provider = ",".join(f'"{uuid}":{{"resources":{{{text}}}}}' for uuid, text in _resources(candidate))
    if version < (1, 34):
        return f'{{"allocations":{{{by_provider}}}}}'
    groups = ",".join(f'"{suffix}":{_uuids(uuids)}' for suffix, uuids in candidate.groups.items())
    return f'{{"allocations":{{{by_provider}}},"mappings":{{{groups}}}}}'


def _request_as_list(candidate: Candidate, version: Version) -> str:
    """As it was up to 1.11."""
    each = ",".join(
        f'{{"resource_provider":{{"uuid":"{uuid}"}},"resources":{{{text}}}}}' for uuid, text in _resources(candidate)
    )
    return f'{{"allocations":[{each}]}}'


def _resources(candidate: Candidate) -> Iterable[tuple[str, str]]:
    """What is taken of each provider, as the inside of a JSON object."""
    texts: dict[str, str] = {}
    for (provider, name), amount in candidate.amounts.items():
        before = f"{texts[provider]}," if provider in texts else ""
        texts[provider] = f'{before}"{name}":{amount}'
    return texts.items()


def _uuids(uuids: Sequence[str]) -> str:
    return '["' + '","'.join(uuids) + '"]'


def _summary(node: Node, traits: str, classes: frozenset[str] | None, version: Version) -> str:
    resources = ",".join(
        [
            f'"{name}":{{"capacity":{stock[0]},"used":{stock[1]}}}'
            for name, stock in node.stock.items()
            if classes is None or name in classes
        ]
    )
    shown = f'"{node.uuid}":{{"resources":{{{resources}}}'
    if version >= (1, 17):
        shown += f',"traits":{traits}'
    if version >= (1, 29):
        parent = "null" if node.parent is None else f'"{node.parent}"'
        shown += f',"parent_provider_uuid":{parent},"root_provider_uuid":"{node.root}"'
    return shown + "}"
