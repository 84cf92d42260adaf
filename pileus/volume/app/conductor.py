"""The conductor of block storage: what hosts tell, what operators ask. All over the bus."""

from typing import Any

from pileus.foundation.bus import Delivery
from pileus.foundation.bus.senders import by_host
from pileus.foundation.database import Transaction
from pileus.foundation.flow.operators import flow_methods
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
            **flow_methods(self._service.journal, self._service.runner),
            "audit": self.audit,
        }
        self._service.bus.serve(CONDUCTOR, methods, {"host.beat": by_host})

    async def host_beat(self, delivery: Delivery) -> None:
        """A back end's host lives, and says what room it has."""
        args, runtime = delivery.args, self._service.runtime

        async def work(tx: Transaction) -> None:
            await hosts.beat(
                tx, args["backend"], host=args["host"], facts=args["facts"], new_id=runtime.uuid(), now=runtime.now()
            )

        await self._service.database.transact(work)

    async def audit(self, delivery: Delivery) -> list[dict[str, Any]]:
        return await audit(self._service)
