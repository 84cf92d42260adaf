"""The journal of flows in a service's own tables: the truth about long work; memory is only a cache of it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from pileus.foundation import errors, trace
from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.flow.model import (
    CANCELLED,
    ENDED,
    FAILED,
    LOST,
    RUNNING,
    Closed,
    Ended,
    Entry,
    FlowRecord,
    NewFlow,
    StaleEpoch,
    StepRecord,
)
from pileus.foundation.runtime import Runtime

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_unpack_steps = msgspec.msgpack.Decoder(list[StepRecord]).decode


def flow_tables(service: str) -> tuple[str, ...]:
    """The DDL of a service's journal, for its first migration."""
    return (
        f"""CREATE TABLE {service}_flows (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, subject TEXT NOT NULL,
            params BLOB NOT NULL, state TEXT NOT NULL, home TEXT NOT NULL, epoch INTEGER NOT NULL,
            attempt INTEGER NOT NULL, owner TEXT NOT NULL, beat BIGINT NOT NULL, is_cancelled INTEGER NOT NULL,
            error TEXT, request_id TEXT NOT NULL, secret BLOB, boot_id TEXT NOT NULL, deadline_ms BIGINT NOT NULL,
            events BLOB NOT NULL, steps BLOB NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)""",
        f"CREATE INDEX {service}_flows_open ON {service}_flows (home, created_at) "
        "WHERE state IN ('running', 'undoing', 'stuck')",
        f"CREATE INDEX {service}_flows_subject ON {service}_flows (subject, created_at)",
    )


class OpenFlow(NamedTuple):
    """The head of a flow that has not ended."""

    id: str
    name: str
    home: str
    state: str
    epoch: int
    created_at: int


