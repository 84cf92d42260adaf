"""Volumes on the wire: create, show, list, change, delete."""

from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true
from pileus.volume.api import volume_view as view
from pileus.volume.api.paging import next_page
from pileus.volume.api.volume_filters import read_query
from pileus.volume.app import volumes
from pileus.volume.domain.errors import NotSupportedHere
from pileus.volume.domain.volume import Volume
from pileus.volume.service import VolumeService


async def find(request: Request[VolumeService], rule: str = "") -> Volume:
    """The volume that the path names, if the caller may do this to it. Raises: VolumeNotFound (404)."""
    volume = await volumes.get(request.service, request.context, request.params["volume_id"])
    request.authorize({"project_id": volume.project_id, "user_id": volume.user_id}, rule)
    return volume


async def create_volume(request: Request[VolumeService]) -> Response:
    asked = request.body["volume"]
    refuse_unsupported(asked)
    size = asked.get("size")
    wanted = volumes.NewVolume(
        size_gib=int(size) if size is not None else None, name=_text(asked, "name"),
        description=_text(asked, "description"), zone=asked.get("availability_zone"),
        metadata=asked.get("metadata") or {}, image_id=asked.get("imageRef") or asked.get("image_id") or None,
        snapshot_id=asked.get("snapshot_id"), source_volume_id=asked.get("source_volid"),
        type_name=asked.get("volume_type"),
    )  # fmt: skip
    volume = await volumes.create(request.service, request.context, wanted)
    return answer({"volume": view.detail(request, volume)}, 202)


def _text(asked: dict[str, Any], name: str) -> str | None:
    """A name or description, which older clients send under another word; spaces at its ends are cut off."""
    found = asked.get(name, asked.get(f"display_{name}"))
    return found.strip() if name == "name" and isinstance(found, str) else found


_UNSUPPORTED = {
    "consistencygroup_id": "A consistency group",
    "group_id": "A group",
    "backup_id": "A volume from a backup",
}


def refuse_unsupported(asked: dict[str, Any]) -> None:
    """Refuse what this release would have to ignore. Raises: NotSupportedHere, BadRequest (400)."""
    for name, what in _UNSUPPORTED.items():
        if asked.get(name):
            raise NotSupportedHere(what=what)
    if asked.get("multiattach") is not None and is_true(asked["multiattach"]):
        raise BadRequest("multiattach is a property of the volume type: choose a type with multiattach='<is> True'.")


async def show_volume(request: Request[VolumeService]) -> Response:
    return answer({"volume": view.whole(request, await find(request))})


async def list_volumes(request: Request[VolumeService]) -> Response:
    return await _list(request, "/volumes", view.brief)


async def list_volumes_detail(request: Request[VolumeService]) -> Response:
    return await _list(request, "/volumes/detail", view.whole)


async def _list(request: Request[VolumeService], path: str, render: Any) -> Response:
    query = read_query(request)
    found = await volumes.page(request.service, query)
    document: dict[str, Any] = {"volumes": [render(request, volume) for volume in found]}
    links = next_page(request, path, found, found[-1].id if found else "")
    if links is not None:
        document["volumes_links"] = links
    if request.version >= (3, 45) and is_true((request.first("with_count") or "false").lower()):
        document["count"] = (await volumes.count(request.service, query))[0]
    return answer(document)


async def summarize_volumes(request: Request[VolumeService]) -> Response:
    """How many volumes there are, how large in all, and from 3.36 which metadata they have."""
    query = read_query(request)
    found, gib = await volumes.count(request.service, query)
    summary: dict[str, Any] = {"total_size": gib, "total_count": found}
    if request.version >= (3, 36):
        summary["metadata"] = await volumes.metadata_values(request.service, query)
    return answer({"volume-summary": summary})


async def update_volume(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    asked = request.body["volume"]
    facts: dict[str, Any] = {}
    for name in ("name", "description"):
        if name in asked or f"display_{name}" in asked:
            facts[name] = _text(asked, name)
    if asked.get("metadata") is not None:
        facts["metadata"] = asked["metadata"]
    changed = await volumes.update(request.service, volume, facts) if facts else volume
    return answer({"volume": view.detail(request, changed)})


async def delete_volume(request: Request[VolumeService]) -> Response:
    volume = await find(request)
    force = request.version >= (3, 23) and is_true((request.first("force") or "false").lower())
    if force:
        request.authorize({"project_id": volume.project_id}, "volume:force_delete")
    cascade = is_true((request.first("cascade") or "false").lower())
    await volumes.delete(request.service, request.context, volume, force=force, cascade=cascade)
    return empty(202)
