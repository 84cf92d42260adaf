"""What users are told of work that failed after its 202: kept for a while, then forgotten."""

from typing import Any

import msgspec

from pileus.foundation.database import Database, Transaction, sql


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. Times are UTC microseconds."""

    id: str
    project_id: str
    resource_id: str  # of a volume
    request_id: str
    event_id: str
    text: str
    created_at: int
    ends_at: int


_FIELDS = "id, project_id, resource_id, request_id, event_id, text, created_at, ends_at"
_ADD = sql(
    f"INSERT INTO volume_messages ({_FIELDS}) VALUES (:id, :project_id, :resource_id, :request_id, :event_id, :text, "
    ":created_at, :ends_at)"
)
_GET = sql(f"SELECT {_FIELDS} FROM volume_messages WHERE id = :id")
_OF_PROJECT = sql(
    f"SELECT {_FIELDS} FROM volume_messages WHERE project_id = :project_id ORDER BY created_at DESC, id DESC LIMIT 1000"
)
_DELETE = sql("DELETE FROM volume_messages WHERE id = :id")
_EXPIRE = sql("DELETE FROM volume_messages WHERE ends_at < :now")


def _message(row: Any) -> Message:
    return Message(**{name: row[name] for name in _FIELDS.split(", ")})


async def add(tx: Transaction, message: Message) -> None:
    """Keep a message, and forget those whose time has come."""
    await tx.run(_EXPIRE, now=message.created_at)
    await tx.run(_ADD, **{name: getattr(message, name) for name in _FIELDS.split(", ")})


async def find(reader: Database | Transaction, message_id: str) -> Message | None:
    row = await reader.one(_GET, id=message_id)
    return None if row is None else _message(row)


async def of_project(reader: Database, project_id: str) -> list[Message]:
    return [_message(row) for row in await reader.all(_OF_PROJECT, project_id=project_id)]


async def delete(tx: Transaction, message_id: str) -> None:
    await tx.run(_DELETE, id=message_id)
