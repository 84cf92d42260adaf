"""Errors as this API's clients expect them: `NeutronError` with the type that they branch on.

Source: recorded answers of the reference implementation.
"""

from typing import Any

from pileus.foundation import errors
from pileus.foundation.http.app import MalformedBody, NoRoute, WrongMethod
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import InvalidBody
from pileus.foundation.policy import NotAllowed
from pileus.network.api.bodies import READ_ONLY
from pileus.network.domain.errors import type_of

_INTERNAL = "Request Failed: internal server error while processing your request."
_TYPES = {
    400: "HTTPBadRequest", 403: "HTTPForbidden", 404: "HTTPNotFound", 405: "HTTPMethodNotAllowed",
    406: "HTTPNotAcceptable", 409: "HTTPConflict", 412: "HTTPPreconditionFailed", 413: "HTTPRequestEntityTooLarge",
    415: "HTTPUnsupportedMediaType", 501: "HTTPNotImplemented", 503: "HTTPServiceUnavailable",
}  # fmt: skip


def dress(error: errors.Error, request: Request[Any]) -> Response:
    """The answer for an error."""
    if error.status == 401:
        return _no_token(error, request)
    if isinstance(error, NotAllowed):
        return _fault(403, "PolicyNotAuthorized", f"rule:{error.facts['rule']} is disallowed by policy")
    if isinstance(error, InvalidBody):
        return _fault(400, "HTTPBadRequest", _body_complaint(error, request))
    if isinstance(error, MalformedBody):
        return _fault(400, "HTTPBadRequest", "Resource body required" if request.body is None else error.text)
    if isinstance(error, WrongMethod):
        return _wrong_method(error, request)
    if isinstance(error, NoRoute):
        return _fault(404, "HTTPNotFound", "The resource could not be found.")
    if error.status >= 500 and error.status not in (501, 503):
        return _fault(500, "HTTPInternalServerError", _INTERNAL)
    return _fault(error.status, type_of(error) or _TYPES.get(error.status, "HTTPException"), error.text)


def _fault(status: int, kind: str, message: str, headers: list[tuple[str, str]] | None = None) -> Response:
    return answer({"NeutronError": {"type": kind, "message": message, "detail": ""}}, status, headers)


def _no_token(error: errors.Error, request: Request[Any]) -> Response:
    body = {"code": 401, "title": "Unauthorized", "message": error.text}
    cloud = request.base_url.rsplit("/", 1)[0] if request.base_url.endswith("/networking") else request.base_url
    return answer({"error": body}, 401, [("www-authenticate", f'Keystone uri="{cloud}/identity/v3"')])


def _wrong_method(error: errors.Error, request: Request[Any]) -> Response:
    allowed = error.facts["allowed"]
    if "POST" in allowed and request.method in ("PUT", "DELETE"):  # a collection
        return _fault(404, "HTTPNotFound", "The resource could not be found.")
    text = f"The method {request.method} is not allowed for this resource."
    return _fault(405, "HTTPMethodNotAllowed", text, [("allow", ", ".join(allowed))])


def _body_complaint(error: InvalidBody, request: Request[Any]) -> str:
    """What is wrong with a body, in the words that this API's users search for."""
    body = request.route.body
    envelope = body.envelope if body is not None else None
    one = envelope[0] if isinstance(envelope, tuple) else envelope
    path, keyword, names = error.facts["path"], error.facts["keyword"], error.facts["names"]
    if not path and one is not None:
        return f"Unable to find '{one}' in request body"
    if keyword == "additionalProperties" and len(path) <= 2:
        return _unknown(names, one or "", request.method)
    if keyword == "required":
        return f"Failed to parse request. Required attribute '{names[0]}' not specified"
    field = next((step for step in path[1:] if isinstance(step, str)), error.facts["field"])
    return f"Invalid input for {field}. Reason: {error.facts['complaint']}."


def _unknown(names: list[str], kind: str, method: str) -> str:
    known = [name for name in names if name in READ_ONLY.get(kind, ())]
    if len(known) < len(names):
        return f"Unrecognized attribute(s) '{', '.join(name for name in names if name not in known)}'"
    if method == "POST":
        return f"Attribute '{known[0]}' not allowed in POST"
    return f"Cannot update read-only attribute {known[0]}"
