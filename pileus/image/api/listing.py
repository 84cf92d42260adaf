"""A query string as the page of images it asks for."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pileus.foundation.http.request import Request
from pileus.image.domain.errors import BadFilter
from pileus.image.domain.listing import SORT_KEYS, Filter, Listing
from pileus.image.service import ImageService

_TEXTS = frozenset({"owner", "checksum", "os_hash_algo", "os_hash_value"})
_LISTS = frozenset({"name", "id", "status", "container_format", "disk_format"})
_NUMBERS = frozenset({"size", "virtual_size", "min_disk", "min_ram"})
_TIMES = frozenset({"created_at", "updated_at"})
_FLAGS = frozenset({"os_hidden", "protected"})
_TIME_OPERATORS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte"})
_OPERATORS = _TIME_OPERATORS | {"in"}
_NO_FILTERS = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "tag"})
_MOST = 2**63 - 1


def read(request: Request[ImageService]) -> Listing:
    """What a request's query asks for. Raises: BadFilter (400)."""
    settings, query = request.service.settings, request.query
    limit = int(request.first("limit") or settings.page_default)
    filters = [one for name in query if name not in _NO_FILTERS for one in _filters(name, query[name][-1])]
    if "os_hidden" not in query:
        filters.append(Filter("os_hidden", "eq", (0,)))
    return Listing(
        project_id=request.context.project_id,
        everything=request.context.is_admin,
        visibility=request.first("visibility") or "",
        member_status=request.first("member_status") or "accepted",
        tags=tuple(tag.strip() for tag in query.get("tag", ())),
        filters=tuple(filters),
        order=_order(query),
        marker=request.first("marker") or "",
        limit=min(limit, settings.page_most),
    )


def links(request: Request[Any], next_marker: str | None) -> dict[str, str]:
    """Where the listing begins, and where it goes on."""
    pairs = [(name, value) for name, values in request.query.items() if name != "marker" for value in values]
    first = f"/v2/images?{urlencode(pairs)}" if pairs else "/v2/images"
    found = {"first": first, "schema": "/v2/schemas/images"}
    if next_marker is not None:
        found["next"] = f"/v2/images?{urlencode([*pairs, ('marker', next_marker)])}"
    return found


def _order(query: dict[str, list[str]]) -> tuple[tuple[str, bool], ...]:
    """Name and whether it falls, for each part of the order; by default the newest first."""
    if "sort" in query:
        if "sort_key" in query or "sort_dir" in query:
            raise BadFilter("Old and new sorting syntax cannot be combined")
        return tuple(_sort_word(word) for word in query["sort"][0].split(","))
    keys, directions = query.get("sort_key", ["created_at"]), query.get("sort_dir", ["desc"])
    if len(directions) == 1:
        directions = directions * len(keys)
    if len(directions) != len(keys):
        raise BadFilter("Number of sort dirs does not match the number of sort keys")
    return _once(tuple(zip(keys, (each == "desc" for each in directions), strict=True)))


def _sort_word(word: str) -> tuple[str, bool]:
    key, _, direction = (part.strip() for part in word.partition(":"))
    if key not in SORT_KEYS:
        raise BadFilter(f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}.")
    if direction not in ("", "asc", "desc"):
        raise BadFilter(f"Invalid sort direction: {direction}")
    return key, direction != "asc"


def _once(order: tuple[tuple[str, bool], ...]) -> tuple[tuple[str, bool], ...]:
    """The order with each key at its first place only."""
    return tuple(dict(reversed(order)).items())[::-1] if len({key for key, _ in order}) < len(order) else order


def _filters(name: str, value: str) -> Iterator[Filter]:
    if "\0" in name or "\0" in value:
        raise BadFilter(f"The filter {name!r} contains a NUL character.")
    if name == "changes-since":
        raise BadFilter('The "changes-since" filter is no longer available on v2.')
    stem = name[:-4]
    if name in _FLAGS:
        yield Filter(name, "eq", (int(value.lower() == "true"),))
    elif name in _LISTS:
        yield _word(name, value)
    elif name in _NUMBERS:
        yield Filter(name, "eq", (_number(name, value),))
    elif name.endswith(("_min", "_max")) and stem in _NUMBERS:
        yield Filter(stem, name[-3:], (_number(name, value),))
    elif name in _TIMES:
        yield from _time(name, value)
    else:
        yield Filter(name, "eq", (value,))


def _split(value: str) -> tuple[str, str]:
    operator, colon, rest = value.partition(":")
    return (operator, rest) if colon and operator in _OPERATORS else ("eq", value)


def _word(name: str, value: str) -> Filter:
    operator, rest = _split(value)
    if operator == "eq":
        return Filter(name, "eq", (rest,))
    if operator != "in":
        raise BadFilter(f"Unable to filter by unknown operator '{operator}'.")
    try:
        values = next(csv.reader([rest], strict=True), [])
    except csv.Error as broken:
        raise BadFilter(f"Invalid filter value {rest}. There is no comma after closing quotation mark.") from broken
    return Filter(name, "in", tuple(values))


def _number(name: str, value: str) -> int:
    try:
        number = int(value)
    except ValueError as text:
        raise BadFilter(f"Unable to filter {name} on a range with a non-numeric value.") from text
    return max(-_MOST, min(number, _MOST))


def _time(name: str, value: str) -> Iterator[Filter]:
    """A comparison of times as they are shown: in whole seconds, unless the filter is finer."""
    operator, rest = _split(value)
    try:
        moment = datetime.fromisoformat(rest)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        first = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as broken:
        raise BadFilter(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.') from broken
    if operator == "in":
        raise BadFilter(f"Unable to filter by unknown operator '{operator}'.")
    after = first + (1 if moment.microsecond else 1_000_000)
    if operator in ("eq", "gte"):
        yield Filter(name, "gte", (first,))
    if operator in ("eq", "lte"):
        yield Filter(name, "lt", (after,))
    if operator == "gt":
        yield Filter(name, "gte", (after,))
    if operator in ("lt", "neq"):
        yield Filter(name, operator, (first,))
