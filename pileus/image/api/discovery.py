"""What the image service says of itself: versions, schemas, stores, ways to import."""

from collections.abc import Awaitable, Callable
from typing import Any

from pileus.foundation.http.request import Request, Response, answer
from pileus.image.api.image_schema import IMAGE_DOCUMENT, IMAGES_DOCUMENT, MEMBER_DOCUMENT, MEMBERS_DOCUMENT
from pileus.image.service import ImageService

Ask = Request[ImageService]

VERSIONS = (
    "v2.17", "v2.16", "v2.15", "v2.13", "v2.12", "v2.11", "v2.10", "v2.9", "v2.8", "v2.7", "v2.6", "v2.5", "v2.4",
    "v2.3", "v2.2", "v2.1", "v2.0",
)  # fmt: skip
"""None can be chosen: each only tells which features there are. 2.14 is the cache, which is not here."""


def _versions(request: Ask) -> dict[str, Any]:
    links = [{"rel": "self", "href": request.href("/v2/")}]
    return {
        "versions": [
            {"id": version, "status": "SUPPORTED" if number else "CURRENT", "links": links}
            for number, version in enumerate(VERSIONS)
        ]
    }


async def choose_version(request: Ask) -> Response:
    return answer(_versions(request), 300)


async def list_versions(request: Ask) -> Response:
    return answer(_versions(request))


async def import_info(request: Ask) -> Response:
    methods = request.service.import_methods
    described = {"description": "Import methods available.", "type": "array", "value": methods}
    return answer({"import-methods": described})


async def stores(request: Ask) -> Response:
    return answer({"stores": [{"id": request.service.store.id, "default": "true"}]})


def _document(document: dict[str, Any]) -> Callable[[Ask], Awaitable[Response]]:
    async def show(request: Ask) -> Response:
        return answer(document)

    return show


image_schema = _document(IMAGE_DOCUMENT)
images_schema = _document(IMAGES_DOCUMENT)
member_schema = _document(MEMBER_DOCUMENT)
members_schema = _document(MEMBERS_DOCUMENT)
