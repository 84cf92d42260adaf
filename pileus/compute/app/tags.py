"""The tags of a server: short words that lists are filtered by."""

from collections.abc import Sequence

from pileus.compute.app.servers import change, get
from pileus.compute.domain.errors import TagNotFound
from pileus.compute.domain.server import Server, changed
from pileus.compute.domain.server_states import Action, check
from pileus.compute.service import Compute
from pileus.foundation.context import Context
from pileus.foundation.errors import BadRequest

MOST = 50


class TooManyTags(BadRequest):
    code = "compute.tag.too-many"
    message = "The number of tags exceeded the per-server limit {limit}"


async def replace_all(compute: Compute, context: Context, server_id: str, tags: Sequence[str]) -> Server:
    """Have these tags and no others. Raises: TooManyTags (400)."""
    return await _set(compute, context, server_id, tuple(sorted(set(tags))))


async def add(compute: Compute, context: Context, server_id: str, tag: str) -> bool:
    """Have the tag too, and tell whether it is new. Raises: TooManyTags (400)."""
    server = await get(compute, context, server_id)
    if tag in server.tags:
        return False
    await change(compute, context, server_id, lambda found: _with(compute, found, (*found.tags, tag)))
    return True


async def remove(compute: Compute, context: Context, server_id: str, tag: str) -> None:
    """Raises: TagNotFound (404)."""

    def decide(server: Server) -> Server:
        if tag not in server.tags:
            raise TagNotFound(server_id=server_id, tag=tag)
        return _with(compute, server, tuple(one for one in server.tags if one != tag))

    await change(compute, context, server_id, decide)


async def _set(compute: Compute, context: Context, server_id: str, tags: tuple[str, ...]) -> Server:
    return await change(compute, context, server_id, lambda server: _with(compute, server, tags))


def _with(compute: Compute, server: Server, tags: tuple[str, ...]) -> Server:
    check(server, Action.SET_TAGS)
    if len(set(tags)) > MOST:
        raise TooManyTags(limit=MOST)
    return changed(server, compute.runtime.now(), tags=tuple(dict.fromkeys(tags)))
