"""The compute-host: takes what the bus brings for this host, builds and keeps guests, reports what it sees.

Before it starts a guest or answers anything it asks for its current epochs, and removes guests that an old one or a
tombstone has made void. Guests without our mark are never touched.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import chain, repeat
from typing import Any

import msgspec

from pileus import __version__
from pileus.compute.domain.errors import ActionNotSupported
from pileus.compute.domain.server import Interface
from pileus.compute.domain.server_states import Action
from pileus.compute.drivers.base import (
    AttachesInterfaces,
    AttachesVolumes,
    CutsShort,
    FollowsMetadata,
    HasConsole,
    PowerChange,
    StaleEpoch,
    VolumeAttachmentSpec,
    roles_of,
)
from pileus.compute.host.actions import ACTIONS
from pileus.compute.host.answers import Answers
from pileus.compute.host.flows.build_server import BUILD_SERVER
from pileus.compute.host.flows.build_server import NAME as BUILD
from pileus.compute.host.guest_spec import vif_spec
from pileus.compute.host.services import HostServices
from pileus.compute.peers.network import Vif
from pileus.foundation.bus import Delivery
from pileus.foundation.errors import Error, NotSupported, Unavailable
from pileus.foundation.flow import NewFlow, Runner
from pileus.foundation.flow.remote import BusJournal

log = logging.getLogger("pileus.compute.host")

CONDUCTOR = "conductor"
FLOWS = (BUILD_SERVER,)
START_AGAIN_S = (1.0, 2.0, 5.0, 10.0, 30.0)
LOOK_EVERY = 3
"""Heartbeats between two looks for void guests."""
BEATS_LOST = 3
"""A heartbeat that is not answered when so many more were due was lost, and the next is sent."""


class Agent:
    """One hypervisor host at work."""

    def __init__(self, services: HostServices, *, lease_s: float = 15.0, heartbeat_s: float = 10.0):
        self._host = services
        self._heartbeat_s = heartbeat_s
        self.runner = Runner(
            BusJournal(services.bus, CONDUCTOR, self._home), FLOWS, services, services.runtime, home=self._home,
            lease_s=lease_s,
        )  # fmt: skip
        self._locks: dict[str, asyncio.Lock] = {}
        self._answers = Answers(services.state_dir / "answers")
        self._unsubscribe: Any = None
        self._open_flows: int | None = 0  # as the last heartbeat was told; None: the cloud does not know us

    @property
    def _home(self) -> str:
        return f"host:{self._host.host}"

    async def start(self) -> None:
        """Find the guests, learn the epochs, go on with what was begun, then listen."""
        host = self._host
        await host.hypervisor.open()
        self._answers.open()
        await self._patiently(self.report)
        await self._patiently(self.remove_void_guests)
        self._unsubscribe = host.hypervisor.subscribe(self._power_changed)
        await self._patiently(self.runner.recover)
        host.bus.serve(
            f"compute-host.{host.host}",
            {
                "launch": self.launch,
                "cancel": self.cancel,
                "cut_short": self.cut_short,
                "remove": self.remove,
                "act": self.act,
                "console_output": self.console_output,
                "attach_volume": self.attach_volume,
                "detach_volume": self.detach_volume,
                "attach_interface": self.attach_interface,
                "detach_interface": self.detach_interface,
                "metadata": self.metadata,
                "password_cleared": self.password_cleared,
                "interfaces": self.interfaces,
                "guests": self.guests,
                "powers": self.powers,
            },
        )
        host.runtime.spawn(self._beat(), f"heartbeat {host.host}")
        host.runtime.spawn(self._look(), f"looking after {host.host}")
        host.runtime.spawn(self.runner.keep(adopts=False), f"leases {host.host}")

    async def _patiently(self, work: Callable[[], Awaitable[object]]) -> None:
        """A question or its answer may be lost, or nobody there to answer yet: ask again, as long as it takes."""
        for pause in chain(START_AGAIN_S, repeat(START_AGAIN_S[-1])):
            try:
                await work()
                return
            except Unavailable as error:
                log.warning("start of host %s: %s", self._host.host, error)
            await self._host.runtime.sleep(pause)

    async def stop(self) -> None:
        """Let go; guests go on as they are."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        await self._host.hypervisor.close()
        self._answers.close()

    async def report(self) -> None:
        inventory = await self._host.hypervisor.inventory()
        await self._host.conductor.report(
            zone=self._host.zone, version=__version__, inventory=msgspec.to_builtins(inventory),
            roles=sorted(roles_of(self._host.hypervisor)),
        )  # fmt: skip

    async def remove_void_guests(self) -> None:
        """Remove guests of ours that were deleted or moved while this host was away.

        A guest of an older epoch whose server is still here stays: a rebuild has not replaced it yet, or could not,
        and its disk is all that its owner has.
        """
        guests = await self._host.hypervisor.list_guests()
        if not guests:
            return
        _, gone = await self._host.conductor.epochs([guest.server_id for guest in guests])
        for guest in guests:
            if guest.server_id in gone:
                log.warning("removing guest of server %s: epoch %s is over", guest.server_id, guest.epoch)
                try:
                    await self._host.hypervisor.ensure_no_guest(guest.server_id)
                except Error as error:  # the others are looked after all the same, and this one at the next look
                    log.error("guest of server %s is void and cannot be removed: %s", guest.server_id, error)

    async def _beat(self) -> None:
        """Say again and again that this host lives. Nothing else is waited for here, or it would seem dead."""
        while True:
            await self._host.runtime.sleep(self._heartbeat_s)
            try:
                self._open_flows = await self._host.conductor.beat(timeout_s=BEATS_LOST * self._heartbeat_s)
            except Error as error:
                log.warning("heartbeat of %s: %s", self._host.host, error)

    async def _look(self) -> None:
        """See after each heartbeat what it told, and now and then look for guests that became void meanwhile."""
        looks = 0
        while True:
            await self._host.runtime.sleep(self._heartbeat_s)
            looks += 1
            try:
                if self._open_flows is None:
                    await self.report()
                    self._open_flows = 0
                elif self._open_flows != len(self.runner.under_way):  # asked only then: thousands of hosts are idle
                    await self.runner.adopt_abandoned()
                if looks % LOOK_EVERY == 0:
                    await self.remove_void_guests()
            except Error as error:
                log.warning("what became of %s: %s", self._host.host, error)

    # -- what the bus brings ------------------------------------------------------------------------------
    async def launch(self, delivery: Delivery) -> None:
        """Step 13: begin to build; coming twice, it is one build."""
        args = delivery.args
        params = {
            "server_id": args["server_id"], "epoch": args["epoch"], "launch_id": args["launch_id"],
            "attempt": args["attempt"], "sent": delivery.sent, "taken": delivery.taken, "message": delivery.id,
        }  # fmt: skip
        await self.runner.start(
            NewFlow(
                id=args["flow_id"],
                name=BUILD,
                version=1,
                subject=args["server_id"],
                params=params,
                home=self._home,
                request_id=delivery.request_id,
            )
        )

    async def cancel(self, delivery: Delivery) -> None:
        """Wake a flow that is to unwind; one that nobody runs here is taken up first."""
        flow_id = delivery.args["flow_id"]
        if not self.runner.is_running(flow_id):
            await self.runner.adopt_now(flow_id)
        self.runner.cancel(flow_id)

    async def cut_short(self, delivery: Delivery) -> None:
        """Let nothing that the hypervisor still does for this server keep its deletion waiting."""
        if isinstance(self._host.hypervisor, CutsShort):
            await self._host.hypervisor.cut_short(delivery.args["server_id"])

    async def remove(self, delivery: Delivery) -> None:
        """Have no guest of this server; nothing there is fine."""
        args = delivery.args
        async with self._lock(args["server_id"]):
            try:
                await self._host.hypervisor.ensure_no_guest(args["server_id"], epoch=args["epoch"])
            except StaleEpoch as stale:
                log.warning("remove: %s", stale)
        await self._host.documents.forget(args["server_id"])
        self._locks.pop(args["server_id"], None)

    async def act(self, delivery: Delivery) -> dict[str, Any]:
        """Do one action, once for each flow; two of one server never overlap."""
        args = delivery.args
        do = ACTIONS.get(Action(args["action"]))
        if do is None:
            raise NotSupported(f"This host does not know the action {args['action']}.")
        async with self._lock(args["server_id"]):
            answer = self._answers.find(args["flow_id"])
            if answer is None:
                answer = await do(self._host, args["server_id"], args)
                self._answers.add(args["flow_id"], answer)
            return answer

    async def console_output(self, delivery: Delivery) -> bytes:
        driver = self._with(HasConsole, "get the console output")
        output: bytes = await driver.console_output(delivery.args["server_id"], delivery.args["lines"])
        return output

    async def attach_volume(self, delivery: Delivery) -> str:
        """Reach a reserved volume and give it to the guest; returns the device's name."""
        args, host = delivery.args, self._host
        driver = self._with(AttachesVolumes, "attach a volume")
        async with self._lock(args["server_id"]):
            connection = await host.volumes.connect(
                args["attachment_id"], host=host.host, device=args["device"], epoch=args["epoch"],
                authority=host.authority(), record=delivery.trace,
            )  # fmt: skip
            volume = VolumeAttachmentSpec(
                volume_id=args["volume_id"], connection=dict(connection), device=args["device"]
            )
            device: str = await driver.ensure_volume_attached(args["server_id"], volume)
            await host.volumes.complete(args["attachment_id"], host.authority())
        return device

    async def detach_volume(self, delivery: Delivery) -> None:
        driver = self._with(AttachesVolumes, "detach a volume")
        async with self._lock(delivery.args["server_id"]):
            await driver.ensure_volume_detached(delivery.args["server_id"], delivery.args["volume_id"])

    async def attach_interface(self, delivery: Delivery) -> None:
        driver = self._with(AttachesInterfaces, "attach an interface")
        vif = msgspec.convert(delivery.args["vif"], Vif)
        async with self._lock(delivery.args["server_id"]):
            await driver.ensure_interface_attached(delivery.args["server_id"], vif_spec(vif))
        self._host.documents.add_vif(delivery.args["server_id"], vif)

    async def detach_interface(self, delivery: Delivery) -> None:
        driver = self._with(AttachesInterfaces, "detach an interface")
        async with self._lock(delivery.args["server_id"]):
            await driver.ensure_interface_detached(delivery.args["server_id"], delivery.args["port_id"])
        self._host.documents.drop_vif(delivery.args["server_id"], delivery.args["port_id"])

    async def metadata(self, delivery: Delivery) -> None:
        """The user changed the server's metadata: guests are told the new, and a driver that follows it learns it."""
        server_id, metadata = delivery.args["server_id"], delivery.args["metadata"]
        self._host.documents.update_metadata(server_id, metadata)
        if isinstance(self._host.hypervisor, FollowsMetadata):
            await self._host.hypervisor.update_metadata(server_id, metadata)

    async def password_cleared(self, delivery: Delivery) -> None:
        """The guest may leave another password."""
        self._host.documents.update_password(delivery.args["server_id"], "")

    async def interfaces(self, delivery: Delivery) -> None:
        """The server's interfaces have other addresses: guests are told the new."""
        interfaces = msgspec.convert(delivery.args["interfaces"], tuple[Interface, ...])
        self._host.documents.update_interfaces(delivery.args["server_id"], interfaces)

    def _with(self, role: Any, what: str) -> Any:
        if not isinstance(self._host.hypervisor, role):
            raise ActionNotSupported(action=what)
        return self._host.hypervisor

    async def guests(self, delivery: Delivery) -> dict[str, Any]:
        """For the audit: every guest of ours, and the names of the others."""
        guests = await self._host.hypervisor.list_guests()
        unknown = await self._host.hypervisor.list_unknown_guests()
        return {"guests": msgspec.to_builtins(guests), "unknown": unknown}

    async def powers(self, delivery: Delivery) -> dict[str, int]:
        """The power states of those guests among `ids` that are here."""
        ids = delivery.args["ids"]
        if len(ids) == 1:
            guest = await self._host.hypervisor.find_guest(ids[0])
            return {} if guest is None else {guest.server_id: int(guest.power_state)}
        wanted = set(ids)
        guests = await self._host.hypervisor.list_guests()
        return {guest.server_id: int(guest.power_state) for guest in guests if guest.server_id in wanted}

    def _lock(self, server_id: str) -> asyncio.Lock:
        return self._locks.setdefault(server_id, asyncio.Lock())

    # -- what guests do by themselves ---------------------------------------------------------------------
    def _power_changed(self, change: PowerChange) -> None:
        self._host.runtime.spawn(self._report_power(change), f"power of {change.server_id}")

    async def _report_power(self, change: PowerChange) -> None:
        try:
            await self._host.conductor.power(change.server_id, int(change.power_state))
        except Error as error:  # only a nudge: the next look tells again
            log.info("power of %s: %s", change.server_id, error)
