"""Puts the image service together, and sets it to work: what a dead process left is mended before the first request."""

import logging
from typing import Any

from pileus.foundation.bus import Bus, Delivery, Handler
from pileus.foundation.database import Database
from pileus.foundation.errors import Error
from pileus.foundation.fetch import Fetcher
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.flow.operators import flow_methods
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

    async def show_audit(delivery: Delivery) -> list[dict[str, Any]]:
        return await audit(service, read_bytes=bool(delivery.args.get("read_bytes")))

    methods: dict[str, Handler] = {"audit": show_audit}
    if service.imports is not None:
        methods |= flow_methods(service.imports.journal, service.imports.runner)
    bus.serve(TOPIC, methods)


async def _keep_repairing(service: ImageService, repairer: Repairer) -> None:
    while True:
        await service.runtime.sleep(REPAIR_S)
        try:
            await repairer.repair()
        except Error as failure:
            log.warning("repair of images: %s", failure.log or failure.text)
