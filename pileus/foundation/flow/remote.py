"""The journal of a process without a database: every write is a call to the conductor, which keeps it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from pileus.foundation.bus import Bus, Delivery, Handler
from pileus.foundation.errors import Forbidden
from pileus.foundation.flow.model import Entry, FlowRecord, Journal, NewFlow

JOURNAL_METHODS = ("journal.start", "journal.claim", "journal.write", "journal.beat", "journal.open")


class NotOfThisHome(Forbidden):
    code, message = "flow.not-of-this-home", "Flow {flow_id} does not run at {home}."


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, builtin_types=(bytes,))


class BusJournal:
    """A `Journal` over the bus."""

    def __init__(self, bus: Bus, topic: str, home: str, timeout_s: float = 30.0):
        self._bus = bus
        self._topic = topic
        self._home = home
        self._timeout_s = timeout_s

    async def _call(self, method: str, **args: Any) -> Any:
        args["home"] = self._home
        return await self._bus.call(self._topic, f"journal.{method}", args, timeout_s=self._timeout_s)

    async def start(self, new: NewFlow, owner: str) -> FlowRecord:
        return msgspec.convert(await self._call("start", new=_plain(new), owner=owner), FlowRecord)

    async def claim(self, flow_id: str, epoch: int, owner: str) -> FlowRecord | None:
        found = await self._call("claim", flow_id=flow_id, epoch=epoch, owner=owner)
        return None if found is None else msgspec.convert(found, FlowRecord)

    async def write(self, entry: Entry) -> bool:
        return bool(await self._call("write", entry=_plain(entry)))

    async def beat(self, flows: Sequence[tuple[str, int]]) -> dict[str, str]:
        return dict(await self._call("beat", flows=list(flows))) if flows else {}

    async def open_flows(self, home: str) -> list[FlowRecord]:
        return msgspec.convert(await self._call("open"), list[FlowRecord])


def journal_methods(journal: Journal, home_of: Callable[[str], Awaitable[str]]) -> dict[str, Handler]:
    """The bus methods behind `BusJournal`. A host's account reaches only the flows of its own home.

    `home_of` tells where a flow runs, '' for one that there is not; it is asked only where accounts are known.
    """

    async def check(delivery: Delivery, *flow_ids: str) -> None:
        if not delivery.sender:
            return
        for flow_id in flow_ids:
            if await home_of(flow_id) not in ("", delivery.args["home"]):
                raise NotOfThisHome(flow_id=flow_id, home=delivery.args["home"])

    async def start(delivery: Delivery) -> Any:
        new = msgspec.convert(delivery.args["new"], NewFlow)
        new.home = delivery.args["home"]
        await check(delivery, new.id)
        return _plain(await journal.start(new, delivery.args["owner"]))

    async def claim(delivery: Delivery) -> Any:
        args = delivery.args
        await check(delivery, args["flow_id"])
        found = await journal.claim(args["flow_id"], args["epoch"], args["owner"])
        return None if found is None else _plain(found)

    async def write(delivery: Delivery) -> Any:
        entry = msgspec.convert(delivery.args["entry"], Entry)
        await check(delivery, entry.flow_id)
        return await journal.write(entry)

    async def beat(delivery: Delivery) -> Any:
        flows = [(flow_id, epoch) for flow_id, epoch in delivery.args["flows"]]
        await check(delivery, *(flow_id for flow_id, _ in flows))
        return await journal.beat(flows)

    async def open_flows(delivery: Delivery) -> Any:
        return _plain(await journal.open_flows(delivery.args["home"]))

    return dict(zip(JOURNAL_METHODS, (start, claim, write, beat, open_flows), strict=True))
