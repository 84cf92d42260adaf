"""Finds a driver by its kind and name among what installed packages announce."""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pileus.foundation.errors import NotFound


class NoDriver(NotFound):
    code = "drivers.none"
    message = "There is no {kind} driver named {name}. Installed are: {known}."


@cache  # looking through all installed packages takes 10 ms, and each host of a large fake cloud asks
def load_driver(kind: str, name: str) -> Any:
    """The factory that the entry point `name` of group `pileus.<kind>` names. Raises: NoDriver."""
    group = f"pileus.{kind}"
    found = entry_points(group=group, name=name)
    for point in found:
        return point.load()
    known = ", ".join(sorted(entry_points(group=group).names)) or "none"
    raise NoDriver(kind=kind, name=name, known=known)
