"""Answers with one thing or many of a kind: what the caller may see of them, as much as was asked for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from pileus.foundation.http.request import JSON, Response
from pileus.network.api import access, query
from pileus.network.api.access import Call
from pileus.network.api.kinds import Kind
from pileus.network.app import listing

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Joined = Callable[[Call, Sequence[Any], list[str]], Awaitable[list[str]]]
"""Adds to documents what their rows do not hold."""


class Shown(NamedTuple):
    """A row with what its caller sees of it."""

    row: Any
    text: str


def one(kind: Kind, request: Call, value: msgspec.Struct, target: access.Target, status: int = 200) -> Response:
    """The answer with one thing."""
    return one_text(kind, request, kind.shown(request, value, target), status)


def one_text(kind: Kind, request: Call, text: str, status: int = 200) -> Response:
    """The answer with one thing that is rendered already, cut to the fields that were asked for."""
    if request.method == "GET" and request.query_string:
        fields = frozenset(name for name in request.query.get("fields", ()) if name)
        if fields:
            text = _only(text, fields)
    return _json(f'{{"{kind.one}":{text}}}', status)


def created(kind: Kind, texts: Sequence[str], is_bulk: bool) -> Response:
    """The answer to a create: one thing, or as many as were asked for."""
    if is_bulk:
        return _json(f'{{"{kind.many}":[{",".join(texts)}]}}', 201)
    return _json(f'{{"{kind.one}":{texts[0]}}}', 201)


def _json(text: str, status: int) -> Response:
    return Response(status, text.encode(), None, JSON)


def _only(text: str, fields: frozenset[str]) -> str:
    document = _decode(text)
    return _encode({name: document[name] for name in document if name in fields}).decode()


# -- lists --------------------------------------------------------------------------------------------------------
async def many(kind: Kind, request: Call, joined: Joined | None = None) -> Response:
    """The answer to a list."""
    wanted = query.read(kind, request.query)
    sees_all = access.may_see(request, f"get_{kind.one}", {})
    page, is_full = await _page(kind, request, wanted, None if sees_all else request.context.project_id)
    texts = [shown.text for shown in page]
    if joined is not None and texts:
        texts = await joined(request, [shown.row for shown in page], texts)
    if wanted.fields:
        texts = [_only(text, wanted.fields) for text in texts]
    links = _links(kind, request, wanted, page, is_full) if wanted.limit else ""
    return _json(f'{{"{kind.many}":[{",".join(texts)}]{links}}}', 200)


async def _page(kind: Kind, request: Call, wanted: query.Listing, project_id: str | None) -> tuple[list[Shown], bool]:
    """The rows of the page, and whether it is as full as it may be."""
    if wanted.marker:
        await _check_marker(kind, request, wanted.marker, project_id)
    paged = wanted.is_in_order
    rows = await listing.rows(
        request.service,
        kind.table,
        listing.Wanted(
            project_id,
            equal=wanted.equal,
            flags=wanted.flags,
            addresses=wanted.addresses,
            subnets=wanted.subnets,
            groups=wanted.groups,
            after=wanted.marker if paged else "",
            limit=wanted.limit if paged else 0,
            backwards=wanted.backwards if paged else False,
        ),
    )
    shown = _visible(kind, request, rows)
    if not paged:
        shown = _cut_page(_sorted(_tested(shown, wanted), wanted), wanted)
    return shown, len(rows if paged else shown) >= wanted.limit > 0


async def _check_marker(kind: Kind, request: Call, marker: str, project_id: str | None) -> None:
    one_row = listing.Wanted(project_id, equal={"id": [marker]}, limit=1)
    if not await listing.rows(request.service, kind.table, one_row):
        raise kind.not_found(id=marker)


def _visible(kind: Kind, request: Call, rows: Sequence[Any]) -> list[Shown]:
    """What policy lets the caller see; asked once for all rows that are alike to it."""
    rule = f"get_{kind.one}"
    known: dict[tuple[Any, ...], tuple[str, ...] | None] = {}
    found: list[Shown] = []
    for row in rows:
        key = tuple([row[column] for column in kind.target_columns])
        if key not in known:
            target = kind.target(row)
            known[key] = kind.denied(request, target) if request.may(rule, target) else None
        denied = known[key]
        if denied is not None:
            found.append(Shown(row, kind.without(row["document"], denied)))
    return found


def _tested(shown: Sequence[Shown], wanted: query.Listing) -> list[tuple[Shown, Mapping[str, Any]]]:
    pairs = [(item, _decode(item.text)) for item in shown]
    return [pair for pair in pairs if all(test(pair[1]) for test in wanted.tests)]


def _sorted(pairs: Sequence[tuple[Shown, Mapping[str, Any]]], wanted: query.Listing) -> list[Shown]:
    ordered = sorted(pairs, key=lambda pair: str(pair[0].row["id"]))
    for key, ascending in reversed(wanted.sorts):
        ordered.sort(key=lambda pair: _rank(pair[1].get(key)), reverse=not ascending)
    return [shown for shown, _ in ordered]


def _rank(value: Any) -> tuple[int, Any]:
    """Order among values of one attribute: nothing first."""
    return (0, 0) if value is None else (1, value)


def _cut_page(shown: list[Shown], wanted: query.Listing) -> list[Shown]:
    if not wanted.limit:
        return shown
    at = next((n for n, item in enumerate(shown) if item.row["id"] == wanted.marker), None)
    if wanted.backwards:
        end = len(shown) if at is None else at
        return shown[max(0, end - wanted.limit) : end]
    start = 0 if at is None else at + 1
    return shown[start : start + wanted.limit]


# -- links --------------------------------------------------------------------------------------------------------
def _links(kind: Kind, request: Call, wanted: query.Listing, page: Sequence[Shown], is_full: bool) -> str:
    """The next and the previous page.

    Source: Networking API reference, "Pagination"; the reference implementation's conditions.
    """
    pairs = [
        (key, value)
        for key, value in parse_qsl(request.query_string, keep_blank_values=True)
        if key not in ("marker", "page_reverse")
    ]
    links = []
    if is_full or wanted.backwards:
        links.append({"rel": "next", "href": _href(request, pairs, page[-1].row["id"] if page else "")})
    if is_full or not wanted.backwards:
        before = [*pairs, ("page_reverse", "True")]
        links.append({"rel": "previous", "href": _href(request, before, page[0].row["id"] if page else "")})
    return f',"{kind.many}_links":{_encode(links).decode()}'


def _href(request: Call, pairs: Sequence[tuple[str, str]], marker: str) -> str:
    marked = [*pairs, ("marker", marker)] if marker else pairs
    return f"{request.base_url}{request.path}?{urlencode(marked)}"
