"""Administrators' passwords of servers whose request named none."""

from pileus.foundation.runtime import Runtime

LENGTH = 12
_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Without those that are easily taken for each other."""


def generate(runtime: Runtime) -> str:
    """A password of 12 letters and digits, about 70 bits."""
    found = ""
    while len(found) < LENGTH:
        # 228 is four times the number of letters: larger bytes would favour some of them.
        found += "".join(_LETTERS[byte % len(_LETTERS)] for byte in runtime.random_bytes(LENGTH + 4) if byte < 228)
    return found[:LENGTH]
