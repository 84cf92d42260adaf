"""Comparing answers by their shape: the same names, the same kinds of values."""

from collections.abc import Iterator
from typing import Any

_KINDS: dict[type, str] = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
FREE = frozenset({"metadata", "extra_specs", "hosts", "vm", "addresses", "properties"})
"""Objects whose names are the user's or the cloud's own."""


def differences(expected: Any, found: Any, where: str = "", *, free: bool = False) -> Iterator[str]:
    """Where two documents differ in shape; null fits everything, of lists the first elements are compared."""
    if expected is None or found is None:
        return
    kinds = _KINDS[type(expected)], _KINDS[type(found)]
    if kinds[0] != kinds[1]:
        yield f"{where}: {kinds[0]} expected, {kinds[1]} found"
    elif isinstance(expected, dict):
        yield from _objects(expected, found, where, free=free)
    elif isinstance(expected, list) and expected and found:
        yield from differences(expected[0], found[0], f"{where}[0]")


def _objects(expected: dict[str, Any], found: dict[str, Any], where: str, *, free: bool) -> Iterator[str]:
    if free:
        if expected and found:
            yield from differences(next(iter(expected.values())), next(iter(found.values())), f"{where}.*")
        return
    for name in expected.keys() - found.keys():
        yield f"{where}.{name}: missing"
    for name in found.keys() - expected.keys():
        yield f"{where}.{name}: not expected"
    for name in expected.keys() & found.keys():
        yield from differences(expected[name], found[name], f"{where}.{name}", free=name in FREE)
