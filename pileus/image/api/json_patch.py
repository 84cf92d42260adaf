"""JSON patch as the Image API speaks it, in its two dialects.

2.1: [{"op": "replace", "path": "/name", "value": "x"}]; 2.0: [{"replace": "/name", "value": "x"}], where `add` never
overwrites. Source: Image API reference, "HTTP PATCH media types", "JSON pointer restrictions".
"""

import re
from collections.abc import Sequence
from typing import Any

from pileus.image.api.image_schema import CREATE, READ_ONLY, RESERVED
from pileus.image.domain.errors import BadPatch, ReadOnly, Reserved
from pileus.image.domain.image import RESERVED_PREFIX
from pileus.image.domain.patch import Change

OLD = "application/openstack-images-v2.0-json-patch"
NEW = "application/openstack-images-v2.1-json-patch"
MEDIA = (NEW, OLD)
OPERATIONS = ("add", "remove", "replace")
_KNOWN = f"It must be one of the following: {', '.join(OPERATIONS)}."
_READ_ONLY = frozenset(READ_ONLY) | {"id"}


def parse(body: Sequence[dict[str, Any]], media: str) -> list[Change]:
    """The changes that a patch asks for.

    Raises: BadPatch (400), InvalidBody (400) for a value that does not fit, ReadOnly and Reserved (403).
    """
    return [_change(operation, media) for operation in body]


def _change(operation: dict[str, Any], media: str) -> Change:
    op, pointer = _old(operation) if media == OLD else _new(operation)
    name, *rest = _decode(pointer)
    if rest and name != "locations":
        raise BadPatch(f"Invalid JSON pointer for this resource: '{_shown(pointer)}'")
    check_name(name)
    if op == "remove":
        return Change(op, name)
    if "value" not in operation:
        raise BadPatch(f'Operation "{op}" requires a member named "value".')
    value = operation["value"]
    if name != "locations":
        CREATE.validate({name: value})
    return Change(op, name, value, strict=media == OLD)


def check_name(name: str) -> None:
    """Refuse names that are ours. Raises: ReadOnly, Reserved (403), BadPatch (400)."""
    if name in _READ_ONLY:
        raise ReadOnly(name=name)
    if (name in RESERVED and name != "locations") or name.startswith(RESERVED_PREFIX):
        raise Reserved(name=name)
    if len(name) > 255 or "\0" in name:
        raise BadPatch("Custom property should not be greater than 255 characters.")


def _new(operation: dict[str, Any]) -> tuple[str, str]:
    op, pointer = operation.get("op"), operation.get("path")
    if op is None:
        raise BadPatch(f"Unable to find `op` in JSON Schema change. {_KNOWN}")
    if op not in OPERATIONS:
        raise BadPatch(f"Invalid operation: `{_shown(op)}`. {_KNOWN}")
    if not isinstance(pointer, str):
        raise BadPatch("Unable to find 'path' in JSON Schema change")
    return op, pointer


def _old(operation: dict[str, Any]) -> tuple[str, str]:
    found = [op for op in OPERATIONS if op in operation]
    if len(found) != 1:
        raise BadPatch('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    pointer = operation[found[0]]
    if not isinstance(pointer, str):
        raise BadPatch(f"The member '{found[0]}' of an operation is a path, such as \"/name\".")
    return found[0], pointer


def _decode(pointer: str) -> list[str]:
    shown = _shown(pointer)
    if not pointer.startswith("/"):
        raise BadPatch(f'Pointer `{shown}` does not start with "/".')
    if re.search(r"/\s*/", pointer):
        raise BadPatch(f'Pointer `{shown}` contains adjacent "/".')
    if len(pointer) > 1 and pointer.endswith("/"):
        raise BadPatch(f'Pointer `{shown}` end with "/".')
    if re.search("~(?![01])", pointer):
        raise BadPatch(f'Pointer `{shown}` contains "~" not part of a recognized escape sequence.')
    parts = [part.replace("~1", "/").replace("~0", "~").strip() for part in pointer[1:].split("/")]
    if not parts[0]:
        raise BadPatch(f"Pointer `{shown}` does not contains valid token.")
    return parts


def _shown(value: object) -> str:
    """A client's own word as it may stand in an error."""
    text = str(value)
    return (text if text.isprintable() else repr(text)[1:-1])[:255]
