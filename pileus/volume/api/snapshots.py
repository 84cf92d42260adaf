"""Snapshots on the wire."""

from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true
from pileus.volume.api.paging import next_page
from pileus.volume.api.volume_filters import read_snapshot_query
from pileus.volume.app import snapshots, volumes
from pileus.volume.domain.errors import MetadataNotFound
from pileus.volume.domain.moments import maybe_micros, to_micros
from pileus.volume.domain.snapshot import Snapshot, SnapshotStatus
from pileus.volume.service import VolumeService


def brief(request: Request[VolumeService], snapshot: Snapshot) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": snapshot.id,
        "created_at": to_micros(snapshot.created_at),
        "updated_at": maybe_micros(snapshot.updated_at),
        "name": snapshot.name,
        "description": snapshot.description,
        "volume_id": snapshot.volume_id,
        "status": snapshot.status.value,
        "size": snapshot.size_gib,
        "metadata": snapshot.metadata,
    }
    if request.version >= (3, 14):
        document["group_snapshot_id"] = None
    if request.version >= (3, 41):
        document["user_id"] = snapshot.user_id
    if request.version >= (3, 65):
        document["consumes_quota"] = True
    return document


def whole(request: Request[VolumeService], snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as show and the detailed list answer it."""
    progress = "100%" if snapshot.status is SnapshotStatus.AVAILABLE else "0%"
    return {
        **brief(request, snapshot),
        "os-extended-snapshot-attributes:progress": progress,
        "os-extended-snapshot-attributes:project_id": snapshot.project_id,
    }


async def _find(request: Request[VolumeService]) -> Snapshot:
    """The snapshot that the path names, if the caller may do this to it. Raises: SnapshotNotFound (404)."""
    snapshot = await snapshots.get(request.service, request.context, request.params["snapshot_id"])
    request.authorize({"project_id": snapshot.project_id, "user_id": snapshot.user_id})
    return snapshot


async def create_snapshot(request: Request[VolumeService]) -> Response:
    asked = request.body["snapshot"]
    volume = await volumes.get(request.service, request.context, asked["volume_id"] or "")
    request.authorize({"project_id": volume.project_id})
    wanted = snapshots.NewSnapshot(
        name=asked.get("name", asked.get("display_name")),
        description=asked.get("description", asked.get("display_description")),
        metadata=asked.get("metadata") or {}, force=_force(request, asked.get("force")),
    )  # fmt: skip
    made = await snapshots.create(request.service, request.context, volume, wanted)
    return answer({"snapshot": brief(request, made)}, 202)


def _force(request: Request[VolumeService], asked: Any) -> bool:
    """From 3.66 a volume in use needs no force, and refusing it is refused."""
    if request.version < (3, 66):
        return asked is not None and is_true(asked)
    if asked is not None and not is_true(asked):
        raise BadRequest("Since microversion 3.66 the 'force' option is invalid for this request.")
    return True


async def show_snapshot(request: Request[VolumeService]) -> Response:
    return answer({"snapshot": whole(request, await _find(request))})


async def list_snapshots(request: Request[VolumeService]) -> Response:
    return await _list(request, "/snapshots", brief)


async def list_snapshots_detail(request: Request[VolumeService]) -> Response:
    return await _list(request, "/snapshots/detail", whole)


async def _list(request: Request[VolumeService], path: str, render: Any) -> Response:
    query = read_snapshot_query(request)
    found = await snapshots.page(request.service, query)
    document: dict[str, Any] = {"snapshots": [render(request, snapshot) for snapshot in found]}
    links = next_page(request, path, found, found[-1].id if found else "")
    if links is not None:
        document["snapshots_links"] = links
    if request.version >= (3, 45) and is_true(request.first("with_count") or "false"):
        document["count"] = await snapshots.count(request.service, query)
    return answer(document)


async def update_snapshot(request: Request[VolumeService]) -> Response:
    snapshot, asked = await _find(request), request.body["snapshot"]
    facts = {
        name: asked.get(name, asked.get(f"display_{name}"))
        for name in ("name", "description")
        if name in asked or f"display_{name}" in asked
    }
    return answer({"snapshot": brief(request, await snapshots.update(request.service, snapshot, facts))})


async def delete_snapshot(request: Request[VolumeService]) -> Response:
    await snapshots.delete(request.service, request.context, await _find(request))
    return empty(202)


async def force_delete(request: Request[VolumeService]) -> Response:
    await snapshots.delete(request.service, request.context, await _find(request), force=True)
    return empty(202)


async def reset_status(request: Request[VolumeService]) -> Response:
    snapshot, status = await _find(request), request.body["os-reset_status"]["status"].lower()
    if status not in set(SnapshotStatus):
        raise BadRequest(f"Invalid input for field/attribute status. Value: {status}.")
    await snapshots.update(request.service, snapshot, {"status": SnapshotStatus(status)})
    return empty(202)


# -- metadata -----------------------------------------------------------------------------------------------------
async def show_metadata(request: Request[VolumeService]) -> Response:
    return answer({"metadata": (await _find(request)).metadata})


async def create_metadata(request: Request[VolumeService]) -> Response:
    snapshot, added = await _find(request), request.body["metadata"]
    after = await snapshots.change_metadata(request.service, snapshot, lambda found: {**found, **added})
    return answer({"metadata": after})


async def replace_metadata(request: Request[VolumeService]) -> Response:
    snapshot, wanted = await _find(request), request.body["metadata"]
    return answer({"metadata": await snapshots.change_metadata(request.service, snapshot, lambda found: wanted)})


async def show_one(request: Request[VolumeService]) -> Response:
    snapshot, key = await _find(request), request.params["key"]
    return answer({"meta": {key: _value(snapshot, key)}})


def _value(snapshot: Snapshot, key: str) -> str:
    """Raises: MetadataNotFound (404)."""
    if key not in snapshot.metadata:
        raise MetadataNotFound(f"Snapshot {snapshot.id} has no metadata with key {key}.")
    return snapshot.metadata[key]


async def update_one(request: Request[VolumeService]) -> Response:
    snapshot, meta, key = await _find(request), request.body["meta"], request.params["key"]
    if list(meta) != [key]:
        raise BadRequest("Request body and URI mismatch")
    await snapshots.change_metadata(request.service, snapshot, lambda found: {**found, **meta})
    return answer({"meta": meta})


async def delete_one(request: Request[VolumeService]) -> Response:
    snapshot, key = await _find(request), request.params["key"]
    _value(snapshot, key)
    await snapshots.change_metadata(
        request.service, snapshot, lambda found: {name: value for name, value in found.items() if name != key}
    )
    return empty(200)
