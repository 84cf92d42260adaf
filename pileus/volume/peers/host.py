"""The volume-hosts, over the bus: one topic for each back end. Every method may be repeated."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from pileus.foundation.bus import Bus
from pileus.foundation.trace import Trace


def host_topic(backend: str) -> str:
    """The bus topic that the volume-host of a back end serves."""
    return f"volume-host.{backend}"


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A volume as a back end is to have it."""

    volume_id: str
    size_gib: int
    metadata: dict[str, str] = {}


class Hosts:
    """Asks the host of a back end, which changes nothing before what it follows from is `durable`."""

    def __init__(self, bus: Bus, durable: Callable[[], Awaitable[None]], timeout_s: float = 30.0):
        self._bus = bus
        self._durable = durable
        self._timeout_s = timeout_s

    async def _call(
        self, backend: str, method: str, args: dict[str, Any], request_id: str, record: Trace | None = None
    ) -> Any:
        await self._durable()
        return await self._bus.call(
            host_topic(backend), method, args, timeout_s=self._timeout_s, request_id=request_id, source="volume",
            record=record,
        )  # fmt: skip

    async def ensure(
        self,
        backend: str,
        wanted: Wanted,
        *,
        source: Mapping[str, Any] | None = None,
        token: str = "",
        request_id: str = "",
        record: Trace | None = None,
    ) -> bool:
        """Have the volume; False: the host is still at work on it, ask again. `source` is what it is filled from.

        Raises: BackendFailed, BackendFull, ImageDamaged ... as their kinds.
        """
        args: dict[str, Any] = {"wanted": _plain(wanted)}
        if source:
            args |= {"source": source, "token": token}
        return bool(await self._call(backend, "ensure", args, request_id, record))

    async def remove(
        self,
        backend: str,
        volume_id: str,
        request_id: str = "",
        *,
        metadata: Mapping[str, str] | None = None,
        record: Trace | None = None,
    ) -> None:
        """Have no such volume; nothing there is fine."""
        args = {"volume_id": volume_id, "metadata": dict(metadata) if metadata is not None else None}
        await self._call(backend, "remove", args, request_id, record)

    async def extend(self, backend: str, wanted: Wanted, request_id: str = "") -> None:
        """Let the volume be as large as wanted."""
        await self._call(backend, "extend", {"wanted": _plain(wanted)}, request_id)

    async def connect(
        self, backend: str, wanted: Wanted, connector: Mapping[str, Any], request_id: str = ""
    ) -> dict[str, Any]:
        """How the connector's host reaches the volume: driver_volume_type and data."""
        args = {"wanted": _plain(wanted), "connector": dict(connector)}
        found: dict[str, Any] = await self._call(backend, "connect", args, request_id)
        return found

    async def disconnect(
        self, backend: str, wanted: Wanted, connector: Mapping[str, Any] | None, request_id: str = ""
    ) -> None:
        args = {"wanted": _plain(wanted), "connector": dict(connector or {})}
        await self._call(backend, "disconnect", args, request_id)

    async def volumes(self, backend: str) -> list[dict[str, Any]]:
        """For the audit: what the back end holds."""
        found: list[dict[str, Any]] = await self._call(backend, "volumes", {}, "")
        return found


def _plain(wanted: Wanted) -> dict[str, Any]:
    return {"volume_id": wanted.volume_id, "size_gib": wanted.size_gib, "metadata": wanted.metadata}
