"""An image, as a volume is made from it."""

from typing import Any

import msgspec

from pileus.volume.domain.errors import InvalidImage, InvalidInput

GIB = 1 << 30


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What the image service says of an image."""

    id: str
    name: str
    status: str
    size_bytes: int
    virtual_size_bytes: int | None
    disk_format: str
    container_format: str
    min_disk_gib: int
    min_ram_mib: int
    checksum: str
    hash_algo: str
    hash_value: str
    properties: dict[str, Any]


def check_fits(image: Image, size_gib: int) -> None:
    """Refuse an image that has no data, or that is larger than the volume. Raises: InvalidImage, InvalidInput (400)."""
    if image.status != "active":
        raise InvalidImage(image_id=image.id, reason="Image is not active.")
    needed = -(-max(image.size_bytes, image.virtual_size_bytes or 0) // GIB)
    if needed > size_gib:
        raise InvalidInput(
            reason=f"Size of specified image {needed}GB is larger than volume size {size_gib}GB."
        )  # fmt: skip
    if image.min_disk_gib > size_gib:
        raise InvalidInput(
            reason=f"Volume size {size_gib}GB cannot be smaller than the image minDisk size {image.min_disk_gib}GB."
        )  # fmt: skip


def metadata_of(image: Image) -> dict[str, Any]:
    """What a volume remembers of the image it was made from: texts, as the API shows them."""
    told: dict[str, Any] = {
        "image_id": image.id, "image_name": image.name, "checksum": image.checksum,
        "container_format": image.container_format, "disk_format": image.disk_format,
        "min_disk": str(image.min_disk_gib), "min_ram": str(image.min_ram_mib), "size": str(image.size_bytes),
    }  # fmt: skip
    return {**image.properties, **told}
