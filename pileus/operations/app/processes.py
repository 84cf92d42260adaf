"""The processes of a cloud of many: what they say of themselves is written down, and who falls silent is shown."""

import logging
from typing import Any

import msgspec

from pileus.foundation.bus import Delivery
from pileus.foundation.bus.senders import by_host
from pileus.foundation.database import Database, Transaction
from pileus.foundation.errors import Error, Forbidden
from pileus.operations.domain.process import ENDED, Process, Watch, outlived
from pileus.operations.peers.announcing import TOPIC
from pileus.operations.service import Operations
from pileus.operations.store import processes

FORGET_ENDED_US = 60 * 1_000_000
FORGET_US = 24 * 3600 * 1_000_000
"""For so long a process that died without a successor is shown."""

OPEN_TO_HOSTS = {"alive": by_host, "leaving": by_host}

log = logging.getLogger("pileus.operations")


class NotThatHost(Forbidden):
    code, message = "operations.not-that-host", "A process of host {host} cannot speak for host {named}."


class Roll:
    """Keeps the roll of processes. Any number of them may."""

    def __init__(self, operations: Operations, database: Database, look_s: float):
        self._operations = operations
        self._database = database
        self._look_s = look_s
        self._watch = Watch()

    def serve(self) -> None:
        self._operations.bus.serve(TOPIC, {"alive": self.alive, "leaving": self.leaving}, OPEN_TO_HOSTS)
        self._operations.runtime.spawn(self._keep_looking(), "roll of processes")

    async def alive(self, delivery: Delivery) -> None:
        process = self._read(delivery)
        await self._database.transact(lambda tx: processes.put(tx, process))

    async def leaving(self, delivery: Delivery) -> None:
        process = msgspec.structs.replace(self._read(delivery), beats=ENDED)
        await self._database.transact(lambda tx: processes.put(tx, process))

    def _read(self, delivery: Delivery) -> Process:
        """Raises: NotThatHost. The bus has checked that `host` is the sender's, where it can tell."""
        told = msgspec.convert(delivery.args["process"], Process)
        if told.host != delivery.args["host"]:
            raise NotThatHost(host=delivery.args["host"], named=told.host)
        now = self._operations.runtime.now()
        return msgspec.structs.replace(told, beats=delivery.args["beats"], last_seen_at=now)

    async def listing(self) -> list[dict[str, Any]]:
        """Every process with its state."""
        found = await self._look()
        now, wall = self._operations.runtime.monotonic(), self._operations.runtime.now()
        return [
            {
                "name": process.name, "parts": list(process.parts), "host": process.host, "pid": process.pid,
                "version": process.version, "url": process.url, "state": self._watch.state(process, now),
                "up_s": max(wall - process.started_at, 0) / 1_000_000,
                "last_heartbeat_s": max(wall - process.last_seen_at, 0) / 1_000_000,
            }
            for process in found
            if not process.has_ended
        ]  # fmt: skip

    async def _look(self) -> list[Process]:
        found = await processes.all_of_them(self._database)
        self._watch.look(found, self._operations.runtime.monotonic())
        return found

    async def _keep_looking(self) -> None:
        while True:
            try:
                found = await self._look()
                await self._tidy(found)
            except Error as error:
                log.warning("roll of processes: %s", error)
            await self._operations.runtime.sleep(self._look_s)

    async def _tidy(self, found: list[Process]) -> None:
        """Forget who has a successor, and who has been gone for long."""
        now, wall = self._operations.runtime.monotonic(), self._operations.runtime.now()
        ids = outlived(found, {process.id: self._watch.state(process, now) for process in found})
        ids += [process.id for process in found if process.has_ended and process.last_seen_at < wall - FORGET_ENDED_US]

        async def work(tx: Transaction) -> None:
            await processes.remove(tx, ids)
            await processes.forget(tx, wall - FORGET_US)

        if ids or any(process.last_seen_at < wall - FORGET_US for process in found):
            await self._database.transact(work)
