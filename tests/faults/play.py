"""Plays one cell of the matrix: a request with one fault at one step, and what is there when all has come to rest."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
import msgspec

from pileus.compute.drivers.fake import FakeGuest
from pileus.compute.drivers.fake_journal import _FRAME, MAGIC
from tests.cloud import Refused, User
from tests.faults.places import Cell
from tests.faults.stage import CUT_S, STOPPED_S, FaultCluster
from tests.faults.trap import DOUBLE, DROP, KILL, STOP, TELL
from tests.holdings import Holdings, holdings_in, violations
from tests.processes.cluster import Member, Way

T = TypeVar("T")

REST_S = 90.0
"""Within which everything has come to rest after a fault."""
LOOKED_S = 10.0
"""Within which a host has looked again."""
ON_NEXT_PASS = "where nobody needs it"
"""What a host removes by itself, when it looks the next time."""
LOST = (OSError, TimeoutError)
CAUSES = (
    "identity", "image", "network", "volume", "placement", "scheduler", "conductor", "compute", "host", "database",
    "bus", "deadline", "finish within",
)  # fmt: skip
"""What the fault of a server names: whoever did not do his part."""


@dataclass
class Outcome:
    """How a cell went: `seconds` is from the fault until all was at rest."""

    cell: Cell
    result: str = ""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        said = "ok" if self.is_fine else "WRONG " + "; ".join(self.wrong)
        return f"{self.cell!s:<28} {self.seconds:6.1f} s  {self.result}  {said}"


class Player:
    """Plays cells one after the other on one cluster."""

    def __init__(self, there: FaultCluster, admin: User, user: User, ids: dict[str, str]):
        self.there, self.admin, self.user, self.ids = there, admin, user, ids
        self._number = 0

    async def play(self, cell: Cell) -> Outcome:
        outcome = Outcome(cell)
        self._number += 1
        try:
            await _Play(self, outcome, f"server-{self._number}").run()
        except (AssertionError, *LOST) as error:
            outcome.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            await self.there.restore()
        return outcome

    def held(self) -> Holdings:
        there = self.there
        return holdings_in(there.state, lambda query, *args: there.server.query(there.name, (query, args)))

    async def flows(self, server: str) -> list[Any]:
        """Those about a server that have not ended. Raises: OSError while the database is away."""
        query = "SELECT id FROM compute_flows WHERE subject = $1 AND state NOT IN ('done', 'failed')"
        try:
            return list(await asyncio.to_thread(self.there.server.query, self.there.name, (query, (server,))))
        except asyncpg.PostgresError as error:
            raise ConnectionError(str(error)) from error

    async def settled(self, *, is_end: bool = False) -> list[str]:
        """What is wrong once reconcilers have had their time. Networks that are left on hosts count in the end only."""
        end = time.monotonic() + REST_S
        while True:
            found = [f"audit: {finding}" for finding in await self._audit()]
            found += [one for one in violations(self.held()) if is_end or not one.endswith(ON_NEXT_PASS)]
            if not found or time.monotonic() > end:
                return found
            await asyncio.sleep(0.5)

    async def _audit(self) -> list[Any]:
        try:
            return list((await self.admin.get("pileus", "/audit"))["findings"])
        except (Refused, *LOST) as error:
            return [repr(error)]


class _Play:
    def __init__(self, player: Player, outcome: Outcome, name: str):
        self.player, self.outcome, self.name = player, outcome, name
        self.there, self.user, self.cell = player.there, player.user, outcome.cell
        self.began = 0.0
        self.works: list[Awaitable[None]] = []

    def wrong(self, *words: str) -> None:
        self.outcome.wrong += words

    async def run(self) -> None:
        """Raises: AssertionError when something never comes."""
        await patiently(self.user.login)
        volume = await self.user.create_volume("data")
        await self.user.volume_at_rest(volume, REST_S)
        server, attached = "", ""
        if self.cell.scenario != "launch":
            server = await self.launch(volume)
            await self.user.at_rest(server, REST_S)
            if self.cell.scenario == "attach":
                attached = await self.user.create_volume("more")
                await self.user.volume_at_rest(attached, REST_S)
        ask = {
            "launch": lambda: self.login_and_launch(volume),
            "delete": lambda: self.user.delete("compute", f"/servers/{server}"),
            "attach": lambda: self.attach(server, attached),
            "reboot": lambda: self.reboot(server),
        }[self.cell.scenario]
        answer = await self.under_fault(ask)
        server = await self.named(server, answer)
        seen = await self.at_rest(server) if server else None
        await self.judge(seen, server, answer)
        if attached and not isinstance(answer, Exception):
            volume_seen = await patiently(lambda: self.user.volume(attached))
            if volume_seen is None or volume_seen["status"] != "in-use":
                self.wrong(f"the volume was not attached: {volume_seen}")
        self.outcome.seconds = time.monotonic() - self.began if self.began else 0.0
        await asyncio.gather(*self.works)
        await self.there.restore()
        self.wrong(*await self.player.settled())
        if server:
            self.wrong(*once(self.player, server, boots=2 if self.cell.scenario == "reboot" else 1))
            await self.remove(server)
        for one in filter(None, (volume, attached)):
            await patiently(lambda one=one: self.user.delete("volume", f"/volumes/{one}"))  # type: ignore[misc]
            await self.user.volume_at_rest(one, REST_S)
        self.wrong(*await self.player.settled())

    # -- requests -------------------------------------------------------------------------------------------------
    async def login_and_launch(self, volume: str) -> str:
        await self.user.login()
        return await self.launch(volume)

    async def launch(self, volume: str) -> str:
        ids = self.player.ids
        disks = [
            {"uuid": ids["image"], "source_type": "image", "destination_type": "local", "boot_index": 0},
            {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        ]
        return await self.user.launch(
            self.name, flavor=ids["flavor"], image=ids["image"], networks=[{"uuid": ids["network"]}],
            block_device_mapping_v2=disks,
        )  # fmt: skip

    async def attach(self, server: str, volume: str) -> None:
        body = {"volumeAttachment": {"volumeId": volume}}
        await self.user.post("compute", f"/servers/{server}/os-volume_attachments", body)

    async def reboot(self, server: str) -> None:
        await self.user.post("compute", f"/servers/{server}/action", {"reboot": {"type": "HARD"}})

    # -- the fault ------------------------------------------------------------------------------------------------
    async def under_fault(self, ask: Callable[[], Awaitable[T]]) -> T | Exception:
        """What the request came to, with the fault at its place."""
        fault, place = self.cell.fault, self.cell.place
        does = {"kill": KILL, "stop": STOP, "double": DOUBLE, "drop": DROP}.get(fault, TELL)
        self.there.arm(place.part, place.seams, does)
        befalls = asyncio.ensure_future(self.befall())
        try:
            return await ask()
        except (Refused, *LOST) as error:
            return error
        finally:
            try:
                async with asyncio.timeout(20.0):
                    await befalls
            except TimeoutError:
                self.wrong("the place was not reached")

    async def befall(self) -> None:
        """Do at the place what the fault is, and see to it that it ends."""
        fault = self.cell.fault
        member = await self.sprung()
        self.began = time.monotonic()
        if fault == "kill":
            await member.ended()
            self.later(member.start())
        elif fault == "stop":
            self.later(self.wake(member))
        elif fault not in ("double", "drop"):
            told = await self.there.told()
            self.later(self.strike(fault, member))
            await asyncio.sleep(0)
            told.write(b"go on")
            told.close()

    async def sprung(self) -> Member:
        while (member := self.there.sprung()) is None:
            await asyncio.sleep(0.005)
        return member

    def later(self, work: Any) -> None:
        self.works.append(asyncio.ensure_future(work))

    async def wake(self, member: Member) -> None:
        await asyncio.sleep(STOPPED_S)
        member.wake()

    async def strike(self, fault: str, member: Member) -> None:
        """Begins at once and ends some seconds later."""
        there, step = self.there, self.cell.step
        if fault != "cut":
            await befalls_ground(there, fault)
            return
        names = [member.name] if step.link in member.parts else there.members_with(step.link)
        await befalls_ways(there.ways_of(names, step.to))

    # -- afterwards -----------------------------------------------------------------------------------------------
    async def named(self, server: str, answer: Any) -> str:
        """The server that is there now."""
        if server or isinstance(answer, str):
            return server or answer
        await asyncio.gather(*self.works)
        found = await patiently(lambda: self.user.get("compute", "/servers", query={"name": f"^{self.name}$"}))
        return str(found["servers"][0]["id"]) if found["servers"] else ""

    async def at_rest(self, server: str) -> Any:
        """The server once it shows nothing in flight, and nothing is."""
        end = time.monotonic() + REST_S
        while await patiently(lambda: self.player.flows(server)):
            assert time.monotonic() < end, f"never: the flows about {server} end"
            await asyncio.sleep(0.05)
        return await patiently(lambda: self.user.at_rest(server, REST_S))

    async def judge(self, seen: Any, server: str, answer: Any) -> None:
        """Before the promise a clean error and nothing; after it what was asked for, or an error that names the cause.

        Who lost his connection does not know which.
        """
        if isinstance(answer, Exception):
            self.outcome.result = _words(answer)
            if isinstance(answer, Refused):
                self._judge_refusal(answer, server)
        if self.cell.scenario == "launch" and not server:
            if not isinstance(answer, Exception):
                self.wrong("a promise was lost")
            return
        status = "gone" if seen is None else seen["status"]
        self.outcome.result = " ".join(filter(None, (self.outcome.result, status)))
        if status == "ERROR":
            text = seen.get("fault", {}).get("message", "")
            self.outcome.result += f" ({text})"
            if not names_cause(text):
                self.wrong(f"the fault does not name the cause: {text}")
        elif status != ("gone" if self.cell.scenario == "delete" else "ACTIVE") and not isinstance(answer, Exception):
            self.wrong(f"the server is {status}")

    def _judge_refusal(self, answer: Refused, server: str) -> None:
        is_unknown = b"look whether it was done" in answer.answer.body
        if answer.answer.status not in (500, 502, 503, 504) or b"nexpected" in answer.answer.body:
            self.wrong(f"no clean error: {answer}")
        if self.cell.scenario == "launch" and server and not is_unknown:
            self.wrong(f"refused, and the server is there: {answer}")

    async def remove(self, server: str) -> None:
        """A delete works now, and leaves nothing."""

        async def delete() -> None:
            with contextlib.suppress(Refused):
                await self.user.delete("compute", f"/servers/{server}")

        await patiently(delete)
        seen = await patiently(lambda: self.user.at_rest(server, REST_S))
        if seen is not None:
            self.wrong(f"a delete leaves it {seen['status']}")
        ends = asyncio.get_running_loop().time() + LOOKED_S
        while (left := self.player.held().of(server)) and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.2)  # a host that seemed dead removes its guest when it looks
        if left:
            self.wrong(f"a delete leaves {left}")


async def befalls_ground(there: FaultCluster, fault: str) -> None:
    """The database or the broker dies at once, and comes back."""
    if fault == "database":
        there.stop_database()
        await asyncio.to_thread(there.start_database)
    else:
        there.kill_broker(wiped=fault == "wipe")
        await asyncio.to_thread(there.start_broker)


async def befalls_ways(ways: Sequence[Way]) -> None:
    """They are cut at once, and mended after two leases."""
    for way in ways:
        way.cut()
    await asyncio.sleep(CUT_S)
    for way in ways:
        way.mend()


def names_cause(fault: str) -> bool:
    """Whether the fault of a server says who did not do his part."""
    return any(cause in fault.lower() for cause in CAUSES)


def _words(answer: Exception) -> str:
    if not isinstance(answer, Refused):
        return "lost"
    return f"refused {answer.answer.status}"


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask as a client with ordinary retries does. Raises: the last error."""
    end = time.monotonic() + 30.0
    while True:
        try:
            return await ask()
        except (Refused, *LOST) as error:
            if time.monotonic() > end or (isinstance(error, Refused) and error.answer.status < 500):
                raise
        await asyncio.sleep(0.2)


