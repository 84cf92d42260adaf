"""Flavors: the sizes that servers come in, and whether an image fits into one."""

import re

from msgspec import Struct, field

from pileus.compute.domain.errors import (
    CannotResizeDisk,
    FlavorDiskBelowImage,
    FlavorDiskBelowMinimum,
    FlavorRamTooSmall,
    SameFlavor,
    VolumeBelowMinimum,
    ZeroDiskFlavor,
)
from pileus.compute.domain.image import Image
from pileus.foundation.errors import BadRequest

GIB = 1 << 30
MAX_SIZE = 2_147_483_647
"""The largest number of MiB, GiB or vCPUs that the API accepts."""

EXTRA_SPEC_KEY = re.compile(r"[a-zA-Z0-9_.:\- ]{1,255}")


class Flavor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One size. A server keeps a copy of its flavor: a deleted or changed flavor does not change the server."""

    id: str
    name: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    ephemeral_gib: int = 0
    swap_mib: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    is_disabled: bool = False
    description: str | None = None
    extra_specs: dict[str, str] = field(default_factory=dict)
    created_at: int = 0
    updated_at: int | None = None

    @property
    def total_disk_gib(self) -> int:
        """What the flavor takes of a host's disks: root, ephemeral and swap, rounded up to whole GiB."""
        return self.disk_gib + self.ephemeral_gib + -(-self.swap_mib // 1024)

    def local_disk_gib(self, *, is_volume_backed: bool) -> int:
        """What a server of this flavor takes of its host's disks; a root on a volume takes nothing there."""
        return self.total_disk_gib - (self.disk_gib if is_volume_backed else 0)


def check_image_fits(flavor: Flavor, image: Image, *, root_volume_gib: int | None = None) -> None:
    """Refuse an image that does not fit; `root_volume_gib` is the size of the volume that it is copied to, if any.

    Raises: FlavorRamTooSmall, FlavorDiskBelowImage, FlavorDiskBelowMinimum, VolumeBelowMinimum (400).
    """
    if flavor.ram_mib < image.min_ram_mib:
        raise FlavorRamTooSmall
    minimum = image.min_disk_gib * GIB
    if root_volume_gib is not None:
        if root_volume_gib * GIB < minimum:
            raise VolumeBelowMinimum(volume_size=root_volume_gib * GIB, image_min_disk=minimum)
        return
    disk = flavor.disk_gib * GIB
    if disk == 0:
        return
    if image.needed_disk_bytes > disk:
        raise FlavorDiskBelowImage(flavor_size=disk, image_size=image.needed_disk_bytes)
    if minimum > disk:
        raise FlavorDiskBelowMinimum(flavor_size=disk, image_min_disk=minimum)


def check_zero_disk(flavor: Flavor, *, is_volume_backed: bool, may_boot_from_image: bool) -> None:
    """Refuse a local root disk under a flavor that has none, unless policy allows it. Raises: ZeroDiskFlavor (403)."""
    if flavor.disk_gib == 0 and not is_volume_backed and not may_boot_from_image:
        raise ZeroDiskFlavor


def check_resize(old: Flavor, new: Flavor, *, is_volume_backed: bool) -> None:
    """Refuse a resize to the same flavor, to none, or to a smaller local disk.

    Raises: SameFlavor, CannotResizeDisk (400).
    """
    if old.id == new.id:
        raise SameFlavor
    if is_volume_backed:
        return
    if new.disk_gib == 0 and old.disk_gib != 0:
        raise CannotResizeDisk(reason="Resize to zero disk flavor is not allowed.")
    if new.disk_gib < old.disk_gib:
        raise CannotResizeDisk(reason="the disk of the new flavor is smaller than the server's disk")


def check_extra_specs(extra_specs: dict[str, str]) -> None:
    """Refuse names that the API does not know how to address. Raises: BadRequest (400)."""
    for key in extra_specs:
        if not EXTRA_SPEC_KEY.fullmatch(key):
            raise BadRequest(
                f"Invalid input for field/attribute extra_specs. Value: {key}. A name holds letters, digits, spaces, "
                "'.', ':', '-' and '_', and at most 255 of them"
            )
