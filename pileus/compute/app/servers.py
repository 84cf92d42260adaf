"""Servers: reading them, and the changes that need no host."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from pileus.compute.domain.errors import ServerNotFound
from pileus.compute.domain.launch import check_hostname
from pileus.compute.domain.server import Server, changed, lock, unlock
from pileus.compute.domain.server_actions import EVENTS
from pileus.compute.domain.server_query import Form, Listed
from pileus.compute.domain.server_states import Action, VmState, begin, check, finish
from pileus.compute.flows.saving import record_action, save_in
from pileus.compute.service import Compute
from pileus.compute.store import actions, server_groups, server_lists, servers
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Conflict


class OtherZone(Conflict):
    """A server cannot be pinned to a zone in which it is not."""

    code = "compute.server.other-zone"
    message = "Server {server_id} is in availability zone '{current}' and cannot be pinned to '{wanted}'."


def sees(context: Context, project_id: str) -> bool:
    """Whether the caller may know that something of this project exists."""
    return context.project_id == project_id or context.is_admin


async def read(compute: Compute, context: Context, server_id: str, form: Form) -> Listed:
    """The server as its row has it, in the form that is wanted. Raises: ServerNotFound (404)."""
    row = await server_lists.find(compute.database, server_id, form)
    if row is None or not sees(context, row.project_id):
        raise ServerNotFound(server_id=server_id)
    return row


async def get(compute: Compute, context: Context, server_id: str) -> Server:
    """Raises: ServerNotFound (404), for another project's server too."""
    found = await servers.find(compute.database, server_id)
    if found is None or not sees(context, found.project_id):
        raise ServerNotFound(server_id=server_id)
    return found


async def get_even_deleted(compute: Compute, context: Context, server_id: str) -> Server:
    """The server, or what history has of it. Raises: ServerNotFound (404)."""
    found = await servers.find(compute.database, server_id) or await servers.find_deleted(compute.database, server_id)
    if found is None or not sees(context, found.project_id):
        raise ServerNotFound(server_id=server_id)
    return found


async def groups_of(compute: Compute, group_id: str | None) -> list[str]:
    """The server group, if it still exists, as the API's list of groups."""
    if group_id is None:
        return []
    return [group_id] if await server_groups.find(compute.database, group_id) is not None else []


async def change(
    compute: Compute,
    context: Context,
    server_id: str,
    decide: Callable[[Server], Server],
    action: Action | None = None,
) -> Server:
    """Save what `decide` makes of the server as it is now; `action` is recorded among the server's actions.

    Raises: ServerNotFound (404), ConcurrentChange (409) when others were faster again and again; what `decide` raises.
    """

    async def work(tx: Transaction) -> Server:
        saved = await save_in(tx, compute, server_id, lambda found: decide(_seen(context, found)))
        if saved is None:
            raise ServerNotFound(server_id=server_id)
        if action is not None:
            await record_action(tx, compute, context, saved, action, "")
            now = compute.runtime.now()
            await actions.end_event(tx, saved.id, context.request_id, EVENTS[action], now=now)
        return saved

    return await compute.database.transact(work)


def _seen(context: Context, server: Server) -> Server:
    if not sees(context, server.project_id):
        raise ServerNotFound(server_id=server.id)
    return server


class ServerChanges(Struct, frozen=True, kw_only=True):
    """PUT /servers/{id} in the newest shape; what is unset stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    hostname: str | UnsetType = UNSET
    access_ip_v4: str | UnsetType = UNSET
    access_ip_v6: str | UnsetType = UNSET
    disk_config: str | UnsetType = UNSET
    pinned_availability_zone: str | UnsetType | None = UNSET


async def update(compute: Compute, context: Context, server_id: str, changes: ServerChanges) -> Server:
    """Change what a server is called and how it is reached.

    Raises: HostnameInvalid (400), OtherZone (409).
    Source: Compute API reference, "Update Server".
    """
    facts = {name: value for name in changes.__struct_fields__ if (value := getattr(changes, name)) is not UNSET}
    if "hostname" in facts:
        check_hostname(facts["hostname"])

    def decide(server: Server) -> Server:
        check(server, Action.UPDATE)
        _check_pin(server, facts)
        return changed(server, compute.runtime.now(), **facts) if facts else server

    return await change(compute, context, server_id, decide)


def _check_pin(server: Server, facts: dict[str, Any]) -> None:
    wanted = facts.get("pinned_availability_zone")
    if wanted is not None and wanted != server.availability_zone:
        raise OtherZone(server_id=server.id, current=server.availability_zone, wanted=wanted)


async def lock_server(compute: Compute, context: Context, server_id: str, reason: str | None) -> Server:
    """Refuse further actions on the server to its owner, or, when somebody else locks it, to all but administrators."""

    def decide(server: Server) -> Server:
        by_admin = context.project_id != server.project_id
        if server.is_locked and not by_admin:
            return server
        return lock(server, compute.runtime.now(), by_admin=by_admin, reason=reason)

    return await change(compute, context, server_id, decide, Action.LOCK)


async def unlock_server(compute: Compute, context: Context, server_id: str, *, may_override: bool) -> Server:
    """Raises: UnlockForbidden (403) for an administrator's lock unless the caller may override it."""

    def decide(server: Server) -> Server:
        return unlock(server, compute.runtime.now(), may_override=may_override) if server.is_locked else server

    return await change(compute, context, server_id, decide, Action.UNLOCK)


async def reset_state(compute: Compute, context: Context, server_id: str, end: VmState) -> Server:
    """Have the server in ERROR or ACTIVE, with nothing in flight; what was in flight finds itself superseded."""

    def decide(server: Server) -> Server:
        now = compute.runtime.now()
        return finish(begin(server, Action.RESET_STATE, now), Action.RESET_STATE, now, ends_in=end)

    return await change(compute, context, server_id, decide, Action.RESET_STATE)
