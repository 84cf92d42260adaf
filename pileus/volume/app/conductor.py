"""The conductor of block storage: what hosts tell, what operators ask. All over the bus."""

from typing import Any

from pileus.foundation.bus import Delivery
from pileus.foundation.database import Transaction
from pileus.foundation.flow import FlowRecord
from pileus.foundation.flow.model import FAILED, STUCK, UNDOING
from pileus.volume.app.audit import audit
from pileus.volume.service import CONDUCTOR, VolumeService
from pileus.volume.store import hosts


class Conductor:
    """One conductor; any number of them may serve the topic."""

    def __init__(self, service: VolumeService):
        self._service = service

    def serve(self) -> None:
        methods = {
            "host.beat": self.host_beat,
            "flows.list": self.flows_list,
            "flows.show": self.flows_show,
            "flows.resume": self.flows_resume,
            "flows.abandon": self.flows_abandon,
            "audit": self.audit,
        }
        self._service.bus.serve(CONDUCTOR, methods)

    async def host_beat(self, delivery: Delivery) -> None:
        """A back end's host lives, and says what room it has."""
        args, runtime = delivery.args, self._service.runtime

        async def work(tx: Transaction) -> None:
            await hosts.beat(
                tx, args["backend"], host=args["host"], facts=args["facts"], new_id=runtime.uuid(), now=runtime.now()
            )

        await self._service.database.transact(work)

    async def flows_list(self, delivery: Delivery) -> list[dict[str, Any]]:
        return [flow_summary(record) for record in await self._service.journal.all_open()]

    async def flows_show(self, delivery: Delivery) -> dict[str, Any] | None:
        record = await self._service.journal.get(delivery.args["flow_id"])
        return None if record is None else flow_summary(record)

    async def flows_resume(self, delivery: Delivery) -> bool:
        """Let a stuck flow try its undo again."""
        flow_id = delivery.args["flow_id"]
        if not await self._service.journal.set_state(flow_id, UNDOING, STUCK):
            return False
        await self._service.runner.adopt_now(flow_id)
        return True

    async def flows_abandon(self, delivery: Delivery) -> bool:
        """Give a stuck flow up: what it left behind is the operator's to remove."""
        return await self._service.journal.set_state(delivery.args["flow_id"], FAILED, STUCK)

    async def audit(self, delivery: Delivery) -> list[dict[str, Any]]:
        return await audit(self._service)


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
        "updated_at": record.updated_at,
        "error": record.error,
        "steps": [
            {"attempt": step.attempt, "name": step.name, "state": step.state, "started_at": step.started_at,
             "ended_at": step.ended_at}
            for step in record.steps
        ],
    }  # fmt: skip
