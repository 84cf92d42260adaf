"""What all lists of identity share: filters, pages, links."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer
from pileus.identity.domain.errors import MissingMarker
from pileus.identity.domain.filters import AFTER, CONTAINS, ENDSWITH, EXACT, STARTSWITH, Condition
from pileus.identity.domain.project import name_key


class HasId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=HasId)
Find = Callable[[Sequence[Condition], int | None], Awaitable[Sequence[T]]]

TRUE = frozenset({"True", "TRUE", "true", "1", "y", "Y", "on", "ON", "yes", "YES", "Yes", "On", ""})
FALSE = frozenset({"False", "FALSE", "false", "0", "n", "N", "off", "OFF", "no", "NO", "No", "Off"})
_COMPARISONS = {"": EXACT, "contains": CONTAINS, "startswith": STARTSWITH, "endswith": ENDSWITH}


def flag(request: Request[Any], name: str) -> bool:
    """Whether a query parameter is there and does not say no: `?effective`, `?effective=true`."""
    value = request.first(name)
    return value is not None and value not in FALSE


def read_filters(
    request: Request[Any], exact: Mapping[str, str], *, names: bool = False, switches: Sequence[str] = ()
) -> list[Condition]:
    """The conditions a query string holds. `exact` maps parameters to columns; `names` adds name and its variants.

    Raises: BadRequest for a switch that is neither true nor false.
    """
    found = [Condition(column, value) for name, column in exact.items() if (value := request.first(name)) is not None]
    for name in switches:
        value = request.first(name)
        if value is not None:
            found.append(Condition(name, int(_as_bool(name, value))))
    if names:
        found += _name_filters(request)
    return found


def _as_bool(name: str, value: str) -> bool:
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    known = ", ".join(repr(word) for word in sorted(TRUE | FALSE))
    raise BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. {value!r} is not one of [{known}]")


def _name_filters(request: Request[Any]) -> list[Condition]:
    found = []
    for parameter in request.query:
        word, _, comparison = parameter.partition("__")
        if word != "name" or not (value := request.first(parameter)):
            continue
        if not comparison:
            found.append(Condition("name_key", name_key(value)))
        elif comparison in _COMPARISONS:
            found.append(Condition("name", value, _COMPARISONS[comparison]))
        elif comparison[0] == "i" and comparison[1:] in _COMPARISONS:
            found.append(Condition("name_key", name_key(value), _COMPARISONS[comparison[1:]]))
    return found


async def paged(
    request: Request[Any],
    conditions: list[Condition],
    find: "Find[T]",
    exists: Callable[[str], Awaitable[bool]],
) -> tuple[Sequence[T], str]:
    """One page of a list ordered by id, and the marker of the next page, if there is one.

    Raises: BadRequest for a limit that is no number, MissingMarker (404).
    """
    limit = _limit(request)
    marker = request.first("marker")
    if marker is not None:
        if not await exists(marker):
            raise MissingMarker(marker=marker)
        conditions = [*conditions, Condition("id", marker, AFTER)]
    found = await find(conditions, None if limit is None else limit + 1)
    if limit is None or len(found) <= limit:
        return found, ""
    return found[:limit], found[limit - 1].id


def _limit(request: Request[Any]) -> int | None:
    text = request.first("limit")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"Invalid input for field/attribute limit. Value: {text}. {text!r} is not a number")
    return int(text) or None


def collection(request: Request[Any], key: str, items: Sequence[Any], marker: str = "", **beside: Any) -> Response:
    """The answer that holds a list, with links to itself and to the next page."""
    here = request.href(request.path)
    itself = f"{here}?{request.query_string}" if request.query_string else here
    document: dict[str, Any] = {key: items, "links": {"next": None, "self": itself, "previous": None}, **beside}
    if marker:
        rest = {name: values for name, values in request.query.items() if name != "marker"}
        document["links"]["next"] = f"{here}?{urlencode(rest | {'marker': [marker]}, doseq=True)}"
        document["truncated"] = True
    return answer(document)
