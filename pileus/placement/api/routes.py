"""Every operation of placement, as one table.

Versions: `since` and `until` are what the reference says; where an operation did not exist yet and its path did, it
answers 405 as the reference implementation does.
"""

from pileus.foundation.errors import MethodNotAllowed
from pileus.foundation.http.app import Api
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.route import Route
from pileus.foundation.http.versions import Microversions, as_text
from pileus.placement.api import (
    aggregates,
    allocations,
    candidates,
    inventories,
    providers,
    reshaper,
    resource_classes,
    traits,
    usages,
)
from pileus.placement.api.errors import dress
from pileus.placement.api.shown import stamp
from pileus.placement.service import Placement

VERSIONS = Microversions("placement", (1, 0), (1, 39))

PROVIDERS = "/resource_providers"
PROVIDER = "/resource_providers/{uuid}"
INVENTORIES = PROVIDER + "/inventories"
INVENTORY = INVENTORIES + "/{resource_class}"
AGGREGATES = PROVIDER + "/aggregates"
PROVIDER_TRAITS = PROVIDER + "/traits"
CLASSES = "/resource_classes"
CLASS = "/resource_classes/{name}"
TRAIT = "/traits/{name}"
ALLOCATIONS = "/allocations/{consumer_uuid}"


async def discover(request: Request[Placement]) -> Response:
    """The versions that this service speaks."""
    return answer(
        {
            "versions": [
                {
                    "id": f"v{as_text(VERSIONS.minimum)}",
                    "max_version": as_text(VERSIONS.maximum),
                    "min_version": as_text(VERSIONS.minimum),
                    "status": "CURRENT",
                    "links": [{"rel": "self", "href": ""}],
                }
            ]
        },
        headers=stamp(request),
    )


async def not_yet(request: Request[Placement]) -> Response:
    """An operation asked for at a version that lacks it, where others of the same path exist."""
    raise MethodNotAllowed("The method specified is not allowed for this resource.")


def _row(path: str) -> str:
    """A path as the reference's rows write it."""
    return "/".join("*" if part.startswith("{") else part for part in path[1:].split("/"))


def _route(method: str, path: str, handler, policy: str, **facts) -> Route:  # type: ignore[no-untyped-def]
    return Route(method, path, handler, f"placement:{policy}", f"placement:{method.lower()}:{_row(path)}", **facts)


ROUTES = (
    Route("GET", "/", discover, None, "placement:get:"),
    _route("GET", PROVIDERS, providers.list_providers, "resource_providers:list", query=providers.LIST),
    _route("POST", PROVIDERS, providers.create_provider, "resource_providers:create", body=providers.CREATE),
    _route("GET", PROVIDER, providers.show_provider, "resource_providers:show"),
    _route("PUT", PROVIDER, providers.update_provider, "resource_providers:update", body=providers.UPDATE),
    _route("DELETE", PROVIDER, providers.delete_provider, "resource_providers:delete", success=204),
    _route("GET", INVENTORIES, inventories.list_inventories, "resource_providers:inventories:list"),
    _route(
        "POST", INVENTORIES, inventories.create_inventory, "resource_providers:inventories:create",
        body=inventories.CREATE, success=201,
    ),
    _route(
        "PUT", INVENTORIES, inventories.replace_inventories, "resource_providers:inventories:update",
        body=inventories.REPLACE,
    ),
    _route("DELETE", INVENTORIES, not_yet, "resource_providers:inventories:delete", until="1.4", success=405),
    _route(
        "DELETE", INVENTORIES, inventories.delete_inventories, "resource_providers:inventories:delete", since="1.5",
        success=204,
    ),
    _route("GET", INVENTORY, inventories.show_inventory, "resource_providers:inventories:show"),
    _route(
        "PUT", INVENTORY, inventories.update_inventory, "resource_providers:inventories:update",
        body=inventories.UPDATE,
    ),
    _route("DELETE", INVENTORY, inventories.delete_inventory, "resource_providers:inventories:delete", success=204),
    _route("GET", AGGREGATES, aggregates.list_aggregates, "resource_providers:aggregates:list", since="1.1"),
    _route(
        "PUT", AGGREGATES, aggregates.replace_aggregate_list, "resource_providers:aggregates:update", since="1.1",
        until="1.18", body=aggregates.REPLACE_LIST,
    ),
    _route(
        "PUT", AGGREGATES, aggregates.replace_aggregates, "resource_providers:aggregates:update", since="1.19",
        body=aggregates.REPLACE,
    ),
    _route("GET", PROVIDER_TRAITS, traits.list_provider_traits, "resource_providers:traits:list", since="1.6"),
    _route(
        "PUT", PROVIDER_TRAITS, traits.replace_provider_traits, "resource_providers:traits:update", since="1.6",
        body=traits.REPLACE,
    ),
    _route(
        "DELETE", PROVIDER_TRAITS, traits.delete_provider_traits, "resource_providers:traits:delete", since="1.6",
        success=204,
    ),
    _route("GET", PROVIDER + "/usages", usages.list_provider_usages, "resource_providers:usages"),
    _route(
        "GET", PROVIDER + "/allocations", allocations.list_provider_allocations,
        "resource_providers:allocations:list",
    ),
    _route("GET", CLASSES, resource_classes.list_resource_classes, "resource_classes:list", since="1.2"),
    _route(
        "POST", CLASSES, resource_classes.create_resource_class, "resource_classes:create", since="1.2",
        body=resource_classes.CREATE, success=201,
    ),
    _route("GET", CLASS, resource_classes.show_resource_class, "resource_classes:show", since="1.2"),
    _route(
        "PUT", CLASS, resource_classes.rename_resource_class, "resource_classes:update", since="1.2", until="1.6",
        body=resource_classes.RENAME,
    ),
    _route(
        "PUT", CLASS, resource_classes.ensure_resource_class, "resource_classes:update", since="1.7", success=201,
    ),
    _route(
        "DELETE", CLASS, resource_classes.delete_resource_class, "resource_classes:delete", since="1.2", success=204,
    ),
    _route("GET", "/traits", traits.list_traits, "traits:list", since="1.6", query=traits.LIST),
    _route("GET", TRAIT, traits.show_trait, "traits:show", since="1.6", success=204),
    _route("PUT", TRAIT, traits.ensure_trait, "traits:update", since="1.6", success=201),
    _route("DELETE", TRAIT, traits.delete_trait, "traits:delete", since="1.6", success=204),
    _route(
        "POST", "/allocations", allocations.manage_allocations, "allocations:manage", since="1.13",
        body=allocations.MANAGE, success=204,
    ),
    _route("GET", ALLOCATIONS, allocations.list_allocations, "allocations:list"),
    _route("PUT", ALLOCATIONS, allocations.update_allocations, "allocations:update", body=allocations.UPDATE,
           success=204),
    _route("DELETE", ALLOCATIONS, allocations.delete_allocations, "allocations:delete", success=204),
    _route("GET", "/usages", usages.list_usages, "usages", since="1.9", query=usages.OF_OWNER, late=True),
    _route(
        "GET", "/allocation_candidates", candidates.list_candidates, "allocation_candidates:list", since="1.10",
        query=candidates.LIST,
    ),
    _route("POST", "/reshaper", reshaper.reshape, "reshaper:reshape", since="1.30", body=reshaper.RESHAPE, success=204),
)  # fmt: skip

API = Api(
    "placement",
    ROUTES,
    dress,
    microversions=VERSIONS,
    vary=("openstack-api-version",),
    max_body=4 << 20,
)
