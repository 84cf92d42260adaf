"""Which versions there are."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.versions import as_text
from pileus.volume.api.versions import MICROVERSIONS
from pileus.volume.service import VolumeService


def _versions(request: Request[VolumeService]) -> dict[str, Any]:
    media = {"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}
    links = [
        {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
        {"rel": "self", "href": request.href("/v3/")},
    ]
    version = {
        "id": "v3.0", "status": "CURRENT", "version": as_text(MICROVERSIONS.maximum),
        "min_version": as_text(MICROVERSIONS.minimum), "updated": "2023-08-31T00:00:00Z", "links": links,
        "media-types": [media],
    }  # fmt: skip
    return {"versions": [version]}


async def list_versions(request: Request[VolumeService]) -> Response:
    """The unversioned address, for everybody."""
    return answer(_versions(request), 300)


async def show_version(request: Request[VolumeService]) -> Response:
    """The same list, for who has a token."""
    return answer(_versions(request))


async def redirect(request: Request[VolumeService]) -> Response:
    return Response(302, headers=[("location", request.href("/v3/"))])
