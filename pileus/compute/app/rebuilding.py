"""Rebuilding a server: the same server, ports and volumes, with a new root disk."""

from typing import Any

from msgspec import Struct

from pileus.compute.app import actions
from pileus.compute.domain import quota
from pileus.compute.domain.errors import ImageNotUsable, UnknownImage, UnknownKeypair
from pileus.compute.domain.flavor import check_image_fits
from pileus.compute.domain.image import Image
from pileus.compute.domain.launch import check_hostname
from pileus.compute.domain.server import Server, changed
from pileus.compute.domain.server_states import Action, check
from pileus.compute.service import Compute
from pileus.compute.store import keypairs, quotas
from pileus.foundation.context import Context
from pileus.foundation.errors import BadRequest, NotFound


class VolumeBackedRebuild(BadRequest):
    """The root disk is a volume, and another image would have to be written onto it."""

    code = "compute.rebuild.volume-backed"
    message = "Unable to rebuild with a different image for a volume-backed server."


class RebuildRequest(Struct, frozen=True, kw_only=True):
    """What is to be different; `changes` are facts of the server, by their names there."""

    image_id: str
    changes: dict[str, Any]


async def rebuild(compute: Compute, context: Context, server: Server, wanted: RebuildRequest) -> Server:
    """Begin to build the server anew.

    Raises: UnknownImage, ImageNotUsable, FlavorDiskBelowImage, UnknownKeypair, HostnameInvalid, VolumeBackedRebuild
    (400), MetadataQuotaExceeded (403), WrongState, ServerBusy, Locked (409).
    Source: Compute API reference, "Rebuild Server (rebuild Action)".
    """
    check(server, Action.REBUILD, may_override_lock=context.is_admin)
    image = await _image(compute, context, server, wanted.image_id)
    facts = dict(wanted.changes)
    if image is not None:
        facts |= {"image": image, "guest_password": ""}
    if "hostname" in facts:
        check_hostname(facts["hostname"])
    if "metadata" in facts:
        limits = await quotas.limits(compute.database, context.project_id)
        quota.check(limits, {}, {"metadata_items": len(facts["metadata"])})
    if "key_name" in facts:
        facts["public_key"] = await _public_key(compute, server.user_id, facts["key_name"])
    now = compute.runtime.now()
    return await actions.rebuild(
        compute, context, server, lambda found: changed(found, now, **facts), may_override_lock=context.is_admin
    )


async def _image(compute: Compute, context: Context, server: Server, image_id: str) -> Image | None:
    """The image to build from; None leaves a root volume as it is."""
    try:
        image = await compute.images.get(image_id, compute.users_authority(context.token))
    except NotFound as missing:
        raise UnknownImage from missing
    if image.status != "active":
        raise ImageNotUsable(image_id=image_id)
    if server.is_volume_backed:
        raise VolumeBackedRebuild
    check_image_fits(server.flavor, image)
    return image


async def _public_key(compute: Compute, user_id: str, name: str | None) -> str | None:
    if name is None:
        return None
    found = await keypairs.find(compute.database, user_id, name)
    if found is None:
        raise UnknownKeypair
    return found.public_key
