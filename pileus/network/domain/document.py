"""The rendered form of a row: the JSON that answers carry, written once with the row.

A value of this wing is a frozen struct whose fields have the API's own names, so encoding it is rendering it, and
decoding is reading the row. Fields that policy may hide come last: hiding them all is cutting the text.
"""

from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

_encode = msgspec.json.Encoder().encode
_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def render(value: msgspec.Struct) -> str:
    """The JSON text of a value."""
    return _encode(value).decode()


def read(document: str, kind: type[S]) -> S:
    """The value that `render` wrote; fields of later versions are ignored, missing ones take their defaults."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    value: S = decoder.decode(document)
    return value


def cut(document: str, first_hidden: str) -> str:
    """The document without the fields from `first_hidden` on.

    No user's text can hold the mark, because quotes inside a JSON text are escaped.
    """
    return document[: document.index(f',"{first_hidden}":')] + "}"
