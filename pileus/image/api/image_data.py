"""Images' bytes on the wire: upload and download."""

from pileus.foundation.errors import UnsupportedMedia
from pileus.foundation.http.request import Request, Response, empty
from pileus.image.api.images import permission
from pileus.image.app import downloads, uploads
from pileus.image.app.downloads import Download
from pileus.image.service import ImageService

Ask = Request[ImageService]

OCTETS = "application/octet-stream"


def announced(request: Ask) -> int | None:
    """How many bytes the client says will come. Raises: UnsupportedMedia (415) when they are no octets."""
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media != OCTETS:
        raise UnsupportedMedia(f"The request's media type must be {OCTETS}.")
    length = request.headers.get("content-length", "")
    return int(length) if length.isdigit() and len(length) < 20 else None


async def upload(request: Ask) -> Response:
    length = announced(request)
    image_id = request.params["image_id"]
    await uploads.upload(
        request.service, request.context, image_id, request.stream(), permission(request), length=length
    )
    return empty()


async def download(request: Ask) -> Response:
    image_id, asked = request.params["image_id"], request.headers.get("range", "")
    found = await downloads.download(request.service, request.context, image_id, permission(request), asked=asked)
    if found.chunks is None:
        return empty()
    return Response(206 if found.is_partial else 200, b"", _headers(found), OCTETS, stream=found.chunks)


def _headers(found: Download) -> list[tuple[str, str]]:
    headers = [("content-length", str(found.count)), ("accept-ranges", "bytes")]
    if found.is_partial:
        last = found.first + found.count - 1
        headers.append(("content-range", f"bytes {found.first}-{last}/{found.image.size}"))
    elif found.image.checksum:
        headers.append(("content-md5", found.image.checksum))
    return headers
