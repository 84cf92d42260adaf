"""Pages of lists: `limit` and `marker` in, a link to the next page out."""

from typing import Any, TypeVar
from urllib.parse import urlencode

from pileus.compute.service import Compute
from pileus.foundation.http.request import Request
from pileus.foundation.http.schema import Param, digits, text

MOST = 1000
"""The longest page; a larger limit, and 0, mean this."""

T = TypeVar("T")

LARGEST = 2_147_483_647
"""The largest number that a request may say where nothing smaller bounds it."""

LIMIT = Param("limit", digits(0), repeat=True)
OFFSET = Param("offset", digits(0, LARGEST), repeat=True)
MARKER = Param("marker", text(), repeat=True)


def limit_of(request: Request[Compute]) -> int:
    """How many at most: the last of several limits counts."""
    wanted = request.count("limit")
    return min(wanted, MOST) if wanted > 0 else MOST


def marker_of(request: Request[Compute]) -> str | None:
    """The id of the last thing of the page before."""
    asked = request.query.get("marker")
    return asked[-1] if asked else None


def project_segment(request: Request[Compute]) -> str:
    """The project id with a slash before it where the request's path had it, else nothing: links follow the request."""
    project_id = request.params.get("project_id")
    return f"/{project_id}" if project_id and request.path.startswith(f"/v2.1/{project_id}/") else ""


def base_of(request: Request[Compute]) -> str:
    """The address of the service with its version, and with the project when the request had it."""
    return request.href(f"/v2.1{project_segment(request)}")


def next_page(request: Request[Compute], path: str, found: list[T], last: str) -> list[dict[str, Any]] | None:
    """The links that follow a full page; None when the page is the last one."""
    if not found or len(found) < limit_of(request):
        return None
    query = [(name, value) for name, values in request.query.items() if name != "marker" for value in values]
    return [{"rel": "next", "href": f"{base_of(request)}{path}?{urlencode([*query, ('marker', last)])}"}]
