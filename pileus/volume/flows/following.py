"""The journal of volumes' flows: the write that ends a flow also changes the volume, in one transaction.

So what flows say and what users see never differ, and nothing can come between.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Database, Transaction
from pileus.foundation.flow import Entry, Flow, FlowRecord, NewFlow
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.flow.model import DONE
from pileus.foundation.runtime import Runtime
from pileus.volume.flows import create_volume, delete_volume, extend_volume, snapshot_volume

FLOWS: tuple[Flow, ...] = (
    create_volume.CREATE_VOLUME,
    delete_volume.DELETE_VOLUME,
    extend_volume.EXTEND_VOLUME,
    snapshot_volume.CREATE_SNAPSHOT,
    snapshot_volume.DELETE_SNAPSHOT,
)

Follow = Callable[[Transaction, bytes], Awaitable[None]]


class FollowingJournal:
    """A `Journal` over the service's own."""

    def __init__(self, journal: SqlJournal, database: Database, runtime: Runtime):
        self._journal = journal
        self._database = database
        self._follow: dict[str, Follow] = {
            create_volume.NAME: _follow(create_volume.CreateParams, create_volume.done, runtime),
            delete_volume.NAME: _follow(delete_volume.DeleteParams, delete_volume.done, journal),
            extend_volume.NAME: _follow(extend_volume.ExtendParams, extend_volume.done, runtime),
            snapshot_volume.CREATE: _follow(snapshot_volume.SnapshotParams, snapshot_volume.taken, runtime),
            snapshot_volume.DELETE: _follow(snapshot_volume.SnapshotParams, snapshot_volume.dropped, journal),
        }

    async def start(self, new: NewFlow, owner: str) -> FlowRecord:
        return await self._journal.start(new, owner)

    async def claim(self, flow_id: str, epoch: int, owner: str) -> FlowRecord | None:
        return await self._journal.claim(flow_id, epoch, owner)

    async def beat(self, flows: Sequence[tuple[str, int]]) -> dict[str, str]:
        return await self._journal.beat(flows)

    async def open_flows(self, home: str) -> list[FlowRecord]:
        return await self._journal.open_flows(home)

    async def write(self, entry: Entry) -> bool:
        async def work(tx: Transaction) -> bool:
            row = await self._journal.write_in(tx, entry)
            if entry.state == DONE:
                await self._follow[row["name"]](tx, row["params"])
            return bool(row["is_cancelled"])

        is_cancelled = await self._database.transact(work)
        self._journal.announce(entry)
        return is_cancelled


def _follow(kind: type[Any], done: Callable[..., Awaitable[None]], tool: Any) -> Follow:
    decode = msgspec.msgpack.Decoder(kind).decode

    async def follow(tx: Transaction, params: bytes) -> None:
        await done(tx, tool, decode(params))

    return follow
