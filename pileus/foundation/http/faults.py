"""Errors as compute's and block storage's clients expect them: one key that names the kind, with code and message.

Source: recorded answers of the reference implementation.
"""

from collections.abc import Callable
from typing import Any

from pileus.foundation import errors
from pileus.foundation.http.app import NoRoute, WrongMethod
from pileus.foundation.http.request import Request, Response, answer

_NAMES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip


def fault_dresser(
    prefix: str, *, unexpected: str, content_type: str = "application/json"
) -> Callable[[errors.Error, Request[Any]], Response]:
    """How one service dresses errors. `prefix` is its path under the cloud's address; `unexpected` names the {kind}."""

    def dress(error: errors.Error, request: Request[Any]) -> Response:
        if isinstance(error, NoRoute | WrongMethod) and not _is_route(request):
            return _no_route(request)
        if error.status == 401:
            return _no_token(error, request, prefix)
        fault: dict[str, Any] = {"code": error.status, "message": _message(error, request, unexpected)}
        headers: list[tuple[str, str]] = []
        if error.status in (413, 429):
            fault["retryAfter"] = "0"
            headers.append(("retry-after", "0"))
        response = answer({_NAMES.get(error.status, "computeFault"): fault}, error.status, headers)
        response.headers[-1] = ("content-type", content_type)
        return response

    return dress


def _is_route(request: Request[Any]) -> bool:
    """Whether the operation exists at some other microversion."""
    found = request.app.router.find(_without_project(request))
    return found is not None and request.method in found[0].routes


def _without_project(request: Request[Any]) -> str:
    project_id = request.params.get("project_id")
    return request.path.replace(f"/{project_id}", "", 1) if project_id else request.path


def _no_route(request: Request[Any]) -> Response:
    """What is no operation at all is answered without a version, and in another shape."""
    request.version = (0, 0)
    body = {"message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found"}
    return answer(body | {"title": "Not Found"}, 404)


def _no_token(error: errors.Error, request: Request[Any], prefix: str) -> Response:
    request.version = (0, 0)
    body = {"code": 401, "title": "Unauthorized", "message": error.text}
    cloud = request.base_url.removesuffix(prefix)
    return answer({"error": body}, 401, [("www-authenticate", f'Keystone uri="{cloud}/identity/v3"')])


def _message(error: errors.Error, request: Request[Any], unexpected: str) -> str:
    if isinstance(error, NoRoute):
        major, minor = request.version
        return f"API version '{major}.{minor}' is not supported on this method."
    if error.code.startswith("unexpected."):
        return unexpected.format(kind=error.code.removeprefix("unexpected."))
    return error.text
