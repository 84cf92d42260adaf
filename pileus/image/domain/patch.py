"""Changes to an image, one name at a time, as a JSON patch tells them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pileus.image.domain.errors import (
    FormatFixed,
    LocationsOff,
    MayNotBeRemoved,
    NoSuchProperty,
    OwnerFixed,
    PropertyPresent,
)
from pileus.image.domain.image import Image

FIELDS = frozenset(
    {
        "name",
        "visibility",
        "protected",
        "os_hidden",
        "container_format",
        "disk_format",
        "min_disk",
        "min_ram",
        "owner",
        "tags",
    }
)
FORMATS = frozenset({"container_format", "disk_format"})
FORMATS_MAY_CHANGE = frozenset({"queued", "importing"})


@dataclass(frozen=True, slots=True)
class Change:
    """One operation: `op` is add, replace or remove. `strict` adds refuse to overwrite (the patch form of v2.0)."""

    op: str
    name: str
    value: Any = None
    strict: bool = False


def apply(image: Image, changes: Sequence[Change], allow: Callable[[Image, Change], None], *, is_admin: bool) -> Image:
    """The image after all changes, or none: the first refused change refuses the whole patch.

    `allow` asks policy about each change. Raises: the errors imported above, and what `allow` raises.
    """
    for change in changes:
        if change.name == "locations":
            raise LocationsOff()
        if change.name == "owner" and not is_admin and change.op != "remove":
            raise OwnerFixed()
        allow(image, change)
        image = _OPERATIONS[change.op](image, change)
    return image


def _add(image: Image, change: Change) -> Image:
    present = change.name in FIELDS or change.name in image.properties
    if present and change.strict:
        raise PropertyPresent(name=change.name)
    return _set(image, change)


def _replace(image: Image, change: Change) -> Image:
    if change.name not in FIELDS and change.name not in image.properties:
        raise NoSuchProperty(name=change.name)
    return _set(image, change)


def _remove(image: Image, change: Change) -> Image:
    if change.name in FIELDS:
        raise MayNotBeRemoved(name=change.name)
    if change.name not in image.properties:
        raise NoSuchProperty(name=change.name)
    kept = {name: value for name, value in image.properties.items() if name != change.name}
    return msgspec.structs.replace(image, properties=kept)


def _set(image: Image, change: Change) -> Image:
    name, value = change.name, change.value
    if name in FORMATS and image.status not in FORMATS_MAY_CHANGE:
        raise FormatFixed(name=name)
    if name == "tags":
        value = tuple(dict.fromkeys(value))
    if name in FIELDS:
        return msgspec.structs.replace(image, **{name: value})
    return msgspec.structs.replace(image, properties={**image.properties, name: value})


_OPERATIONS: dict[str, Callable[[Image, Change], Image]] = {"add": _add, "replace": _replace, "remove": _remove}
