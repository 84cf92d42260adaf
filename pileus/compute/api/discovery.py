"""Which versions there are: asked for before anybody has a token."""

from typing import Any

from pileus.compute.api.versions import MICROVERSIONS
from pileus.compute.service import Compute
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.versions import as_text

_MEDIA = "application/vnd.openstack.compute+json;version="


def _version(request: Request[Compute], name: str) -> dict[str, Any]:
    """v2.0 is named because clients look for it; it answers nothing but this."""
    is_current = name == "v2.1"
    return {
        "id": name,
        "status": "CURRENT" if is_current else "DEPRECATED",
        "version": as_text(MICROVERSIONS.maximum) if is_current else "",
        "min_version": as_text(MICROVERSIONS.minimum) if is_current else "",
        "updated": "2013-07-23T11:33:21Z" if is_current else "2025-07-04T12:00:00Z",
        "links": [{"rel": "self", "href": request.href("/v2.1/" if is_current else "/v2/")}],
    }


async def list_versions(request: Request[Compute]) -> Response:
    request.version = (0, 0)  # this answer is of no version
    return answer({"versions": [_version(request, name) for name in ("v2.0", "v2.1")]})


async def show_version(request: Request[Compute]) -> Response:
    """The version that the path names, with its media type."""
    name = "v2.1" if request.path.startswith("/v2.1") else "v2.0"
    found = _version(request, name)
    found["links"].append({"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
    media = _MEDIA + ("2.1" if name == "v2.1" else "2")
    found["media-types"] = [{"base": "application/json", "type": media}]
    return answer({"version": found})
