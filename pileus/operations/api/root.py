"""What answers beside the services: the plain page at the root, the health check, the metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from pileus.foundation import errors
from pileus.foundation.http.app import Api
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.route import Route


@dataclass(frozen=True)
class RootService:
    """`endpoints` are the services' paths by type; `metrics` gives the page of this process, to loopback only."""

    version: str
    endpoints: Mapping[str, str]
    metrics: Callable[[], bytes]
    shows_metrics: bool


Ask = Request[RootService]

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Pileus</title></head>
<body><h1>Pileus {version}</h1>
<p>This cloud speaks the OpenStack APIs. Log in with the <code>openstack</code> command:
<code>eval "$(pileus openrc)"; openstack server list</code></p>
<ul>
{items}
</ul></body></html>
"""


async def page(request: Ask) -> Response:
    items = "\n".join(
        f'<li>{escape(kind)}: <a href="{escape(path)}">{escape(request.base_url + path)}</a></li>'
        for kind, path in request.service.endpoints.items()
    )
    text = PAGE.format(version=escape(request.service.version), items=items)
    headers = [("content-security-policy", "default-src 'none'"), ("x-content-type-options", "nosniff")]
    return Response(200, text.encode(), headers, "text/html; charset=utf-8")


async def health(request: Ask) -> Response:
    return Response(200, b"OK", None, "text/plain")


async def metrics(request: Ask) -> Response:
    if not request.service.shows_metrics:
        raise errors.NotFound()
    return Response(200, request.service.metrics(), None, "text/plain; version=0.0.4; charset=utf-8")


ROUTES = (
    Route("GET", "/", page, None, "pileus:get:page"),
    Route("GET", "/healthcheck", health, None, "pileus:get:healthcheck"),
    Route("GET", "/metrics", metrics, None, "pileus:get:metrics"),
)


def dress(error: errors.Error, request: Request[Any]) -> Response:
    return answer({"error": {"code": error.status, "message": error.text}}, error.status)


ROOT_API = Api("root", ROUTES, dress, head_for_get=True)
