"""The metadata of a server: texts by name, that its owner keeps with it."""

from collections.abc import Mapping

from pileus.compute.app.servers import change
from pileus.compute.domain import quota
from pileus.compute.domain.errors import MetadataItemNotFound
from pileus.compute.domain.server import Server, changed
from pileus.compute.domain.server_states import Action, check
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import quotas
from pileus.foundation.context import Context


async def merge(compute: Compute, context: Context, server_id: str, items: Mapping[str, str]) -> Server:
    """Add items and change those that are there. Raises: MetadataQuotaExceeded (403), Locked, WrongState (409)."""
    return await _set(compute, context, server_id, items, keep=True)


async def replace_all(compute: Compute, context: Context, server_id: str, items: Mapping[str, str]) -> Server:
    """Have these items and no others. Raises: MetadataQuotaExceeded (403), Locked, WrongState (409)."""
    return await _set(compute, context, server_id, items, keep=False)


async def delete_item(compute: Compute, context: Context, server_id: str, key: str) -> None:
    """Raises: MetadataItemNotFound (404), Locked, WrongState (409)."""

    def decide(server: Server) -> Server:
        if key not in server.metadata:
            raise MetadataItemNotFound
        check(server, Action.DELETE_METADATA, may_override_lock=context.is_admin)
        left = {name: value for name, value in server.metadata.items() if name != key}
        return changed(server, compute.runtime.now(), metadata=left)

    tell_host(compute, await change(compute, context, server_id, decide))


def tell_host(compute: Compute, server: Server) -> None:
    """Nudge the server's host: guests read the metadata there, and a hypervisor may follow it."""
    if server.host is not None:
        args = {"server_id": server.id, "metadata": server.metadata}
        compute.bus.cast(host_topic(server.host), "metadata", args)


async def _set(compute: Compute, context: Context, server_id: str, items: Mapping[str, str], *, keep: bool) -> Server:
    limits = await quotas.limits(compute.database, context.project_id)

    def decide(server: Server) -> Server:
        check(server, Action.SET_METADATA, may_override_lock=context.is_admin)
        found = {**server.metadata, **items} if keep else dict(items)
        quota.check(limits, {}, {"metadata_items": len(found)})
        return changed(server, compute.runtime.now(), metadata=found)

    server = await change(compute, context, server_id, decide)
    tell_host(compute, server)
    return server
