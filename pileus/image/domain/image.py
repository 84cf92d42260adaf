"""What an image is, who may see it, and how much of it there may be."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from pileus.foundation.config import meaning
from pileus.image.domain.errors import OverLimit

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
VISIBILITIES = ("community", "public", "private", "shared")
MEMBER_STATUSES = ("pending", "accepted", "rejected")
HASH_ALGORITHM = "sha512"
RESERVED_PREFIX = "os_glance"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image as the latest API shows it; times in UTC microseconds, sizes in bytes, min_disk GiB, min_ram MiB.

    `location` is where the store has its bytes, and is shown to nobody. `generation` counts its changes.
    """

    id: str
    owner: str | None
    name: str | None = None
    status: str = "queued"
    visibility: str = "shared"
    protected: bool = False
    os_hidden: bool = False
    container_format: str | None = None
    disk_format: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    properties: Mapping[str, str] = {}
    tags: tuple[str, ...] = ()
    location: str = ""
    created_at: int
    updated_at: int
    generation: int = 1


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A project that a shared image is offered to, and what it said."""

    image_id: str
    member_id: str
    status: str = "pending"
    created_at: int
    updated_at: int


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What came in: sizes in bytes, the MD5 checksum, the hash by `HASH_ALGORITHM`."""

    size: int
    virtual_size: int
    checksum: str
    hash_value: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything there may be; the defaults are those of the reference implementation. 0: no limit."""

    size_bytes: Annotated[int, meaning("Of one image.")] = 1 << 40
    virtual_size_bytes: Annotated[int, meaning("Of the disk in one image.")] = 16 << 40
    project_bytes: Annotated[int, meaning("Of all images of a project.")] = 0
    project_images: Annotated[int, meaning("Images of a project.")] = 0
    properties: Annotated[int, meaning("Properties of an image.")] = 128
    tags: Annotated[int, meaning("Tags of an image.")] = 128
    members: Annotated[int, meaning("Projects that an image is shared with.")] = 128

    def check(self, image: Image) -> None:
        """Raises: OverLimit (413)."""
        if 0 < self.properties < len(image.properties):
            raise OverLimit(what=f"{len(image.properties)} properties", most=self.properties)
        if 0 < self.tags < len(image.tags):
            raise OverLimit(what=f"{len(image.tags)} tags", most=self.tags)


def is_visible(image: Image, project_id: str, *, is_admin: bool, is_member: bool) -> bool:
    """Whether somebody of a project may know that the image exists; members see it whatever they answered."""
    if is_admin or image.owner is None or image.visibility in ("public", "community"):
        return True
    if project_id and image.owner == project_id:
        return True
    return image.visibility == "shared" and is_member


def policy_target(image: Image, member_id: str | None) -> dict[str, Any]:
    """The image as policy rules see it; `member_id` is the asking project where the image is shared with it."""
    return {
        "project_id": image.owner,
        "tenant_id": image.owner,
        "owner": image.owner,
        "image_id": image.id,
        "visibility": image.visibility,
        "member_id": member_id,
        "status": image.status,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "name": image.name,
    }
