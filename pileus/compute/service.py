"""Compute's own objects, made once by the wiring and handed to every use case, bus method and flow step."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from pileus.compute.peers.image import Images
from pileus.compute.peers.network import Networks
from pileus.compute.peers.placement import Placement
from pileus.compute.peers.volume import Volumes
from pileus.compute.store.servers import Render
from pileus.foundation.bus import Bus
from pileus.foundation.config import decided_by, meaning
from pileus.foundation.database import Database
from pileus.foundation.flow import Ended, Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.http.authority import Authority, OwnToken
from pileus.foundation.liveness import Liveness
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.foundation.trace import Trace

CONDUCTOR = "conductor"
SCHEDULER = "scheduler"
NEWS = "compute.flows"  # the channel on which flows that ended or were cancelled are announced


def host_topic(host: str) -> str:
    """The bus topic that the compute-host on `host` serves."""
    return f"compute-host.{host}"


class ComputeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about compute."""

    default_zone: Annotated[str, decided_by("cloud.zone")] = "nova"
    cpu_ratio: Annotated[float, meaning("How many vCPUs are promised for each real one.")] = 4.0
    ram_ratio: Annotated[float, meaning("How much memory is promised for each MiB of it.")] = 1.0
    disk_ratio: Annotated[float, meaning("How much disk is promised for each GiB of it.")] = 1.0
    reserved_ram_mib: Annotated[int, meaning("Memory of each host, in MiB, that guests do not get.")] = 512
    max_attempts: Annotated[int, meaning("How many hosts are tried for one launch.")] = 3
    host_down_s: Annotated[float, meaning("A host without a heartbeat for so long counts as down.")] = 60.0
    heartbeat_s: Annotated[float, decided_by("cloud.heartbeat_s")] = 10.0
    call_timeout_s: Annotated[float, meaning("How long the scheduler or a host may take to answer.")] = 60.0
    snapshot_age_s: Annotated[float, meaning("How old the scheduler's picture of the hosts may be.")] = 10.0
    deleted_keep: Annotated[int, meaning("How many deleted servers are always remembered.")] = 1000
    deleted_keep_s: Annotated[float, meaning("And for how long others are.")] = 7 * 86400.0


class Endings:
    """Lets a step wait for another flow's end; missing an announcement only costs time."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Event]] = {}

    def announce(self, flow_id: str) -> None:
        for event in self._waiting.get(flow_id, ()):
            event.set()

    def expect(self, flow_id: str) -> asyncio.Event:
        event = asyncio.Event()
        self._waiting.setdefault(flow_id, []).append(event)
        return event

    def forget(self, flow_id: str, event: asyncio.Event) -> None:
        waiting = self._waiting.get(flow_id, [])
        if event in waiting:
            waiting.remove(event)
        if not waiting:
            self._waiting.pop(flow_id, None)


@dataclass(frozen=True)
class Compute:
    """Everything a use case of compute may need."""

    database: Database
    runtime: Runtime
    bus: Bus
    journal: SqlJournal
    runner: Runner
    endings: Endings
    liveness: Liveness
    images: Images
    networks: Networks
    volumes: Volumes
    placement: Placement
    sealer: Sealer
    settings: ComputeSettings
    service_token: OwnToken
    render: Render

    def hosts_alive(self, host: str, beats: int) -> bool:
        """Whether a host whose heartbeats have reached `beats` counts as alive."""
        now = self.runtime.monotonic()
        self.liveness.observe(host, beats, now)
        return self.liveness.is_alive(host, now)

    async def tell_host(
        self,
        host: str,
        method: str,
        args: dict[str, Any],
        *,
        timeout_s: float | None = None,
        request_id: str = "",
        record: Trace | None = None,
    ) -> Any:
        """Have the compute-host change a guest, once everything that this follows from is on disk.

        Otherwise a power cut leaves guests with what no row knows of.
        """
        await self.database.durable()
        return await self.bus.call(
            host_topic(host), method, args, timeout_s=timeout_s or self.settings.call_timeout_s,
            request_id=request_id, record=record,
        )  # fmt: skip

    def cancel(self, flow_id: str) -> None:
        """Wake the flow that a transaction has just cancelled, wherever it runs; it hears of it soon in any case."""
        self.runner.cancel(flow_id)
        self.bus.publish(NEWS, "cancelled", {"flow_id": flow_id})

    def own_authority(self) -> Authority:
        """Acts with the service's rights alone."""
        return Authority(self.service_token)

    def users_authority(self, token: str) -> Authority:
        """Acts with the user's token, our own beside it."""
        return Authority(self.service_token, token)


def announcer(bus: Bus) -> Callable[[Ended], None]:
    """What a journal calls for every flow that ends."""

    def announce(ended: Ended) -> None:
        bus.publish(NEWS, "ended", {"flow_id": ended.flow_id})

    return announce


def listen(bus: Bus, endings: Endings, runner: Runner) -> None:
    """Hear of every flow that ends or is cancelled anywhere."""

    def heard(event: str, args: dict[str, Any]) -> None:
        if event == "cancelled":
            runner.cancel(args["flow_id"])
        else:
            endings.announce(args["flow_id"])

    bus.subscribe(NEWS, heard)
