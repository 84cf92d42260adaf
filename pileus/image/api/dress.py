"""Errors as the Image API's clients expect them: JSON for who asks for it, else a page.

Source: recorded answers of the reference implementation; the tail of `<br />` is theirs, and clients cut it off.
"""

import html
from http import HTTPStatus
from typing import Any

from pileus.foundation import errors
from pileus.foundation.http.app import MalformedBody, NoRoute, WrongMethod
from pileus.foundation.http.request import Request, Response, answer
from pileus.foundation.http.schema import InvalidBody, InvalidQuery
from pileus.foundation.policy import NotAllowed
from pileus.image.domain.errors import BadRange, UnsafeImage

PATCH_TYPES = (
    "application/openstack-images-v2.0-json-patch",
    "application/openstack-images-v2.1-json-patch",
)
_TAIL = "<br /><br />\n\n\n"
_UNAUTHORIZED = (
    "This server could not verify that you are authorized to access the document you requested. Either you supplied "
    "the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials "
    "required."
)
_PAGE = (
    "<html>\n <head>\n  <title>{code}</title>\n </head>\n <body>\n  <h1>{code}</h1>\n  {text}<br /><br />\n\n\n\n"
    " </body>\n</html>"
)
_TITLES = {413: "Request Entity Too Large", 416: "Requested Range Not Satisfiable"}


def dress(error: errors.Error, request: Request[Any]) -> Response:
    """The answer for an error."""
    title = _TITLES.get(error.status) or HTTPStatus(error.status).phrase
    code, text, headers = f"{error.status} {title}", _text(error, request), _headers(error, request)
    if "json" in request.headers.get("accept", ""):
        tail = _TAIL.rstrip() + "\n" if isinstance(error, WrongMethod) else _TAIL
        return answer({"message": text + tail, "code": code, "title": title}, error.status, headers)
    page = _PAGE.format(code=code, text=html.escape(text, quote=False))
    return Response(error.status, page.encode(), headers, "text/html; charset=UTF-8")


def _text(error: errors.Error, request: Request[Any]) -> str:
    if isinstance(error, NotAllowed):
        return f"You are not authorized to complete {error.facts['rule']} action."
    if isinstance(error, NoRoute):
        return "The resource could not be found."
    if isinstance(error, WrongMethod):
        return f"The method {request.method} is not allowed for this resource. "
    if isinstance(error, MalformedBody):
        return "Malformed JSON in request body."
    if isinstance(error, InvalidBody | InvalidQuery):
        return f"Provided object does not match schema 'image': {error.text}"
    if error.status == 401:
        return _UNAUTHORIZED
    if error.status == 500:
        return "The server has either erred or is incapable of performing the requested operation."
    return error.text


def _headers(error: errors.Error, request: Request[Any]) -> list[tuple[str, str]]:
    if error.status == 401:
        return [("www-authenticate", f'Keystone uri="{_identity_url(request)}"')]
    if isinstance(error, WrongMethod):
        return [("allow", ", ".join(error.facts["allowed"]))]
    if isinstance(error, BadRange):
        return [("content-range", f"bytes */{error.facts['size']}")]
    if isinstance(error, errors.UnsupportedMedia) and not isinstance(error, UnsafeImage) and request.method == "PATCH":
        return [("accept-patch", ", ".join(PATCH_TYPES))]
    return []


def _identity_url(request: Request[Any]) -> str:
    """Where to log in: as configured, else beside us under the one address."""
    configured: str = request.service.settings.identity_url
    return configured or f"{request.base_url.rsplit('/', 1)[0]}/identity/v3"
