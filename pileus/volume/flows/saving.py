"""How flows change a volume: read, decide, compare-and-set."""

from collections.abc import Callable

from pileus.foundation.database import Transaction
from pileus.volume.domain.volume import Volume
from pileus.volume.service import VolumeService
from pileus.volume.store import messages, volumes

Change = Callable[[Volume], Volume]


async def save_volume(service: VolumeService, volume_id: str, change: Change) -> Volume | None:
    """Apply `change` to the row as it is now; None when the volume is gone. An unchanged volume is not written."""

    async def work(tx: Transaction) -> Volume | None:
        return await save_in(tx, volume_id, change)

    return await service.database.transact(work)


async def save_in(tx: Transaction, volume_id: str, change: Change) -> Volume | None:
    """`save_volume` inside the caller's transaction."""
    before = await volumes.find(tx, volume_id)
    if before is None:
        return None
    after = change(before)
    return before if after is before else await volumes.save(tx, before, after)


async def save_failure(
    service: VolumeService, volume_id: str, change: Change, *, request_id: str, event_id: str, text: str
) -> None:
    """`save_volume` with a message to the user that says what failed, unless there is nothing to change."""

    async def work(tx: Transaction) -> None:
        before = await volumes.find(tx, volume_id)
        if before is None:
            return
        after = change(before)
        if after is before:
            return
        await volumes.save(tx, before, after)
        await add_message(
            tx, service, project_id=before.project_id, resource_id=volume_id, request_id=request_id, event_id=event_id,
            text=text,
        )  # fmt: skip

    await service.database.transact(work)


async def add_message(
    tx: Transaction, service: VolumeService, *, project_id: str, resource_id: str, request_id: str, event_id: str,
    text: str,
) -> None:  # fmt: skip
    """Tell the project what failed."""
    now = service.runtime.now()
    message = messages.Message(
        id=service.runtime.uuid(), project_id=project_id, resource_id=resource_id, request_id=request_id,
        event_id=event_id, text=text, created_at=now, ends_at=now + int(service.settings.message_keep_s * 1_000_000),
    )  # fmt: skip
    await messages.add(tx, message)
