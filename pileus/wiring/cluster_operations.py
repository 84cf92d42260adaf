"""The part operations of a cloud of many processes: the roll of all of them, and the owner's socket."""

from typing import Any

from pileus import running
from pileus.foundation.http.server import Listener, bind_file, listen
from pileus.operations.app.processes import Roll
from pileus.wiring import opening
from pileus.wiring.ground import Ground
from pileus.wiring.operations import OperationsPart


class ClusterOperations(OperationsPart):
    """Its process holds the state directory, so that the command line finds it."""

    def __init__(self, ground: Ground):
        super().__init__(ground, self._describe_cluster)
        self._roll = Roll(self.service, ground.database, ground.settings.cloud.heartbeat_s)
        self._listener: Listener | None = None

    async def start(self) -> None:
        self._roll.serve()
        settings, state = self._ground.settings, self._ground.settings.state_dir
        facts = running.Facts(
            url=settings.cloud.url, region=settings.cloud.region, hypervisor=settings.host.hypervisor,
            address=settings.listen.address, port=settings.listen.port, public_url=settings.cloud.url,
            secrets_file=str(opening.secrets_path(settings)), authority=settings.tls.authority,
        )  # fmt: skip
        running.remember(state, facts)
        self._listener = await listen(self.owners_front(), bind_file(state / running.SOCKET), self._ground.runtime)

    async def stop(self) -> None:
        if self._listener is not None:
            await self._listener.stop()
            (self._ground.settings.state_dir / running.SOCKET).unlink(missing_ok=True)

    async def _describe_cluster(self) -> dict[str, Any]:
        return {"url": self._ground.settings.cloud.url, "processes": await self._roll.listing(), "parts": []}