class SqlJournal:
    """The journal over a service's database. `ended` is told, after the commit, of every flow that ends."""

    def __init__(
        self, service: str, database: Database, runtime: Runtime, ended: Callable[[Ended], None] | None = None
    ):
        self._database = database
        self._runtime = runtime
        self._ended = ended
        self._sql = _Statements(service)

    async def insert(self, tx: Transaction, new: NewFlow, owner: str) -> FlowRecord:
        """Write a flow in the caller's own transaction: what was promised and its flow are one commit.

        The caller lets its runner go on with the returned record after the commit.
        """
        now = self._runtime.now()
        events = trace.encode(new.events)
        await tx.run(
            self._sql.insert,
            id=new.id, name=new.name, version=new.version, subject=new.subject, params=_pack(new.params),
            home=new.home, owner=owner, request_id=new.request_id, secret=new.secret, boot_id=self._runtime.boot_id,
            deadline_ms=int(new.deadline_s * 1000), events=events, steps=_pack([]), now=now,
        )  # fmt: skip
        return FlowRecord(
            id=new.id, name=new.name, version=new.version, subject=new.subject, params=new.params, state=RUNNING,
            home=new.home, epoch=1, attempt=1, owner=owner, request_id=new.request_id, secret=new.secret,
            boot_id=self._runtime.boot_id, deadline_s=new.deadline_s, created_at=now, updated_at=now, events=events,
            is_new=True,
        )  # fmt: skip

    async def cancel(self, tx: Transaction, flow_id: str) -> None:
        """Ask the runner of a flow to unwind; it sees that between steps."""
        await tx.run(self._sql.cancel, id=flow_id, now=self._runtime.now())

    async def open_of(self, tx: Transaction, subject: str) -> list[tuple[str, str]]:
        """Id and name of every flow about one thing that has not ended."""
        return [(row["id"], row["name"]) for row in await tx.all(self._sql.open_of, subject=subject)]

    async def forbid(self, tx: Transaction, flow_id: str, *, subject: str, home: str) -> None:
        """Keep a flow that has not begun from ever beginning: it is put down as failed before its start."""
        await tx.lock("flow", flow_id)
        await tx.run(self._sql.forbid, id=flow_id, subject=subject, home=home, now=self._runtime.now(), none=_pack([]),
                     params=_pack({}))  # fmt: skip

    async def close(self, record: FlowRecord) -> bool:
        """End an open flow whose home is dead, as `Closed`: it has taken nothing back. Should the home come back, the
        flow's epoch is over."""
        why = f" What had failed: {record.error['text']}" if record.error else ""
        error = msgspec.json.encode(errors.to_wire(Closed(home=record.home, why=why))).decode()

        async def work(tx: Transaction) -> int:
            return await tx.run(self._sql.close, id=record.id, epoch=record.epoch, error=error, now=self._runtime.now())

        closed = bool(await self._database.transact(work))
        if closed and self._ended is not None:
            self._ended(Ended(record.id, FAILED))
        return closed

    async def start(self, new: NewFlow, owner: str) -> FlowRecord:
        return await self._database.transact(lambda tx: self.ensure(tx, new, owner))

    async def ensure(self, tx: Transaction, new: NewFlow, owner: str) -> FlowRecord:
        """`insert`, or the flow that has this id already."""
        await tx.lock("flow", new.id)
        row = await tx.one(self._sql.get, id=new.id)
        return await self.insert(tx, new, owner) if row is None else _record(row)

    async def get(self, flow_id: str) -> FlowRecord | None:
        row = await self._database.one(self._sql.get, id=flow_id)
        return None if row is None else _record(row)

    async def secret_of(self, flow_id: str, subject: str) -> bytes | None:
        """What an open flow about `subject` keeps secret; None once it has ended, or never kept anything."""
        row = await self._database.one(self._sql.secret, id=flow_id, subject=subject)
        return None if row is None else row["secret"]

    async def state_of(self, flow_id: str) -> str | None:
        """The state of a flow without the rest of it."""
        row = await self._database.one(self._sql.state, id=flow_id)
        return None if row is None else row["state"]

    async def open_about(self, subject: str) -> list[OpenFlow]:
        """The flows about one thing that have not ended, the stuck ones too, oldest first."""
        return [OpenFlow(*row) for row in await self._database.all(self._sql.open_about, subject=subject)]

    async def of_subject(self, subject: str) -> list[FlowRecord]:
        """All flows about one thing, oldest first, with their steps."""
        return [_record(row) for row in await self._database.all(self._sql.of_subject, subject=subject)]

    async def claim(self, flow_id: str, epoch: int, owner: str) -> FlowRecord | None:
        async def work(tx: Transaction) -> Any:
            claimed = await tx.run(self._sql.claim, id=flow_id, epoch=epoch, owner=owner, now=self._runtime.now())
            if not claimed:
                return None
            return await tx.one(self._sql.get, id=flow_id)

        row = await self._database.transact(work)
        return None if row is None else _record(row)

    async def write(self, entry: Entry) -> bool:
        async def work(tx: Transaction) -> bool:
            return bool((await self.write_in(tx, entry))["is_cancelled"])

        is_cancelled = await self._database.transact(work)
        self.announce(entry)
        return is_cancelled

    def announce(self, entry: Entry) -> None:
        """Tell of a flow's end, once the transaction that wrote `entry` is over."""
        if entry.state in ENDED and self._ended is not None:
            self._ended(Ended(entry.flow_id, entry.state, entry.error))

    async def write_in(self, tx: Transaction, entry: Entry) -> Any:
        """`write` inside the caller's transaction, which calls `announce` afterwards.

        Returns what the row says beside: is_cancelled, name, subject, home, params, request_id.
        """
        row = await tx.one(
            self._sql.advance,
            id=entry.flow_id, epoch=entry.epoch, attempt=entry.attempt, state=entry.state,
            steps=_pack(entry.steps), now=self._runtime.now(),
            error=msgspec.json.encode(entry.error).decode() if entry.error is not None else None,
        )  # fmt: skip
        if row is None:
            raise StaleEpoch(flow_id=entry.flow_id, epoch=entry.epoch)
        return row

    async def beat(self, flows: Sequence[tuple[str, int]]) -> dict[str, str]:
        async def work(tx: Transaction) -> dict[str, str]:
            news = {}
            for flow_id, epoch in flows:
                row = await tx.one(self._sql.beat, id=flow_id, epoch=epoch)
                if row is None:
                    news[flow_id] = LOST
                elif row["is_cancelled"]:
                    news[flow_id] = CANCELLED
            return news

        return await self._database.transact(work) if flows else {}

    async def open_flows(self, home: str) -> list[FlowRecord]:
        return [_record(row) for row in await self._database.all(self._sql.open, home=home)]

    async def count_open(self, tx: Transaction, home: str) -> int:
        """How many flows of a home have not ended."""
        row = await tx.one(self._sql.count_open, home=home)
        return int(row["open"]) if row is not None else 0

    async def all_open(self, reader: Transaction | None = None) -> list[FlowRecord]:
        """Every flow that has not ended, of every home, the stuck ones too; with a reader, as of its moment."""
        return [_record(row) for row in await (reader or self._database).all(self._sql.all_open)]

    async def set_state(self, flow_id: str, state: str, found: str) -> bool:
        """For operators: put a stuck flow back to work, or give it up."""

        async def work(tx: Transaction) -> int:
            return await tx.run(self._sql.set_state, id=flow_id, state=state, found=found, now=self._runtime.now())

        return bool(await self._database.transact(work))

    async def forget(self, tx: Transaction, subject: str) -> None:
        """Remove what ended about a thing that is gone."""
        await tx.run(self._sql.forget, subject=subject)

    async def forget_before(self, tx: Transaction, before: int, *, keep: Sequence[str]) -> int:
        """Remove flows that ended before `before` (microseconds), except those whose name is in `keep`."""
        return await tx.run(self._sql.forget_before, before=before, keep=list(keep))


