"""Errors as identity's clients expect them.

Source: recorded answers of the reference implementation; `{"error": {"code", "message", "title"}}`.
"""

from typing import Any

from pileus.foundation import errors
from pileus.foundation.http.app import BodyTooLarge, MalformedBody, NoRoute, WrongMethod
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import InvalidBody
from pileus.foundation.policy import NotAllowed
from pileus.identity.domain.errors import MethodUnknown, TooManyLogins

_NO_ROUTE = (
    b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
    b"<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling "
    b"and try again.</p>\n"
)
_MALFORMED = (
    "Expecting to find valid JSON in request body. The server could not comply with the request since it is either "
    "malformed or otherwise incorrect. The client is assumed to be in error."
)
_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 410: "Gone", 413: "Request Entity Too Large", 415: "Unsupported Media Type",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip
METHODS = ("password", "token", "application_credential")
"""The ways to log in that this cloud knows."""


def dress(error: errors.Error, request: Request[Any]) -> Response:
    """The answer for an error."""
    if isinstance(error, NoRoute):
        return Response(404, _NO_ROUTE, content_type="text/html; charset=utf-8")
    if isinstance(error, WrongMethod):
        allowed = ", ".join(error.facts["allowed"])
        return answer({"message": "The method is not allowed for the requested URL."}, 405, [("allow", allowed)])
    body: dict[str, Any] = {
        "code": error.status,
        "message": _message(error),
        "title": _TITLES.get(error.status, "Error"),
    }
    headers = []
    if error.status == 401:
        headers.append(("www-authenticate", f'Keystone uri="{request.href("/v3")}"'))
    if isinstance(error, MethodUnknown):
        body["identity"] = {"methods": METHODS}
    if isinstance(error, TooManyLogins):
        headers.append(("retry-after", "1"))
    return answer({"error": body}, error.status, headers)


def _message(error: errors.Error) -> str:
    if isinstance(error, NotAllowed):
        return f"You are not authorized to perform the requested action: {error.facts['rule']}."
    if isinstance(error, MalformedBody):
        return _MALFORMED
    if isinstance(error, InvalidBody | BodyTooLarge):
        return error.text
    if error.status == 500:
        return "An unexpected error prevented the server from fulfilling your request."
    return error.text
