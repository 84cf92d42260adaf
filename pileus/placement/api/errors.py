"""Errors as placement's clients expect them: {"errors": [{"status", "title", "detail", "request_id", "code"}]}.

Source: API SIG guideline "Errors"; placement API reference.
"""

from typing import Any

from pileus.foundation import errors
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.versions import VersionOutOfRange
from pileus.placement.domain.errors import UNDEFINED
from pileus.placement.service import Placement

_CODES_SINCE = (1, 23)
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def dress(error: errors.Error, request: Request[Any]) -> Response:
    """An error as an answer of this service."""
    if isinstance(error, errors.Unauthorized):
        return _unauthorized(error, request)
    told = {
        "status": error.status,
        "title": _TITLES.get(error.status, "Error"),
        "detail": _detail(error),
        "request_id": request.context.request_id,
    }
    if request.version >= _CODES_SINCE:
        told["code"] = error.code if error.code.startswith("placement.") else UNDEFINED
    if isinstance(error, VersionOutOfRange):
        told["min_version"], told["max_version"] = error.facts["minimum"], error.facts["maximum"]
    headers = [("allow", ", ".join(error.facts["allowed"]))] if error.facts.get("allowed") else None
    return answer({"errors": [told]}, error.status, headers)


def _detail(error: errors.Error) -> str:
    if error.code == "body.malformed":
        return f"Malformed JSON: {error.log}" if error.log else "Malformed JSON: the body is empty."
    if error.code == "request.invalid":
        return f"JSON does not validate: {error.text}"
    if error.code == "request.invalid-query":
        return f"Invalid query string parameters: {error.text}"
    return error.text


def _unauthorized(error: errors.Error, request: Request[Placement]) -> Response:
    """The answer that the token filter before every service gives."""
    address = request.service.identity_url or request.base_url.rpartition("/")[0] + "/identity"
    document = {"error": {"code": 401, "title": "Unauthorized", "message": error.text}}
    return answer(document, 401, [("www-authenticate", f'Keystone uri="{address}"')])
