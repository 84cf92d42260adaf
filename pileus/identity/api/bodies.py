"""Reading bodies: which attributes are ours, which the client's own."""

from collections.abc import Mapping, Set
from typing import Any


def own_attributes(body: Mapping[str, Any], known: Set[str]) -> dict[str, Any]:
    """Everything in a body that this service has no meaning for; it is kept and given back."""
    return {name: value for name, value in body.items() if name not in known}


def split(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options that are set; null means not set."""
    return {name: value for name, value in (options or {}).items() if value is not None}
