"""The journal of hosts' flows, kept by the conductor: a server's states follow the flow that works on it.

One transaction writes the journal and the row, so that what a host reports and what users see never differ.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.server import Interface, Server, changed
from pileus.compute.domain.server_states import Action, PowerState, TaskState, advance, finish
from pileus.compute.flows.saving import Outcome, save_in
from pileus.compute.service import Compute
from pileus.compute.store import servers
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Conflict
from pileus.foundation.flow import Entry, FlowRecord, NewFlow, StaleEpoch, StepRecord
from pileus.foundation.flow.model import DONE

BUILD = "build-server"
SHOWS = {
    "ports": TaskState.NETWORKING,
    "volumes": TaskState.BLOCK_DEVICE_MAPPING,
    "guest": TaskState.SPAWNING,
}
"""The task state while a step of the build runs."""


class NotYours(Conflict):
    code = "compute.host.not-yours"
    message = "Server {server_id} is not to be built on {home} at epoch {epoch}."


class HostJournal:
    """A `Journal` for hosts, over compute's own."""

    def __init__(self, compute: Compute):
        self._compute = compute

    async def start(self, new: NewFlow, owner: str) -> FlowRecord:
        """Begin a host's flow, if the server's row still names that host and epoch. Raises: NotYours."""
        server = await servers.find(self._compute.database, new.subject)
        epoch = new.params.get("epoch")
        if server is None or f"host:{server.host}" != new.home or server.epoch != epoch:
            known = await self._compute.journal.get(new.id)
            if known is not None:
                return known
            raise NotYours(server_id=new.subject, home=new.home, epoch=epoch)
        return await self._compute.journal.start(new, owner)

    async def claim(self, flow_id: str, epoch: int, owner: str) -> FlowRecord | None:
        return await self._compute.journal.claim(flow_id, epoch, owner)

    async def beat(self, flows: Sequence[tuple[str, int]]) -> dict[str, str]:
        return await self._compute.journal.beat(flows)

    async def open_flows(self, home: str) -> list[FlowRecord]:
        return await self._compute.journal.open_flows(home)

    async def write(self, entry: Entry) -> bool:
        async def work(tx: Transaction) -> bool:
            row = await self._compute.journal.write_in(tx, entry)
            if row["name"] == BUILD:
                await self._follow(tx, entry, row)
            return bool(row["is_cancelled"])

        is_cancelled = await self._compute.database.transact(work)
        self._compute.journal.announce(entry)
        return is_cancelled

    async def _follow(self, tx: Transaction, entry: Entry, row: Any) -> None:
        epoch = msgspec.msgpack.decode(row["params"])["epoch"]
        outcome = Outcome(row["request_id"], Action.LAUNCH) if entry.state == DONE else None

        def follow(server: Server) -> Server:
            if server.epoch != epoch:
                raise StaleEpoch(flow_id=entry.flow_id, epoch=entry.epoch)
            if server.action is not Action.LAUNCH:
                return server
            return self._followed(server, entry)

        await save_in(tx, self._compute, row["subject"], follow, outcome)

    def _followed(self, server: Server, entry: Entry) -> Server:
        now = self._compute.runtime.now()
        done = {step.name: step for step in entry.steps if step.attempt == entry.attempt and step.state == "done"}
        if "ports" in done and not server.interfaces:
            server = changed(server, now, interfaces=_interfaces(done["ports"]))
        if "volumes" in done:
            server = changed(server, now, block_devices=_devices(server.block_devices, done["volumes"]))
        if entry.state == DONE:
            return finish(server, Action.LAUNCH, now, power_state=PowerState.RUNNING)
        last = entry.steps[-1] if entry.steps else None
        if entry.state == "" and last is not None and last.state == "began" and last.name in SHOWS:
            return advance(server, SHOWS[last.name], now)
        return server


def _interfaces(step: StepRecord) -> tuple[Interface, ...]:
    return tuple(msgspec.convert(found, Interface) for found in step.output["interfaces"])


def _devices(devices: tuple[BlockDevice, ...], step: StepRecord) -> tuple[BlockDevice, ...]:
    """The devices with the volumes and attachments that the host reported, by the devices' own ids."""
    found = step.output["devices"]
    return tuple(msgspec.structs.replace(device, **found.get(device.id, {})) for device in devices)
