"""MAC addresses: how ours are made, and what a caller may name."""

import re

PREFIX = "fa:16:3e"
"""What the MACs of generated ports begin with; guests, tools and images know it."""

_FORM = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def generated(entropy: bytes) -> str:
    """A MAC from three random bytes."""
    return f"{PREFIX}:{entropy[0]:02x}:{entropy[1]:02x}:{entropy[2]:02x}"


def canonical(text: str) -> str:
    """Lower case with colons. Raises ValueError for what is no address of one interface."""
    mac = text.lower().replace("-", ":")
    if not _FORM.fullmatch(mac) or mac == "00:00:00:00:00:00" or int(mac[:2], 16) & 1:
        raise ValueError(f"'{text}' is not a valid MAC address")
    return mac
