"""Staging and imports on the wire."""

from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.image.api.image_data import announced
from pileus.image.api.images import permission
from pileus.image.api.task_view import task_view
from pileus.image.app import imports, uploads
from pileus.image.app.imports import WEB, Import
from pileus.image.domain.errors import BadImport, ImportConflict
from pileus.image.service import ImageService

Ask = Request[ImageService]


async def stage(request: Ask) -> Response:
    length = announced(request)
    image_id = request.params["image_id"]
    await uploads.stage(
        request.service, request.context, image_id, request.stream(), permission(request), length=length
    )
    return empty()


async def import_image(request: Ask) -> Response:
    await imports.import_image(
        request.service, request.context, request.params["image_id"], _asked(request), permission(request)
    )
    return empty(202)


async def tasks(request: Ask) -> Response:
    """The imports of an image, and how each of them went."""
    image_id = request.params["image_id"]
    found = await imports.of_image(request.service, request.context, image_id, permission(request))
    return answer({"tasks": [task_view(record, request.service.store.id) for record in found]})


def _asked(request: Ask) -> Import:
    """What the body asks for. Raises: BadImport (400), ImportConflict (409) for a store that is not here."""
    body = request.body
    method = body["method"]
    if method["name"] == WEB and not method.get("uri"):
        raise BadImport("'uri' needs to be set for web-download import method")
    for store_id in body.get("stores", ()):
        if store_id != request.service.store.id:
            raise ImportConflict(f"Unknown scheme '{store_id}' found in URI")
    return Import(method["name"], method.get("uri", "") if method["name"] == WEB else "", body)
