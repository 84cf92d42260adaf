"""A patch changes an image as a whole, or not at all."""

import pytest

from pileus.foundation.errors import Forbidden
from pileus.image.domain import errors
from pileus.image.domain.image import Image
from pileus.image.domain.patch import Change, apply


def image(**facts: object) -> Image:
    return Image(id="i", owner="p", created_at=1, updated_at=1, properties={"a": "1"}, tags=("t",), **facts)


def patched(*changes: Change, is_admin: bool = False, **facts: object) -> Image:
    return apply(image(**facts), changes, lambda image, change: None, is_admin=is_admin)


def test_changes_follow_one_another() -> None:
    after = patched(Change("add", "b", "2"), Change("replace", "b", "3"), Change("remove", "a"))
    assert after.properties == {"b": "3"}


def test_adding_overwrites_unless_the_dialect_is_strict() -> None:
    assert patched(Change("add", "a", "2")).properties == {"a": "2"}
    assert patched(Change("add", "name", "n")).name == "n"
    assert patched(Change("add", "b", "2", strict=True)).properties == {"a": "1", "b": "2"}
    for name in ("a", "name", "min_ram"):
        with pytest.raises(errors.PropertyPresent):
            patched(Change("add", name, "2", strict=True))


def test_attributes_are_set_in_their_places() -> None:
    after = patched(
        Change("replace", "min_disk", 3),
        Change("replace", "protected", True),
        Change("replace", "tags", ["x", "y", "x"]),
    )
    assert (after.min_disk, after.protected, after.tags) == (3, True, ("x", "y"))


@pytest.mark.parametrize(
    ("change", "error", "status"),
    [
        (Change("replace", "b", "1"), errors.NoSuchProperty, 409),
        (Change("remove", "b"), errors.NoSuchProperty, 409),
        (Change("remove", "name"), errors.MayNotBeRemoved, 403),
        (Change("remove", "tags"), errors.MayNotBeRemoved, 403),
        (Change("replace", "owner", "q"), errors.OwnerFixed, 403),
        (Change("add", "owner", "q"), errors.OwnerFixed, 403),
        (Change("add", "locations", {"url": "file:///etc/passwd", "metadata": {}}), errors.LocationsOff, 403),
        (Change("replace", "locations", []), errors.LocationsOff, 403),
        (Change("remove", "locations"), errors.LocationsOff, 403),
    ],
)
def test_what_may_not_change_is_refused(change: Change, error: type[errors.errors.Error], status: int) -> None:
    with pytest.raises(error) as refused:
        patched(change)
    assert refused.value.status == status


@pytest.mark.parametrize("name", ["disk_format", "container_format"])
@pytest.mark.parametrize("status", ["saving", "active", "deactivated", "uploading"])
def test_formats_are_fixed_once_bytes_came(name: str, status: str) -> None:
    with pytest.raises(errors.FormatFixed):
        patched(Change("replace", name, "raw"), status=status)


@pytest.mark.parametrize("status", ["queued", "importing"])
def test_formats_may_change_before(status: str) -> None:
    assert patched(Change("replace", "disk_format", "raw"), status=status).disk_format == "raw"


def test_an_administrator_gives_images_away() -> None:
    assert patched(Change("replace", "owner", "q"), is_admin=True).owner == "q"


def test_policy_is_asked_about_each_change() -> None:
    asked = []

    def allow(image: Image, change: Change) -> None:
        asked.append(change.name)
        if change.name == "visibility":
            raise Forbidden("no")

    changes = [Change("add", "b", "1"), Change("replace", "visibility", "public"), Change("add", "c", "1")]
    with pytest.raises(Forbidden):
        apply(image(), changes, allow, is_admin=False)
    assert asked == ["b", "visibility"]
