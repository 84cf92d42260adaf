"""Small JSON documents kept in a column: options and the client's own attributes. Most are empty."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def write(document: dict[str, Any]) -> str:
    return _encode(document).decode() if document else "{}"


def read(text: str) -> dict[str, Any]:
    if text == "{}":
        return {}
    found: dict[str, Any] = msgspec.json.decode(text)
    return found
