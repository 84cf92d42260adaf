"""A volume as its callers see it, in every version."""

from typing import Any

from pileus.foundation.http.request import Request
from pileus.volume.api.paging import base_of, plain_base_of
from pileus.volume.domain.moments import maybe_micros, to_micros
from pileus.volume.domain.volume import Attachment, Volume
from pileus.volume.domain.volume_states import AttachStatus
from pileus.volume.service import VolumeService

HOST_RULE = "volume_extension:volume_host_attribute"


def _links(request: Request[VolumeService], volume: Volume) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{base_of(request)}/volumes/{volume.id}"},
        {"rel": "bookmark", "href": f"{plain_base_of(request)}/volumes/{volume.id}"},
    ]


def brief(request: Request[VolumeService], volume: Volume) -> dict[str, Any]:
    return {"id": volume.id, "name": volume.name, "links": _links(request, volume)}


def detail(request: Request[VolumeService], volume: Volume) -> dict[str, Any]:
    """The volume as create and update answer it."""
    is_admin = request.may(HOST_RULE, {})
    document: dict[str, Any] = {
        "id": volume.id,
        "status": volume.status.value,
        "size": volume.size_gib,
        "availability_zone": volume.zone,
        "created_at": to_micros(volume.created_at),
        "updated_at": maybe_micros(volume.updated_at),
        "name": volume.name,
        "description": volume.description,
        "volume_type": volume.type_name or None,
        "snapshot_id": volume.snapshot_id,
        "source_volid": volume.source_volume_id,
        "metadata": _metadata(volume),
        "links": _links(request, volume),
        "user_id": volume.user_id,
        "bootable": "true" if volume.is_bootable else "false",
        "encrypted": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "multiattach": volume.is_multiattach,
        "attachments": [
            _attachment(held, show_host=is_admin) for held in volume.attachments if held.status is AttachStatus.ATTACHED
        ],
        "migration_status": None,
    }
    if request.version >= (3, 10):
        _add_newer(document, request, volume, is_admin=is_admin)
    return document


def _metadata(volume: Volume) -> dict[str, str]:
    if volume.read_only is None:
        return volume.metadata
    return {**volume.metadata, "readonly": str(volume.read_only)}


def _add_newer(document: dict[str, Any], request: Request[VolumeService], volume: Volume, *, is_admin: bool) -> None:
    version = request.version
    document["group_id"] = None
    if version >= (3, 21) and is_admin:
        document["provider_id"] = None
    if version >= (3, 48):
        document["shared_targets"] = False
        document["service_uuid"] = None
    if version >= (3, 61) and is_admin:
        document["cluster_name"] = None
    if version >= (3, 63):
        document["volume_type_id"] = volume.type_id
    if version >= (3, 65):
        document["consumes_quota"] = True


def whole(request: Request[VolumeService], volume: Volume) -> dict[str, Any]:
    """The volume as show and the detailed list answer it."""
    document = detail(request, volume)
    document["os-vol-tenant-attr:tenant_id"] = volume.project_id
    if volume.image_metadata:
        document["volume_image_metadata"] = volume.image_metadata
    if request.may(HOST_RULE, {}):
        document["os-vol-mig-status-attr:migstat"] = None
        document["os-vol-mig-status-attr:name_id"] = None
        document["os-vol-host-attr:host"] = host_name(request.service, volume.backend)
    return document


def host_name(service: VolumeService, backend: str) -> str | None:
    """HOST@BACKEND#POOL: where a volume is, as administrators see it; None for one that found no place."""
    return f"{service.settings.host}@{backend}#{backend}" if backend else None


def _attachment(held: Attachment, *, show_host: bool) -> dict[str, Any]:
    return {
        "id": held.volume_id,
        "attachment_id": held.id,
        "volume_id": held.volume_id,
        "server_id": held.server_id,
        "host_name": held.host if show_host else None,
        "device": held.device,
        "attached_at": maybe_micros(held.attached_at),
    }
