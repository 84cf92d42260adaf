"""Conditions on lists: what a caller asks for, before it is SQL."""

from typing import Any

import msgspec

EXACT, CONTAINS, STARTSWITH, ENDSWITH, AFTER, AMONG = "exact", "contains", "startswith", "endswith", "after", "among"


class Condition(msgspec.Struct, frozen=True, gc=False):
    """`column` compared with `value` in one of the ways above. Columns are the house's words, never a caller's."""

    column: str
    value: Any
    comparison: str = EXACT
