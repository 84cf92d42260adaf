"""What users are told of work that failed after its 202."""

from pileus.foundation.context import Context
from pileus.volume.domain.errors import MessageNotFound
from pileus.volume.service import VolumeService
from pileus.volume.store import messages
from pileus.volume.store.messages import Message

__all__ = ["Message", "delete", "get", "of_project"]


async def get(service: VolumeService, context: Context, message_id: str) -> Message:
    """A message that the caller may know of. Raises: MessageNotFound (404)."""
    message = await messages.find(service.database, message_id)
    if message is None or (message.project_id != context.project_id and not context.is_admin):
        raise MessageNotFound(message_id=message_id)
    return message


async def of_project(service: VolumeService, project_id: str) -> list[Message]:
    """The project's messages, the newest first."""
    return await messages.of_project(service.database, project_id)


async def delete(service: VolumeService, message: Message) -> None:
    await service.database.transact(lambda tx: messages.delete(tx, message.id))
