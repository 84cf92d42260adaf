"""What was done with each server, and by whom: the instance actions of the API, with the events of their flows."""

from typing import Any

from pileus.compute.domain.instance_action import ServerAction, ServerEvent
from pileus.compute.domain.server import Server
from pileus.foundation.context import Context
from pileus.foundation.database import Database, Transaction, sql

_COLUMNS = "server_id, request_id, action, project_id, user_id, flow_id, message, started_at, updated_at"
_EVENT_COLUMNS = "name, host, result, details, started_at, ended_at"
_RECORD = sql(
    f"INSERT INTO compute_server_actions ({_COLUMNS}) VALUES "
    "(:server_id, :request_id, :action, :project_id, :user_id, :flow_id, NULL, :now, :now) "
    "ON CONFLICT (server_id, request_id) DO NOTHING"
)
_BEGIN = sql(
    f"INSERT INTO compute_server_events (server_id, request_id, {_EVENT_COLUMNS}) "
    "VALUES (:server_id, :request_id, :name, :host, NULL, NULL, :now, NULL) "
    "ON CONFLICT (server_id, request_id, name) DO NOTHING"
)
_END = sql(
    "UPDATE compute_server_events SET result = :result, details = :details, ended_at = :now, "
    "host = COALESCE(:host, host, (SELECT host FROM compute_servers WHERE id = :server_id)) "
    "WHERE server_id = :server_id AND request_id = :request_id AND name = :name"
)
_TOUCH = sql(
    "UPDATE compute_server_actions SET updated_at = :now, message = COALESCE(:message, message) "
    "WHERE server_id = :server_id AND request_id = :request_id"
)
_FIND = sql(f"SELECT {_COLUMNS} FROM compute_server_actions WHERE server_id = :server_id AND request_id = :request_id")
_EVENTS = sql(
    f"SELECT {_EVENT_COLUMNS} FROM compute_server_events WHERE server_id = :server_id AND request_id = :request_id "
    "ORDER BY started_at DESC, name DESC"
)
_LISTED = sql(
    f"SELECT {_COLUMNS} FROM compute_server_actions WHERE server_id = :server_id "
    "AND updated_at >= :since AND updated_at <= :before "
    "AND (started_at < :at OR (started_at = :at AND request_id < :marker)) "
    "ORDER BY started_at DESC, request_id DESC LIMIT :limit"
)
_OF_FLOW = sql(f"SELECT {_COLUMNS} FROM compute_server_actions WHERE flow_id = :flow_id")
_FORGET_EVENTS = sql("DELETE FROM compute_server_events WHERE server_id = :server_id")
_FORGET_ACTIONS = sql("DELETE FROM compute_server_actions WHERE server_id = :server_id")
_END_OF_TIME = 1 << 62


def _action(row: Any) -> ServerAction:
    return ServerAction(
        server_id=row["server_id"], request_id=row["request_id"], action=row["action"], project_id=row["project_id"],
        user_id=row["user_id"], flow_id=row["flow_id"], message=row["message"], started_at=row["started_at"],
        updated_at=row["updated_at"],
    )  # fmt: skip


def _event(row: Any) -> ServerEvent:
    return ServerEvent(
        name=row["name"], host=row["host"], result=row["result"], details=row["details"],
        started_at=row["started_at"], ended_at=row["ended_at"],
    )  # fmt: skip


async def record(tx: Transaction, server: Server, context: Context, action: str, flow_id: str, *, now: int) -> None:
    """Write down that this request began `action` (a word of the API: "create", "stop", "rebuild" ...).

    `flow_id` is empty when nothing goes on after the answer. A second record of one request changes nothing.
    """
    await tx.run(
        _RECORD, server_id=server.id, request_id=context.request_id, action=action, project_id=context.project_id,
        user_id=context.user_id, flow_id=flow_id, now=now,
    )  # fmt: skip


async def begin_event(
    tx: Transaction, server_id: str, request_id: str, name: str, *, host: str | None, now: int
) -> None:
    """Write down that a piece of the action's work began; repeated, the first stands."""
    await tx.run(_BEGIN, server_id=server_id, request_id=request_id, name=name, host=host, now=now)
    await tx.run(_TOUCH, server_id=server_id, request_id=request_id, message=None, now=now)


async def end_event(
    tx: Transaction,
    server_id: str,
    request_id: str,
    name: str,
    *,
    now: int,
    host: str | None = None,
    error: str | None = None,
) -> None:
    """Write down how the piece of work ended; `error` is a text for users, and marks the action as failed."""
    await tx.run(
        _END, server_id=server_id, request_id=request_id, name=name, host=host, now=now, details=error,
        result="Success" if error is None else "Error",
    )  # fmt: skip
    message = None if error is None else "Error"
    await tx.run(_TOUCH, server_id=server_id, request_id=request_id, message=message, now=now)


async def find(reader: Database | Transaction, server_id: str, request_id: str) -> ServerAction | None:
    row = await reader.one(_FIND, server_id=server_id, request_id=request_id)
    return None if row is None else _action(row)


async def of_flow(reader: Database | Transaction, flow_id: str) -> ServerAction | None:
    """The action whose work the flow does."""
    row = await reader.one(_OF_FLOW, flow_id=flow_id)
    return None if row is None else _action(row)


async def events(reader: Database | Transaction, server_id: str, request_id: str) -> list[ServerEvent]:
    """The action's events, the newest first."""
    return [_event(row) for row in await reader.all(_EVENTS, server_id=server_id, request_id=request_id)]


async def listed(
    reader: Database,
    server_id: str,
    *,
    since: int | None = None,
    before: int | None = None,
    after: ServerAction | None = None,
    limit: int = 1000,
) -> list[ServerAction]:
    """The server's actions, the newest first; those older than the action `after`, changed within the times given."""
    rows = await reader.all(
        _LISTED, server_id=server_id, since=since or 0, before=_END_OF_TIME if before is None else before,
        at=_END_OF_TIME if after is None else after.started_at, marker="" if after is None else after.request_id,
        limit=limit,
    )  # fmt: skip
    return [_action(row) for row in rows]


async def forget(tx: Transaction, server_id: str) -> None:
    """Drop the actions of a server that history no longer holds."""
    await tx.run(_FORGET_EVENTS, server_id=server_id)
    await tx.run(_FORGET_ACTIONS, server_id=server_id)