class _Statements:
    def __init__(self, service: str):
        flows = f"{service}_flows"
        self.insert = sql(
            f"INSERT INTO {flows} (id, name, version, subject, params, state, home, epoch, attempt, owner, beat, "
            "is_cancelled, error, request_id, secret, boot_id, deadline_ms, events, steps, created_at, updated_at) "
            "VALUES (:id, :name, :version, :subject, :params, 'running', :home, 1, 1, :owner, 0, "
            "0, NULL, :request_id, :secret, :boot_id, :deadline_ms, :events, :steps, :now, :now)"
        )
        self.get = sql(f"SELECT * FROM {flows} WHERE id = :id")
        self.secret = sql(f"SELECT secret FROM {flows} WHERE id = :id AND subject = :subject")
        self.state = sql(f"SELECT state FROM {flows} WHERE id = :id")
        self.of_subject = sql(f"SELECT * FROM {flows} WHERE subject = :subject ORDER BY created_at, id")
        self.cancel = sql(
            f"UPDATE {flows} SET is_cancelled = 1, updated_at = :now WHERE id = :id AND state IN ('running', 'stuck')"
        )
        self.claim = sql(
            f"UPDATE {flows} SET epoch = epoch + 1, owner = :owner, beat = beat + 1, updated_at = :now "
            "WHERE id = :id AND epoch = :epoch AND state IN ('running', 'undoing')"
        )
        self.advance = sql(
            f"UPDATE {flows} SET beat = beat + 1, updated_at = :now, attempt = :attempt, steps = :steps, "
            "state = CASE WHEN :state = '' THEN state ELSE :state END, "
            "error = CASE WHEN :state = 'running' THEN NULL ELSE COALESCE(:error, error) END, "
            "secret = CASE WHEN :state IN ('done', 'failed') THEN NULL ELSE secret END "
            "WHERE id = :id AND epoch = :epoch AND state IN ('running', 'undoing') "
            "RETURNING is_cancelled, name, subject, home, params, request_id"
        )
        self.forbid = sql(
            f"INSERT INTO {flows} (id, name, version, subject, params, state, home, epoch, attempt, owner, beat, "
            "is_cancelled, error, request_id, secret, boot_id, deadline_ms, events, steps, created_at, updated_at) "
            "VALUES (:id, 'forbidden', 1, :subject, :params, 'failed', :home, 1, 1, '', 0, 1, NULL, '', NULL, '', 0, "
            ":none, :none, :now, :now) ON CONFLICT (id) DO NOTHING"
        )
        self.close = sql(
            f"UPDATE {flows} SET state = 'failed', epoch = epoch + 1, is_cancelled = 1, secret = NULL, "
            "error = :error, updated_at = :now "
            "WHERE id = :id AND epoch = :epoch AND state IN ('running', 'undoing', 'stuck')"
        )
        self.open_of = sql(
            f"SELECT id, name FROM {flows} WHERE subject = :subject AND state IN ('running', 'undoing', 'stuck')"
        )
        self.open_about = sql(
            f"SELECT id, name, home, state, epoch, created_at FROM {flows} WHERE subject = :subject "
            "AND state IN ('running', 'undoing', 'stuck') ORDER BY created_at, id"
        )
        self.beat = sql(f"UPDATE {flows} SET beat = beat + 1 WHERE id = :id AND epoch = :epoch RETURNING is_cancelled")
        self.open = sql(
            f"SELECT * FROM {flows} WHERE home = :home AND state IN ('running', 'undoing') ORDER BY created_at, id"
        )
        self.count_open = sql(
            f"SELECT count(*) AS open FROM {flows} WHERE home = :home AND state IN ('running', 'undoing')"
        )
        self.all_open = sql(
            f"SELECT * FROM {flows} WHERE state IN ('running', 'undoing', 'stuck') ORDER BY created_at, id"
        )
        self.set_state = sql(f"UPDATE {flows} SET state = :state, updated_at = :now WHERE id = :id AND state = :found")
        self.forget_before = sql(
            f"DELETE FROM {flows} WHERE updated_at < :before AND state IN ('done', 'failed') AND name NOT IN :keep*"
        )
        self.forget = sql(f"DELETE FROM {flows} WHERE subject = :subject AND state IN ('done', 'failed')")


def _record(row: Any) -> FlowRecord:
    return FlowRecord(
        id=row["id"], name=row["name"], version=row["version"], subject=row["subject"], params=_unpack(row["params"]),
        state=row["state"], home=row["home"], epoch=row["epoch"], attempt=row["attempt"], owner=row["owner"],
        beat=row["beat"], is_cancelled=bool(row["is_cancelled"]),
        error=msgspec.json.decode(row["error"]) if row["error"] else None,
        request_id=row["request_id"], secret=row["secret"], boot_id=row["boot_id"],
        deadline_s=row["deadline_ms"] / 1000, created_at=row["created_at"], updated_at=row["updated_at"],
        events=row["events"], steps=_unpack_steps(row["steps"]),
    )  # fmt: skip
