"""Reads the providers that a request for candidates may concern: a few statements, however many there are.

Where few providers have enough of some class, only their trees are read; otherwise everything is, since that is
cheaper than naming them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pileus.foundation.database import Database, sql
from pileus.placement.domain.candidates import Node
from pileus.placement.domain.trait import SHARES

MANY = 500

_ABLE = sql("SELECT COUNT(*) AS able FROM placement_inventories WHERE class = :class AND used + :amount <= capacity")
_ROOTS = sql(
    "SELECT p.root FROM placement_inventories i JOIN placement_providers p ON p.uuid = i.provider "
    "WHERE i.class = :class AND i.used + :amount <= i.capacity"
)
_ROOT = sql("SELECT root FROM placement_providers WHERE uuid = :uuid")
_SHARING = sql(
    "SELECT DISTINCT p.root FROM placement_provider_traits t JOIN placement_providers p ON p.uuid = t.provider "
    "WHERE t.trait = :trait"
)
_PROVIDERS = "SELECT uuid, parent, root, traits FROM placement_providers"
_STOCK = "SELECT provider, class, capacity, used, min_unit, max_unit, step_size FROM placement_inventories"
_AGGREGATES = "SELECT provider, aggregate FROM placement_provider_aggregates"
_OF_ROOTS = " WHERE root IN :roots*"
_OF_THEIRS = " WHERE provider IN (SELECT uuid FROM placement_providers WHERE root IN :roots*)"
_ORDER = " ORDER BY root, uuid"

_ALL = (sql(_PROVIDERS + _ORDER), sql(_STOCK), sql(_AGGREGATES))
_SOME = (sql(_PROVIDERS + _OF_ROOTS + _ORDER), sql(_STOCK + _OF_THEIRS), sql(_AGGREGATES + _OF_THEIRS))

_decode = msgspec.json.Decoder(list[str]).decode


async def read(
    database: Database, resources: Mapping[str, int], trees: Iterable[str], *, with_aggregates: bool
) -> tuple[list[Node], dict[str, str]]:
    """The providers of every tree that may have enough of each class, and the traits of each as JSON text.

    `resources` are the least amounts wanted, `trees` name providers outside of whose trees nothing is wanted. Where
    providers share, every tree may get what it lacks from them. With `with_aggregates`, or where providers share,
    nodes know their aggregates.
    """
    shared = {row["root"] for row in await database.all(_SHARING, trait=SHARES)}
    roots = await _roots(database, {} if shared else resources, trees)
    values: dict[str, Any] = {} if roots is None else {"roots": sorted(roots | shared)}
    providers, stock, aggregates = _ALL if roots is None else _SOME
    nodes, texts = _nodes(await database.all(providers, **values))
    for row in await database.all(stock, **values):
        node = nodes.get(row[0])
        if node is not None:
            node.stock[row[1]] = row[2:]
    if with_aggregates or shared:
        _add_aggregates(nodes, await database.all(aggregates, **values))
    return list(nodes.values()), texts


async def _roots(database: Database, resources: Mapping[str, int], trees: Iterable[str]) -> set[str] | None:
    """The tops of the trees that may do; None for all."""
    rows = [await database.one(_ROOT, uuid=uuid) for uuid in trees]
    if rows:
        return {row["root"] for row in rows if row is not None}
    scarcest, fewest = None, MANY + 1
    for name, amount in resources.items():
        row = await database.one(_ABLE, **{"class": name, "amount": amount})
        if row is not None and row["able"] < fewest:
            scarcest, fewest = (name, amount), row["able"]
    if scarcest is None:
        return None
    able = await database.all(_ROOTS, **{"class": scarcest[0], "amount": scarcest[1]})
    return {row["root"] for row in able}


def _nodes(rows: Iterable[Any]) -> tuple[dict[str, Node], dict[str, str]]:
    nodes: dict[str, Node] = {}
    texts: dict[str, str] = {}
    known: dict[str, frozenset[str]] = {}  # most providers have the traits of many others
    for uuid, parent, root, text in rows:
        traits = known.get(text)
        if traits is None:
            traits = known[text] = frozenset(_decode(text))
        nodes[uuid] = Node(uuid, parent, root, traits)
        texts[uuid] = text
    return nodes, texts


def _add_aggregates(nodes: Mapping[str, Node], rows: Iterable[Any]) -> None:
    found: dict[str, set[str]] = {}
    for provider, aggregate in rows:
        found.setdefault(provider, set()).add(aggregate)
    for provider, names in found.items():
        if provider in nodes:
            nodes[provider].aggregates = frozenset(names)
