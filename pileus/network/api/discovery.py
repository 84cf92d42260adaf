"""What this service is: its version, its collections, its extensions, its zones."""

from pileus.foundation.http.request import Response, answer
from pileus.network.api import access
from pileus.network.api.access import Call
from pileus.network.api.extensions import EXTENSIONS
from pileus.network.domain.errors import ExtensionNotFound, HTTPBadRequest

_COLLECTIONS = (
    ("network", "networks"),
    ("subnet", "subnets"),
    ("port", "ports"),
)


async def list_versions(request: Call) -> Response:
    links = [{"rel": "self", "href": request.href("/v2.0/")}]
    return answer({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})


async def list_resources(request: Call) -> Response:
    return answer(
        {
            "resources": [
                {
                    "name": one,
                    "collection": many,
                    "links": [{"rel": "self", "href": request.href(f"/v2.0/{many}")}],
                }
                for one, many in _COLLECTIONS
            ]
        }
    )


async def list_extensions(request: Call) -> Response:
    return answer({"extensions": [extension.document() for extension in EXTENSIONS.values()]})


async def show_extension(request: Call) -> Response:
    extension = EXTENSIONS.get(request.params["alias"])
    if extension is None:
        raise ExtensionNotFound(alias=request.params["alias"])
    return answer({"extension": extension.document()})


async def list_zones(request: Call) -> Response:
    """The zone of networks and of routers; this cloud has one."""
    access.enforce(request, {})
    zones = [
        {"name": request.service.settings.availability_zone, "resource": resource, "state": "available"}
        for resource in ("network", "router")
    ]
    filters = {key: values for key, values in request.query.items() if key != "fields"}
    unknown = [key for key in filters if key not in ("name", "resource", "state")]
    if unknown:
        raise HTTPBadRequest(reason=f"{unknown} is invalid attribute for filtering")
    return answer(
        {"availability_zones": [zone for zone in zones if all(zone[key] in values for key, values in filters.items())]}
    )
