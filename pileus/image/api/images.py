"""Images on the wire: create, list, show, change, delete, tags, deactivate and reactivate."""

from collections.abc import Callable
from typing import Any

import msgspec

from pileus.foundation.errors import UnsupportedMedia
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.policy import NotAllowed
from pileus.image.api import json_patch, listing
from pileus.image.api.image_view import image_view
from pileus.image.app import images
from pileus.image.app.images import Seen
from pileus.image.domain import status
from pileus.image.domain.errors import BadPatch, ImageNotFound, NotYourImage, Reserved, TagNotFound
from pileus.image.domain.image import Image, policy_target
from pileus.image.domain.patch import FIELDS, Change, apply
from pileus.image.service import ImageService

Ask = Request[ImageService]

_VISIBILITY_RULES = {"public": "publicize_image", "community": "communitize_image"}
MOST_TAG = 255


def permit(request: Ask, seen: Seen, rule: str = "") -> None:
    """Ask policy about an image under the route's rule, or another; who may not even look is told that there is none.

    Raises: ImageNotFound (404), NotAllowed (403).
    """
    target = seen.target()
    try:
        request.authorize(target, rule)
    except NotAllowed:
        if not request.may("get_image", target):
            raise ImageNotFound(image_id=seen.image.id) from None
        raise


def permission(request: Ask) -> Callable[[Seen], None]:
    """The question that a use case asks once it knows the image."""
    return lambda seen: permit(request, seen)


async def create(request: Ask) -> Response:
    image = _new_image(request)
    _permit_new(request, image)
    image = await images.create(request.service, image)
    headers = [
        ("location", request.href(f"/v2/images/{image.id}")),
        ("openstack-image-store-ids", request.service.store.id),
    ]
    methods = request.service.import_methods
    if methods:
        headers.append(("openstack-image-import-methods", ",".join(methods)))
    return answer(image_view(image, request.service.store.id), 201, headers)


def _new_image(request: Ask) -> Image:
    body = dict(request.body)
    known = {name: body.pop(name) for name in FIELDS if name in body}
    image_id = body.pop("id", None)
    for name in body:
        if name == "locations":
            raise Reserved(name=name)
        json_patch.check_name(name)
    now = request.service.runtime.now()
    return Image(
        id=image_id.lower() if image_id else request.service.runtime.uuid(),
        owner=known.pop("owner", None) or request.context.project_id or None,
        tags=tuple(dict.fromkeys(known.pop("tags", ()))),
        properties=body,
        created_at=now,
        updated_at=now,
        **known,
    )


def _permit_new(request: Ask, image: Image) -> None:
    target = policy_target(image, None)
    try:
        request.authorize(target)
    except NotAllowed:
        if image.owner != request.context.project_id:
            raise NotYourImage(owner=image.owner) from None
        raise
    rule = _VISIBILITY_RULES.get(image.visibility)
    if rule:
        request.authorize(target, rule)


async def list_(request: Ask) -> Response:
    asked = listing.read(request)
    found = await images.page(request.service, request.context, asked)
    shown = [image for image in found if request.may("get_image", _listed_target(image, request.context.project_id))]
    marker = shown[-1].id if shown and len(found) == asked.limit else None
    store_id = request.service.store.id
    return answer({"images": [image_view(image, store_id) for image in shown], **listing.links(request, marker)})


def _listed_target(image: Image, project_id: str) -> dict[str, Any]:
    """A shared image of somebody else's is in the list only because it is shared with the caller's project."""
    is_invited = image.visibility == "shared" and image.owner != project_id
    return policy_target(image, project_id if is_invited else None)


async def show(request: Ask) -> Response:
    seen = await images.get(request.service, request.context, request.params["image_id"])
    permit(request, seen)
    return answer(image_view(seen.image, request.service.store.id))


async def update(request: Ask) -> Response:
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media not in json_patch.MEDIA:
        raise UnsupportedMedia(f"Image PATCH expects Content-Type one of: {', '.join(sorted(json_patch.MEDIA))}")
    changes = json_patch.parse(request.body, media)

    def decide(seen: Seen) -> Image:
        permit(request, seen)
        return apply(seen.image, changes, allow, is_admin=request.context.is_admin)

    def allow(image: Image, change: Change) -> None:
        rule = _VISIBILITY_RULES.get(change.value) if change.name == "visibility" and change.op != "remove" else None
        if rule:
            request.authorize(policy_target(image, None), rule)

    image = await images.change(request.service, request.context, request.params["image_id"], decide)
    return answer(image_view(image, request.service.store.id))


async def delete(request: Ask) -> Response:
    await images.delete(request.service, request.context, request.params["image_id"], permission(request))
    return empty()


async def add_tag(request: Ask) -> Response:
    tag = request.params["tag"]
    if len(tag) > MOST_TAG or "\0" in tag:
        raise BadPatch(f"Provided object does not match schema 'image': the tag is longer than {MOST_TAG} characters")

    def decide(seen: Seen) -> Image:
        permit(request, seen)
        return msgspec.structs.replace(seen.image, tags=tuple(dict.fromkeys((*seen.image.tags, tag))))

    await images.change(request.service, request.context, request.params["image_id"], decide)
    return empty()


async def remove_tag(request: Ask) -> Response:
    tag = request.params["tag"]

    def decide(seen: Seen) -> Image:
        permit(request, seen)
        if tag not in seen.image.tags:
            raise TagNotFound(image_id=seen.image.id, tag=tag)
        return msgspec.structs.replace(seen.image, tags=tuple(each for each in seen.image.tags if each != tag))

    await images.change(request.service, request.context, request.params["image_id"], decide)
    return empty()


async def deactivate(request: Ask) -> Response:
    return await _act(request, status.deactivate)


async def reactivate(request: Ask) -> Response:
    return await _act(request, status.reactivate)


async def _act(request: Ask, action: Callable[[Image], Image]) -> Response:
    def decide(seen: Seen) -> Image:
        permit(request, seen)
        return action(seen.image)

    await images.change(request.service, request.context, request.params["image_id"], decide)
    return empty()
