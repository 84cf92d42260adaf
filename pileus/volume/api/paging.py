"""Pages of lists: `limit` and `marker` in, a link to the next page out."""

from typing import Any, TypeVar
from urllib.parse import urlencode

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request
from pileus.foundation.http.schema import Param, digits, text
from pileus.volume.service import VolumeService

MOST = 1000
"""The longest page; a larger limit means this."""

T = TypeVar("T")

LIMIT = Param("limit", digits(0), repeat=True)
MARKER = Param("marker", text(), repeat=True)
OFFSET = Param("offset", digits(0), repeat=True)


def limit_of(request: Request[VolumeService]) -> int:
    """How many at most: the last of several limits counts; 0 is none at all."""
    return min(request.count("limit"), MOST) if "limit" in request.query else MOST


def marker_of(request: Request[VolumeService]) -> str | None:
    """The id of the last thing of the page before."""
    asked = request.query.get("marker")
    return asked[-1] if asked else None


def offset_of(request: Request[VolumeService]) -> int:
    """How many to leave out, from the marker on. Raises: BadRequest (400) past what a database counts."""
    offset = request.count("offset")
    if offset > 0x7FFFFFFF:
        raise BadRequest("offset value is out of range")
    return offset


def base_of(request: Request[VolumeService]) -> str:
    """The address of the service with its version, and with the project when the request had it."""
    project_id = request.params.get("project_id")
    in_path = project_id is not None and request.path.startswith(f"/v3/{project_id}/")
    return request.href(f"/v3/{project_id}" if in_path else "/v3")


def plain_base_of(request: Request[VolumeService]) -> str:
    """The same without the version: bookmarks."""
    project_id = request.params.get("project_id")
    in_path = project_id is not None and request.path.startswith(f"/v3/{project_id}/")
    return request.href(f"/{project_id}" if in_path else "")


def next_page(request: Request[VolumeService], path: str, found: list[T], last: str) -> list[dict[str, Any]] | None:
    """The links that follow a full page; None when the page is the last one."""
    if not found or len(found) < limit_of(request):
        return None
    query = [
        (name, value) for name, values in request.query.items() if name not in ("marker", "offset") for value in values
    ]  # fmt: skip
    return [{"rel": "next", "href": f"{base_of(request)}{path}?{urlencode([*query, ('marker', last)])}"}]
