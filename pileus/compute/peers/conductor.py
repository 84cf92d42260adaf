"""The conductor, as a host needs it: servers' data, heartbeats, epochs. Always over the bus."""

from typing import Any

import msgspec

from pileus.compute.domain.server import Server
from pileus.foundation.bus import Bus
from pileus.foundation.trace import Trace

TOPIC = "conductor"


class Conductor:
    """Asks in the name of one host."""

    def __init__(self, bus: Bus, host: str, timeout_s: float = 30.0):
        self._bus = bus
        self._host = host
        self._timeout_s = timeout_s

    async def _call(self, method: str, **options: Any) -> Any:
        args = options.pop("args", {}) | {"host": self._host}
        options.setdefault("timeout_s", self._timeout_s)
        return await self._bus.call(TOPIC, method, args, source="compute-host", **options)

    async def server_data(
        self, server_id: str, *, epoch: int, launch_id: str, request_id: str, record: Trace
    ) -> tuple[Server, str]:
        """Steps 14 to 18: the server and the token its launch was asked for with. Raises: StaleEpoch as Conflict."""
        found = await self._call(
            "server.data", args={"server_id": server_id, "epoch": epoch, "launch_id": launch_id},
            request_id=request_id, record=record, steps=(14, 15, 18),
        )  # fmt: skip
        return msgspec.convert(found["server"], Server), found["token"]

    async def server_facts(self, server_id: str) -> Server:
        """A server of this host, without any secret of its owner's session. Raises: NotFound."""
        return msgspec.convert(await self._call("server.facts", args={"server_id": server_id}), Server)

    async def report(self, *, zone: str, version: str, inventory: dict[str, Any], roles: list[str]) -> str:
        """Say what the host has; returns the id of its service."""
        args = {"zone": zone, "version": version, "inventory": inventory, "roles": roles}
        return str((await self._call("host.report", args=args))["service_id"])

    async def beat(self, *, timeout_s: float) -> int | None:
        """Say that this host lives; returns how many of its flows are open, None when the cloud does not know it."""
        found: int | None = await self._call("host.beat", timeout_s=timeout_s)
        return found

    async def epochs(self, ids: list[str]) -> tuple[dict[str, int], dict[str, int]]:
        """The servers of this host with their epochs, and which of `ids` were deleted, with their last."""
        found = await self._call("host.epochs", args={"ids": ids})
        return found["servers"], found["gone"]

    async def keep_password(self, server_id: str, password: str) -> None:
        """Keep what the guest left as its password. Raises: Conflict when there is one, NotFound, Unavailable."""
        await self._call("server.password", args={"server_id": server_id, "password": password})

    async def power(self, server_id: str, power_state: int) -> None:
        await self._call("server.power", args={"server_id": server_id, "power_state": power_state})
