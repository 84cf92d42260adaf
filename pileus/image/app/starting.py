"""Puts the image service together, and sets it to work: what a dead process left is mended before the first request."""

import logging
from typing import Any

from pileus.foundation.bus import Bus, Delivery
from pileus.foundation.database import Database
from pileus.foundation.errors import Error
from pileus.foundation.fetch import Fetcher
from pileus.foundation.flow import FlowRecord, Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.flow.model import FAILED, STUCK, UNDOING
from pileus.foundation.runtime import Runtime
from pileus.image.app.audit import audit
from pileus.image.app.repair import Repairer
from pileus.image.drivers.base import ImageStore
from pileus.image.flows.import_image import IMPORT_IMAGE
from pileus.image.service import ImageService, ImageSettings, Imports

log = logging.getLogger("pileus.image")

TOPIC = "image"
REPAIR_S = 60.0


def build(
    database: Database, store: ImageStore, runtime: Runtime, settings: ImageSettings, *, lease_s: float = 15.0
) -> ImageService:
    """The service with all that it needs; `start` sets it to work."""
    journal = SqlJournal("image", database, runtime)
    runner = Runner(journal, (IMPORT_IMAGE,), None, runtime, lease_s=lease_s)
    imports = Imports(journal, runner, Fetcher(runtime, settings.import_hosts))
    service = ImageService(database, store, runtime, settings, imports)
    runner.services = service
    return service


async def start(service: ImageService, bus: Bus | None = None, *, alone: bool = True) -> None:
    """Mend, go on with imports that were under way, and keep doing both. `alone`: no other process serves images."""
    repairer = Repairer(service)
    await repairer.repair(alone=alone)
    service.runtime.spawn(_keep_repairing(service, repairer), "repair of images")
    if service.imports is not None:
        if alone:
            await service.imports.runner.recover()
        service.runtime.spawn(service.imports.runner.keep(), "leases of image")
    if bus is not None:
        serve(service, bus)


def serve(service: ImageService, bus: Bus) -> None:
    """Answer operators' questions on the bus: audit, and what is known of flows."""
    operators = _Operators(service)
    bus.serve(
        TOPIC,
        {
            "audit": operators.audit,
            "flows.list": operators.flows_list,
            "flows.show": operators.flows_show,
            "flows.resume": operators.flows_resume,
            "flows.abandon": operators.flows_abandon,
        },
    )


async def _keep_repairing(service: ImageService, repairer: Repairer) -> None:
    while True:
        await service.runtime.sleep(REPAIR_S)
        try:
            await repairer.repair()
        except Error as failure:
            log.warning("repair of images: %s", failure.log or failure.text)


class _Operators:
    """What an operator may ask of the image service."""

    def __init__(self, service: ImageService):
        self._service = service

    async def audit(self, delivery: Delivery) -> list[dict[str, Any]]:
        return await audit(self._service, read_bytes=bool(delivery.args.get("read_bytes")))

    async def flows_list(self, delivery: Delivery) -> list[dict[str, Any]]:
        imports = self._service.imports
        return [_summary(record) for record in await imports.journal.all_open()] if imports else []

    async def flows_show(self, delivery: Delivery) -> dict[str, Any] | None:
        imports = self._service.imports
        record = await imports.journal.get(delivery.args["flow_id"]) if imports else None
        return None if record is None else _summary(record)

    async def flows_resume(self, delivery: Delivery) -> bool:
        """Let a stuck flow try its undo again."""
        imports, flow_id = self._service.imports, delivery.args["flow_id"]
        if imports is None or not await imports.journal.set_state(flow_id, UNDOING, STUCK):
            return False
        await imports.runner.adopt_now(flow_id)
        return True

    async def flows_abandon(self, delivery: Delivery) -> bool:
        """Give a stuck flow up; the bytes it left go with the next repair."""
        imports = self._service.imports
        return imports is not None and await imports.journal.set_state(delivery.args["flow_id"], FAILED, STUCK)


def _summary(record: FlowRecord) -> dict[str, Any]:
    """A flow as operators see it."""
    steps = [
        {"attempt": step.attempt, "name": step.name, "state": step.state, "started_at": step.started_at,
         "ended_at": step.ended_at}
        for step in record.steps
    ]  # fmt: skip
    return {
        "id": record.id, "name": record.name, "subject": record.subject, "state": record.state, "home": record.home,
        "attempt": record.attempt, "epoch": record.epoch, "owner": record.owner, "error": record.error,
        "created_at": record.created_at, "updated_at": record.updated_at, "steps": steps,
    }  # fmt: skip
