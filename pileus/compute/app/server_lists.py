"""Lists of servers: pages of rows from the database, patterns looked for here."""

from collections.abc import Callable

from msgspec.structs import replace

from pileus.compute.domain.server_query import Listed, ServerQuery, admits, texts_of
from pileus.compute.service import Compute
from pileus.compute.store import server_lists
from pileus.compute.store.server_lists import MarkerNotFound, Place
from pileus.foundation.patterns import searcher

BATCH = 500
"""Rows read at once while patterns leave most of them out."""

Fits = Callable[[Listed], bool]


async def listed(compute: Compute, query: ServerQuery) -> list[Listed]:
    """One page of what the query asks for: living servers first, then deleted ones if they are wanted.

    Raises: MarkerNotFound, BadPattern (400).
    """
    if query.config_drive is not None:
        query = replace(query, form="whole")
    fits = _fits(query)
    found: list[Listed] = []
    place: Place | None = None
    if query.marker is not None and query.deleted != "no":
        place = await server_lists.find_place(compute.database, query, query.marker)
    if place is None and query.deleted != "only":
        found = await _living(compute, query, fits)
    if query.deleted != "no" and len(found) < query.limit:
        if place is None and query.deleted == "only" and query.marker is not None:
            raise MarkerNotFound(marker=query.marker)
        found += await _buried(compute, query, fits, place or server_lists.NEWEST, query.limit - len(found))
    return found


async def _living(compute: Compute, query: ServerQuery, fits: Fits | None) -> list[Listed]:
    if fits is None:
        return await server_lists.page(compute.database, query, limit=query.limit, marker=query.marker)
    found: list[Listed] = []
    marker, more = query.marker, True
    while more and len(found) < query.limit:
        rows = await server_lists.page(compute.database, query, limit=BATCH, marker=marker)
        found += filter(fits, rows)
        more = len(rows) == BATCH
        if more:
            marker = rows[-1].id
            await compute.runtime.sleep(0)  # others want to be served between two batches
    return found[: query.limit]


async def _buried(compute: Compute, query: ServerQuery, fits: Fits | None, after: Place, limit: int) -> list[Listed]:
    found: list[Listed] = []
    more = True
    while more and len(found) < limit:
        rows = await server_lists.deleted_page(compute.database, query, after=after, limit=BATCH)
        found += [row for row in rows if admits(query, row.server()) and (fits is None or fits(row))]
        more = len(rows) == BATCH
        if more:
            after = Place(rows[-1].server().deleted_at or 0, rows[-1].id)
            await compute.runtime.sleep(0)
    return found[:limit]


def _fits(query: ServerQuery) -> Fits | None:
    """What only a look at each row can tell; None when the database tells it all."""
    if not query.patterns and query.config_drive is None:
        return None
    patterns = [(name, searcher(pattern)) for name, pattern in query.patterns]

    def fits(row: Listed) -> bool:
        if query.config_drive is not None and row.server().config_drive != query.config_drive:
            return False
        return all(
            any(
                found(text)
                for text in texts_of(name, server_name=row.name, hostname=row.hostname, addresses=row.addresses)
            )
            for name, found in patterns
        )

    return fits
