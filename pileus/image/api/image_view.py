"""Images and members as the API shows them."""

from datetime import UTC, datetime
from typing import Any

from pileus.image.domain.image import Image, Member


def image_view(image: Image, store_id: str) -> dict[str, Any]:
    """The image as JSON: the user's own properties first, then ours, which no property can hide."""
    here = f"/v2/images/{image.id}"
    view: dict[str, Any] = {
        **image.properties,
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "visibility": image.visibility,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "status": image.status,
        "checksum": image.checksum,
        "protected": image.protected,
        "min_ram": image.min_ram,
        "min_disk": image.min_disk,
        "owner": image.owner,
        "os_hidden": image.os_hidden,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "id": image.id,
        "created_at": time_view(image.created_at),
        "updated_at": time_view(image.updated_at),
        "tags": image.tags,
        "self": here,
        "file": f"{here}/file",
        "schema": "/v2/schemas/image",
    }
    if image.location:
        view["stores"] = store_id
    return view


def member_view(member: Member) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "image_id": member.image_id,
        "status": member.status,
        "created_at": time_view(member.created_at),
        "updated_at": time_view(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def time_view(microseconds: int) -> str:
    """2026-01-02T03:04:05Z."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
