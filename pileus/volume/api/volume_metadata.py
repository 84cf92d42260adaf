"""A volume's metadata on the wire, and what it remembers of its image."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from pileus.foundation.errors import BadRequest, PreconditionFailed
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.volume.api.volumes import find
from pileus.volume.app import volumes
from pileus.volume.domain.errors import MetadataNotFound
from pileus.volume.domain.volume import Volume
from pileus.volume.service import VolumeService

_ordered = msgspec.json.Encoder(order="sorted").encode


def _etag(metadata: Mapping[str, str]) -> str:
    return hashlib.sha256(_ordered(metadata)).hexdigest()[:32]


def _answer(request: Request[VolumeService], document: Any, metadata: Mapping[str, str]) -> Response:
    """From 3.15 the answer says by which version of the metadata it was made."""
    headers = [("etag", _etag(metadata))] if request.version >= (3, 15) else []
    return answer(document, 200, headers)


async def _matching(request: Request[VolumeService]) -> Volume:
    """The volume, if its metadata are still those that If-Match names. Raises: PreconditionFailed (412)."""
    volume = await find(request)
    wanted = request.headers.get("if-match")
    if request.version >= (3, 15) and wanted is not None and wanted.strip('"') not in ("*", _etag(volume.metadata)):
        raise PreconditionFailed()
    return volume


async def show_metadata(request: Request[VolumeService]) -> Response:
    metadata = (await find(request)).metadata
    return _answer(request, {"metadata": metadata}, metadata)


async def create_metadata(request: Request[VolumeService]) -> Response:
    """Add these, or change those there are."""
    added = request.body["metadata"]
    after = await volumes.change_metadata(request.service, await _matching(request), lambda found: {**found, **added})
    return _answer(request, {"metadata": after}, after)


async def replace_metadata(request: Request[VolumeService]) -> Response:
    wanted = request.body["metadata"]
    after = await volumes.change_metadata(request.service, await _matching(request), lambda found: wanted)
    return _answer(request, {"metadata": after}, after)


async def show_one(request: Request[VolumeService]) -> Response:
    volume, key = await find(request), request.params["key"]
    if key not in volume.metadata:
        raise MetadataNotFound(volume_id=volume.id, key=key)
    return answer({"meta": {key: volume.metadata[key]}})


async def update_one(request: Request[VolumeService]) -> Response:
    key, meta = request.params["key"], request.body["meta"]
    if list(meta) != [key]:
        raise BadRequest("Request body contains too many items" if len(meta) > 1 else "Request body and URI mismatch")
    await volumes.change_metadata(request.service, await _matching(request), lambda found: {**found, **meta})
    return answer({"meta": meta})


async def delete_one(request: Request[VolumeService]) -> Response:
    volume, key = await _matching(request), request.params["key"]
    if key not in volume.metadata:
        raise MetadataNotFound(volume_id=volume.id, key=key)
    await volumes.change_metadata(
        request.service, volume, lambda found: {name: value for name, value in found.items() if name != key}
    )
    return empty(200)


# -- the image it was made from -----------------------------------------------------------------------------------
async def show_image_metadata(request: Request[VolumeService]) -> Response:
    return answer({"metadata": (await find(request)).image_metadata or {}})


async def set_image_metadata(request: Request[VolumeService]) -> Response:
    added = request.body["os-set_image_metadata"]["metadata"]
    after = await volumes.change_image_metadata(request.service, await find(request), lambda found: {**found, **added})
    return answer({"metadata": after})


async def unset_image_metadata(request: Request[VolumeService]) -> Response:
    volume, key = await find(request), request.body["os-unset_image_metadata"]["key"]
    if key not in (volume.image_metadata or {}):
        raise MetadataNotFound("Metadata does not exist.", volume_id=volume.id, key=key)
    await volumes.change_image_metadata(
        request.service, volume, lambda found: {name: value for name, value in found.items() if name != key}
    )
    return empty(200)


async def show_encryption(request: Request[VolumeService]) -> Response:
    """Nothing is encrypted here."""
    await find(request)
    return answer({"encryption_key_id": None})


async def show_encryption_key(request: Request[VolumeService]) -> Response:
    await find(request)
    return Response(200, b"", content_type="application/json")
