"""Which bytes a Range header asks for."""

import re

from pileus.image.domain.errors import BadRange

_ONE = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*")


def parse(header: str, size: int) -> tuple[int, int] | None:
    """First byte and number of bytes; None when the header is to be ignored and the whole is meant.

    Raises: BadRange (416). Source: RFC 9110, section 14; several ranges at once are ignored, as it allows.
    """
    match = _ONE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        count = min(int(match[2]), size)
        first = size - count
    else:
        first, last = int(match[1]), int(match[2]) if match[2] else size - 1
        if match[2] and last < first:
            return None
        count = min(last, size - 1) - first + 1
    if count <= 0:
        raise BadRange(size=size)
    return first, count