def once(player: Player, server: str, boots: int) -> list[str]:
    """By the hypervisors' own journals: no guest was made twice for one epoch, none booted more often than asked."""
    found = []
    for file in sorted(player.there.state.glob("hosts/*/fake-guests.journal")):
        births: Counter[int] = Counter()
        before: FakeGuest | None = None
        for server_id, guest in records(file.read_bytes()):
            if server_id != server:
                continue
            if guest is not None and (before is None or guest.epoch != before.epoch):
                births[guest.epoch] += 1
            if guest is not None and guest.boots > boots:
                found.append(f"{file.parent.name} booted {server} {guest.boots} times")
            before = guest
        found += [
            f"{file.parent.name} made {server} {n} times at epoch {epoch}" for epoch, n in births.items() if n > 1
        ]
    return found


def records(raw: bytes) -> list[tuple[str, FakeGuest | None]]:
    """All that a fake hypervisor ever wrote, in order."""
    decode = msgspec.msgpack.Decoder(tuple[str, FakeGuest | None]).decode
    found, position = [], len(MAGIC)
    while position + _FRAME.size <= len(raw):
        length, _ = _FRAME.unpack_from(raw, position)
        body = raw[position + _FRAME.size : position + _FRAME.size + length]
        if len(body) < length:
            break
        found.append(decode(body))
        position += _FRAME.size + length
    return found
