"""The volume-host: does what the bus asks of one back end, and says that it lives.

Every method may come twice or late. Work that takes long goes on beside the call that began it: who asks again joins
it. A volume that was removed is never made again, however late a message asks for it.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from pileus import __version__
from pileus.foundation.bus import Delivery
from pileus.foundation.errors import Conflict, Error
from pileus.volume.drivers.base import VolumeSpec
from pileus.volume.host.image_data import ImageData
from pileus.volume.host.services import HostServices
from pileus.volume.peers.host import host_topic

log = logging.getLogger("pileus.volume.host")

CONDUCTOR = "volume-conductor"
PATIENCE_S = 5.0
"""How long a call waits for work to be done before it answers that it goes on."""
MOST_REMOVED = 10_000


class Removed(Conflict):
    code = "volume.backend.removed"
    message = "Volume {volume_id} was removed; it is not made again."


class Agent:
    """One back end at work."""

    def __init__(self, services: HostServices, *, heartbeat_s: float = 10.0):
        self._host = services
        self._heartbeat_s = heartbeat_s
        self._making: dict[str, asyncio.Task[None]] = {}
        self._removed: OrderedDict[str, None] = OrderedDict()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def start(self) -> None:
        """Find the volumes, then listen."""
        host = self._host
        await host.backend.open()
        host.bus.serve(
            host_topic(host.name),
            {
                "ensure": self.ensure,
                "remove": self.remove,
                "extend": self.extend,
                "connect": self.connect,
                "disconnect": self.disconnect,
                "volumes": self.volumes,
                "capacity": self.capacity,
            },
        )
        host.runtime.spawn(self._beat(), f"heartbeat {host_topic(host.name)}")

    async def stop(self) -> None:
        """Let go; volumes stay as they are."""
        await self._host.backend.close()

    async def _beat(self) -> None:
        """Say again and again that this host lives, and what room it has."""
        while True:
            try:
                capacity = await self._host.backend.capacity()
                facts = {"version": __version__, **msgspec.to_builtins(capacity)}
                args = {"backend": self._host.name, "host": self._host.host, "facts": facts}
                self._host.bus.cast(CONDUCTOR, "host.beat", args, source="volume-host")
            except Error as error:
                log.warning("heartbeat of %s: %s", self._host.name, error)
            await self._host.runtime.sleep(self._heartbeat_s)

    # -- what the bus brings --------------------------------------------------------------------------------------
    async def ensure(self, delivery: Delivery) -> bool:
        """Have the volume; False when it takes longer. Raises: Removed, and what the back end says."""
        args = delivery.args
        spec = msgspec.convert(args["wanted"], VolumeSpec)
        if spec.volume_id in self._removed:
            raise Removed(volume_id=spec.volume_id)
        source = args.get("source")
        if source is None and spec.volume_id not in self._making:
            async with self._alone(spec.volume_id):
                await self._host.backend.ensure_volume(spec)
            return True
        return await self._join(spec, source, args.get("token", ""))

    async def _join(self, spec: VolumeSpec, source: dict[str, Any] | None, token: str) -> bool:
        task = self._making.get(spec.volume_id)
        if task is None:
            task = self._host.runtime.spawn(self._fill(spec, source or {}, token), f"fill volume {spec.volume_id}")
            self._making[spec.volume_id] = task
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
        if not done:
            return False
        if self._making.get(spec.volume_id) is task:
            del self._making[spec.volume_id]
        if task.cancelled():
            raise Removed(volume_id=spec.volume_id)
        task.result()
        return True

    async def _fill(self, spec: VolumeSpec, source: dict[str, Any], token: str) -> None:
        async with self._alone(spec.volume_id):
            if "volume_id" in source:
                await self._host.backend.ensure_copy(spec, source["volume_id"], is_live=source.get("is_live", False))
            elif "image_id" in source:
                authority = self._host.authority(token)
                image = await self._host.images.get(source["image_id"], authority)
                data = ImageData(image, self._host.images, authority, self._host.runtime)
                await self._host.backend.ensure_volume(spec, data)
            else:
                await self._host.backend.ensure_volume(spec)

    async def remove(self, delivery: Delivery) -> None:
        """Have nothing of the volume; what is at work on it is stopped first."""
        volume_id = delivery.args["volume_id"]
        self._removed[volume_id] = None
        while len(self._removed) > MOST_REMOVED:
            self._removed.popitem(last=False)
        task = self._making.pop(volume_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        async with self._alone(volume_id):
            await self._host.backend.ensure_no_volume(volume_id, delivery.args.get("metadata"))

    async def extend(self, delivery: Delivery) -> None:
        spec = msgspec.convert(delivery.args["wanted"], VolumeSpec)
        async with self._alone(spec.volume_id):
            await self._host.backend.extend(spec)

    async def connect(self, delivery: Delivery) -> dict[str, Any]:
        spec = msgspec.convert(delivery.args["wanted"], VolumeSpec)
        async with self._alone(spec.volume_id):
            return await self._host.backend.connect(spec, delivery.args["connector"])

    async def disconnect(self, delivery: Delivery) -> None:
        spec = msgspec.convert(delivery.args["wanted"], VolumeSpec)
        async with self._alone(spec.volume_id):
            await self._host.backend.disconnect(spec, delivery.args["connector"])

    async def volumes(self, delivery: Delivery) -> list[dict[str, Any]]:
        """For the audit: everything that the back end holds."""
        found: list[dict[str, Any]] = msgspec.to_builtins(await self._host.backend.list_volumes())
        return found

    async def capacity(self, delivery: Delivery) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(await self._host.backend.capacity())
        return found

    @contextlib.asynccontextmanager
    async def _alone(self, volume_id: str) -> AsyncIterator[None]:
        """One thing at a time for each volume; a lock that nobody holds or waits for is forgotten."""
        lock, users = self._locks.get(volume_id) or (asyncio.Lock(), 0)
        self._locks[volume_id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            users = self._locks[volume_id][1] - 1
            if users:
                self._locks[volume_id] = (lock, users)
            else:
                del self._locks[volume_id]
