"""What operators ask of a service's flows over the bus: which are open, what one is doing, go on, give up."""

from typing import Any

from pileus.foundation.bus import Delivery, Handler
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.flow.model import FAILED, STUCK, UNDOING, FlowRecord
from pileus.foundation.flow.runner import Runner

LEFT = "flows.left"


def flow_methods(journal: SqlJournal, runner: Runner) -> dict[str, Handler]:
    """Bus methods `flows.list`, `flows.show`, `flows.resume`, `flows.abandon`, `flows.left`."""

    async def show_all(delivery: Delivery) -> list[dict[str, Any]]:
        return [flow_summary(record) for record in await journal.all_open()]

    async def show(delivery: Delivery) -> dict[str, Any] | None:
        record = await journal.get(delivery.args["flow_id"])
        return None if record is None else flow_summary(record)

    async def resume(delivery: Delivery) -> bool:
        """Let a stuck flow try its undo again."""
        flow_id = delivery.args["flow_id"]
        if not await journal.set_state(flow_id, UNDOING, STUCK):
            return False
        await runner.adopt_now(flow_id)
        return True

    async def abandon(delivery: Delivery) -> bool:
        """Give a stuck flow up: what it left behind is the operator's to remove."""
        return await journal.set_state(delivery.args["flow_id"], FAILED, STUCK)

    async def left(delivery: Delivery) -> None:
        """A process has ended in order and left these flows: nobody need wait for a lease."""
        for flow_id in delivery.args["flow_ids"]:
            await runner.adopt_now(flow_id)

    return {
        "flows.list": show_all, "flows.show": show, "flows.resume": resume, "flows.abandon": abandon, LEFT: left,
    }  # fmt: skip


def flow_summary(record: FlowRecord) -> dict[str, Any]:
    """One flow for operators; parameters and secrets stay inside."""
    return {
        "id": record.id,
        "name": record.name,
        "version": record.version,
        "subject": record.subject,
        "state": record.state,
        "home": record.home,
        "owner": record.owner,
        "epoch": record.epoch,
        "attempt": record.attempt,
        "is_cancelled": record.is_cancelled,
        "request_id": record.request_id,
        "created_at": record.created_at,
        "deadline_s": record.deadline_s,
        "updated_at": record.updated_at,
        "error": record.error,
        "steps": [
            {"attempt": step.attempt, "name": step.name, "state": step.state, "started_at": step.started_at,
             "ended_at": step.ended_at}
            for step in record.steps
        ],
    }  # fmt: skip
