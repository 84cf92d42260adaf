"""Lists as SQL: which rows, from which on, how many. The texts are composed of constants and kept once made."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pileus.foundation.database import Statement, sql
from pileus.identity.domain.filters import Condition

_COMPARISONS = {
    # Not LIKE: the databases disagree on upper and lower case there.
    "exact": "{column} = :{name}",
    "contains": "REPLACE({column}, :{name}, '') <> {column}",
    "startswith": "SUBSTR({column}, 1, LENGTH(:{name})) = :{name}",
    "endswith": "SUBSTR({column}, LENGTH({column}) - LENGTH(:{name}) + 1) = :{name}",
    "after": "{column} > :{name}",
    "among": "{column} IN :{name}*",
}


@lru_cache(maxsize=512)
def _statement(select: str, shape: tuple[tuple[str, str], ...], order: str, limited: bool) -> Statement:
    parts = [
        _COMPARISONS[comparison].format(column=column, name=f"v{number}")
        for number, (column, comparison) in enumerate(shape)
    ]
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    return sql(f"{select}{where} ORDER BY {order}{' LIMIT :most' if limited else ''}")


def selection(
    select: str, conditions: Sequence[Condition], order: str, most: int | None = None
) -> tuple[Statement, Mapping[str, Any]]:
    """The statement and its values; `select` and `order` are constants of the store, never a caller's words."""
    shape = tuple((each.column, each.comparison) for each in conditions)
    values = {f"v{number}": each.value for number, each in enumerate(conditions)}
    if most is not None:
        values["most"] = most
    return _statement(select, shape, order, most is not None), values
