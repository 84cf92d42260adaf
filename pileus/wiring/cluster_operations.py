"""The part operations of a cloud of many processes: the operators' API, and the roll of all processes."""

from typing import Any

from pileus.operations.app.processes import Roll
from pileus.wiring.ground import Ground
from pileus.wiring.operations import OperationsPart


class ClusterOperations(OperationsPart):
    """Its process holds the state directory, so that the command line finds it."""

    def __init__(self, ground: Ground):
        super().__init__(ground, self._describe_cluster)
        self._roll = Roll(self.service, ground.database, ground.settings.cloud.heartbeat_s)

    async def start(self) -> None:
        self._roll.serve()

    async def _describe_cluster(self) -> dict[str, Any]:
        return {"url": self._ground.settings.cloud.url, "processes": await self._roll.listing(), "parts": []}
