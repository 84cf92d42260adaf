"""Usages over HTTP: of a provider, and of a project."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import Param, Query, text
from pileus.placement.api.providers import provider_id
from pileus.placement.api.shown import stamp
from pileus.placement.app import usages
from pileus.placement.domain.claim import UNKNOWN_TYPE
from pileus.placement.service import Placement

ALL = "all"
OF_OWNER = Query(
    Param("project_id", text(1, 255), required=True),
    Param("user_id", text(1, 255)),
    Param("consumer_type", text(1, 255, "^[A-Z0-9_]+$|^all$|^unknown$"), since="1.38"),
    additional=False,
)


async def list_provider_usages(request: Request[Placement]) -> Response:
    generation, found = await usages.of_provider(request.service, provider_id(request))
    return answer({"resource_provider_generation": generation, "usages": found}, headers=stamp(request))


async def list_usages(request: Request[Placement]) -> Response:
    project_id = request.query["project_id"][0]
    request.authorize({"project_id": project_id})
    sums, counts = await usages.of_owner(request.service, project_id, request.first("user_id"))
    if request.version < (1, 38):
        shown: dict[str, Any] = _total(sums)
    else:
        shown = _by_type(sums, counts, request.first("consumer_type"))
    return answer({"usages": shown}, headers=stamp(request))


def _total(sums: list[tuple[str | None, str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for _, name, amount in sums:
        total[name] = total.get(name, 0) + amount
    return total


def _by_type(
    sums: list[tuple[str | None, str, int]], counts: dict[str | None, int], wanted: str | None
) -> dict[str, dict[str, int]]:
    """What each type of consumer holds; with "all" everything under that name, with a type only that."""
    if wanted == ALL:
        return {ALL: {"consumer_count": sum(counts.values()), **_total(sums)}} if counts else {}
    shown: dict[str, dict[str, int]] = {}
    for kind, count in counts.items():
        name = kind or UNKNOWN_TYPE
        if wanted in (None, name):
            amounts = {each: amount for of, each, amount in sums if of == kind}
            shown[name] = {"consumer_count": count, **amounts}
    return shown
