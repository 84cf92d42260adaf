"""Flavors over HTTP, with their extra specs and the projects that may use them."""

from typing import Any

from pileus.compute.api.flavor_view import brief, detailed
from pileus.compute.api.paging import limit_of, marker_of, next_page
from pileus.compute.api.reach import own_target
from pileus.compute.api.server_view import answer_marked
from pileus.compute.app import flavors
from pileus.compute.app.flavors import FlavorQuery
from pileus.compute.domain.extra_specs import check_known
from pileus.compute.domain.flavor import Flavor
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true

_WORDS = {"true": True, "t": True, "1": True, "yes": True, "y": True, "on": True,
          "false": False, "f": False, "0": False, "no": False, "n": False, "off": False, "none": None}  # fmt: skip


# -- flavors ----------------------------------------------------------------------------------------------------------
async def list_flavors(request: Request[Compute]) -> Response:
    found = await flavors.listed(request.service, request.context, _query(request))
    return _listed(request, "/flavors", found, [brief(flavor, request.version) for flavor in found])


async def list_flavors_detailed(request: Request[Compute]) -> Response:
    found = await flavors.listed(request.service, request.context, _query(request))
    specs = _shows_specs(request)
    shown = [detailed(flavor, request.version, extra_specs=specs) for flavor in found]
    return _listed(request, "/flavors/detail", found, shown)


def _listed(request: Request[Compute], path: str, found: list[Flavor], shown: list[dict[str, Any]]) -> Response:
    document: dict[str, Any] = {"flavors": shown}
    pages = next_page(request, path, found, found[-1].id if found else "")
    if pages:
        document["flavors_links"] = pages
    return answer_marked(request, document)


def _query(request: Request[Compute]) -> FlavorQuery:
    return FlavorQuery(
        is_public=_is_public(request),
        min_ram_mib=_integer(request, "minRam", "min_ram"),
        min_disk_gib=_integer(request, "minDisk", "min_disk"),
        name=request.first("name") if request.version >= (2, 102) else None,
        sort_key=request.first("sort_key") or "flavorid",
        is_descending=(request.first("sort_dir") or "asc") == "desc",
        limit=limit_of(request),
        marker=marker_of(request),
    )


def _is_public(request: Request[Compute]) -> bool | None:
    """Others than administrators see public flavors and those they were given, whatever they ask for."""
    asked = request.first("is_public")
    if asked is None or not request.context.is_admin:
        return True
    if asked.lower() not in _WORDS:
        raise BadRequest(f"Invalid is_public filter [{asked}]")
    return _WORDS[asked.lower()]


def _integer(request: Request[Compute], name: str, spoken: str) -> int:
    asked = request.first(name, "0") or "0"
    try:
        return int(asked)
    except ValueError as wrong:
        raise BadRequest(f"Invalid {spoken} filter [{asked}]") from wrong


def _shows_specs(request: Request[Compute]) -> bool:
    return request.version >= (2, 61) and request.may("os_compute_api:os-flavor-extra-specs:index", own_target(request))


async def show_flavor(request: Request[Compute]) -> Response:
    flavor = await flavors.get(request.service, request.context, request.params["flavor_id"])
    return _shown(request, flavor)


def _shown(request: Request[Compute], flavor: Flavor) -> Response:
    document = detailed(flavor, request.version, extra_specs=_shows_specs(request))
    return answer_marked(request, {"flavor": document})


async def create_flavor(request: Request[Compute]) -> Response:
    body = request.body["flavor"]
    asked = body.get("id")
    flavor = Flavor(
        id="" if asked in (None, "auto") else str(asked),
        name=body["name"],
        vcpus=int(body["vcpus"]),
        ram_mib=int(body["ram"]),
        disk_gib=int(body["disk"]),
        ephemeral_gib=int(body.get("OS-FLV-EXT-DATA:ephemeral", 0)),
        swap_mib=int(body.get("swap", 0)),
        rxtx_factor=float(body.get("rxtx_factor", 1.0)),
        is_public=is_true(body.get("os-flavor-access:is_public", True)),
        description=body.get("description"),
    )
    return _shown(request, await flavors.create(request.service, flavor))


async def update_flavor(request: Request[Compute]) -> Response:
    description = request.body["flavor"]["description"]
    return _shown(request, await flavors.describe(request.service, request.params["flavor_id"], description))


async def delete_flavor(request: Request[Compute]) -> Response:
    await flavors.delete(request.service, request.params["flavor_id"])
    return empty(202)


# -- extra specs ------------------------------------------------------------------------------------------------------
async def list_extra_specs(request: Request[Compute]) -> Response:
    flavor = await flavors.get(request.service, request.context, request.params["flavor_id"])
    return answer({"extra_specs": flavor.extra_specs})


async def create_extra_specs(request: Request[Compute]) -> Response:
    specs = _specs(request, request.body["extra_specs"])
    await flavors.add_extra_specs(request.service, request.params["flavor_id"], specs)
    return answer({"extra_specs": specs})


async def show_extra_spec(request: Request[Compute]) -> Response:
    flavor = await flavors.get(request.service, request.context, request.params["flavor_id"])
    key = request.params["key"]
    return answer({key: flavors.extra_spec(flavor, key)})


async def update_extra_spec(request: Request[Compute]) -> Response:
    key = request.params["key"]
    if key not in request.body:
        raise BadRequest("Request body and URI mismatch")
    specs = _specs(request, request.body)
    await flavors.add_extra_specs(request.service, request.params["flavor_id"], specs)
    return answer(specs)


async def delete_extra_spec(request: Request[Compute]) -> Response:
    await flavors.delete_extra_spec(request.service, request.params["flavor_id"], request.params["key"])
    return empty(200)


def _specs(request: Request[Compute], body: dict[str, Any]) -> dict[str, str]:
    """Numbers are kept as texts; from 2.86 what is known is checked."""
    specs = {name: str(value) for name, value in body.items()}
    if request.version >= (2, 86):
        check_known(specs)
    return specs


# -- access -----------------------------------------------------------------------------------------------------------
async def list_access(request: Request[Compute]) -> Response:
    flavor_id = request.params["flavor_id"]
    return _access(flavor_id, await flavors.access(request.service, flavor_id))


async def add_access(request: Request[Compute]) -> Response:
    flavor_id, project_id = request.params["flavor_id"], request.body["addTenantAccess"]["tenant"]
    found = await flavors.grant(request.service, flavor_id, project_id, even_if_public=request.version < (2, 7))
    return _access(flavor_id, found)


async def remove_access(request: Request[Compute]) -> Response:
    flavor_id, project_id = request.params["flavor_id"], request.body["removeTenantAccess"]["tenant"]
    return _access(flavor_id, await flavors.revoke(request.service, flavor_id, project_id))


def _access(flavor_id: str, projects: Any) -> Response:
    return answer({"flavor_access": [{"flavor_id": flavor_id, "tenant_id": project_id} for project_id in projects]})
