"""What fits into a flavor."""

from typing import Any

import pytest

from pileus.compute.domain.errors import (
    CannotResizeDisk,
    FlavorDiskBelowImage,
    FlavorDiskBelowMinimum,
    FlavorRamTooSmall,
    SameFlavor,
    VolumeBelowMinimum,
    ZeroDiskFlavor,
)
from pileus.compute.domain.flavor import GIB, Flavor, check_extra_specs, check_image_fits, check_resize, check_zero_disk
from pileus.compute.domain.image import Image
from pileus.foundation.errors import BadRequest, Error


def flavor(**facts: Any) -> Flavor:
    return Flavor(**{"id": "1", "name": "f", "vcpus": 1, "ram_mib": 512, "disk_gib": 2, **facts})


def image(**facts: Any) -> Image:
    return Image(id="img", **facts)


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ({"min_ram_mib": 513}, FlavorRamTooSmall),
        ({"size_bytes": 2 * GIB + 1}, FlavorDiskBelowImage),
        ({"size_bytes": 1, "virtual_size_bytes": 3 * GIB}, FlavorDiskBelowImage),
        ({"min_disk_gib": 3}, FlavorDiskBelowMinimum),
    ],
)
def test_an_image_that_does_not_fit_is_refused(facts: dict[str, Any], refusal: type[Error]) -> None:
    with pytest.raises(refusal) as refused:
        check_image_fits(flavor(), image(**facts))
    assert refused.value.status == 400


def test_an_image_that_just_fits_is_accepted() -> None:
    check_image_fits(flavor(), image(min_ram_mib=512, size_bytes=2 * GIB, min_disk_gib=2))


def test_the_volume_counts_when_the_root_is_one() -> None:
    large = image(size_bytes=5 * GIB, min_disk_gib=5)
    check_image_fits(flavor(), large, root_volume_gib=5)
    with pytest.raises(VolumeBelowMinimum):
        check_image_fits(flavor(), large, root_volume_gib=4)


def test_a_flavor_without_a_disk_takes_any_image_if_policy_lets_it() -> None:
    check_image_fits(flavor(disk_gib=0), image(size_bytes=9 * GIB, min_disk_gib=9))
    with pytest.raises(ZeroDiskFlavor):
        check_zero_disk(flavor(disk_gib=0), is_volume_backed=False, may_boot_from_image=False)
    check_zero_disk(flavor(disk_gib=0), is_volume_backed=True, may_boot_from_image=False)
    check_zero_disk(flavor(disk_gib=0), is_volume_backed=False, may_boot_from_image=True)


def test_a_resize_goes_to_another_flavor_with_no_smaller_disk() -> None:
    with pytest.raises(SameFlavor):
        check_resize(flavor(), flavor(), is_volume_backed=False)
    with pytest.raises(CannotResizeDisk):
        check_resize(flavor(), flavor(id="2", disk_gib=1), is_volume_backed=False)
    with pytest.raises(CannotResizeDisk, match="zero disk"):
        check_resize(flavor(), flavor(id="2", disk_gib=0), is_volume_backed=False)
    check_resize(flavor(), flavor(id="2", disk_gib=0), is_volume_backed=True)


@pytest.mark.parametrize("key", ["", "a/b", "x" * 256, "a\nb"])
def test_extra_specs_have_names_that_a_path_can_hold(key: str) -> None:
    with pytest.raises(BadRequest):
        check_extra_specs({"hw:cpu_policy": "shared", key: "v"})
