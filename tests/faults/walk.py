"""A random walk: tenants and faults drawn from one seed, and after every turn all invariants.

    python -m tests.faults.walk [--seconds 600] [--seed N] [--write]

A seed draws the same turns again; what the machine's own clock decides within a turn may differ.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from tests.cloud import Refused
from tests.faults.places import FAULTS
from tests.faults.play import LOST, REST_S, Player, befalls_ground, befalls_ways, names_cause, patiently
from tests.faults.stage import PROCESSES, STOPPED_S, FaultCluster, fault_cluster, furnish
from tests.faults.trap import DOUBLE, DROP
from tools.paper import put

ACTIONS = ("launch", "launch", "launch", "delete", "delete", "reboot", "stop", "start", "attach", "rebuild")
MOST = 8  # servers at once
MESSAGES = (  # part, seam: what may be lost or doubled
    ("compute-api", ["call.before", "scheduler"]), ("scheduler", ["take.before", "scheduler"]),
    ("scheduler", ["cast.before", "compute-host"]), ("scheduler", ["reply.before", "scheduler"]),
    ("compute-host", ["take.before", "compute-host"]), ("compute-host", ["call.before", "conductor", "journal"]),
    ("conductor", ["take.before", "conductor", "journal"]), ("conductor", ["reply.before", "conductor", "server"]),
    ("network", ["cast.before", "network-host"]), ("compute-host", ["reply.before", "compute-host"]),
    ("volume-host", ["reply.before", "volume-host"]),
)  # fmt: skip


@dataclass
class Turn:
    """What happens in one turn, as drawn: each choice is a number in [0, 1) among what there is then."""

    number: int
    actions: list[tuple[str, float]]
    fault: str
    victim: float
    moment_s: float

    def __str__(self) -> str:
        return f"{self.number}: {', '.join(action for action, _ in self.actions)}; {self.fault or 'calm'}"


def draw(chance: random.Random, number: int) -> Turn:
    actions = [(chance.choice(ACTIONS), chance.random()) for _ in range(chance.randint(1, 4))]
    fault = chance.choice([*FAULTS, ""])
    return Turn(number, actions, fault, chance.random(), chance.random() * 0.4)


@dataclass
class Walk:
    """The cloud of one tenant, and what he knows to have been promised."""

    player: Player
    servers: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    _count: int = 0

    @property
    def there(self) -> FaultCluster:
        return self.player.there

    async def take(self, turn: Turn) -> list[str]:
        """One turn; returns what is wrong after it."""
        await patiently(self.player.user.login)
        befalls = asyncio.ensure_future(self._befall(turn))
        chosen = [self._chosen(action, pick) for action, pick in turn.actions]
        await asyncio.gather(*(self._do(action, server) for action, server in chosen))
        await befalls
        await self.there.restore()
        await self.look()
        wrong = [said for server in self.servers for said in await self._rests(server)]
        return wrong + await self.player.settled()

    def _chosen(self, action: str, pick: float) -> tuple[str, str]:
        if not self.servers or (action == "launch" and len(self.servers) < MOST):
            return "launch", ""
        return ("delete" if action == "launch" else action), self.servers[int(pick * len(self.servers))]

    async def _do(self, action: str, server: str) -> None:
        """As a tenant whose client tries nothing again: what is refused now may be asked for in another turn."""
        user, ids = self.player.user, self.player.ids
        self._count += 1
        acts: dict[str, Any] = {
            "reboot": {"reboot": {"type": "HARD"}}, "stop": {"os-stop": None}, "start": {"os-start": None},
            "rebuild": {"rebuild": {"imageRef": ids["image"]}},
        }  # fmt: skip
        try:
            if action == "launch":
                name, networks = f"walker-{self._count}", [{"uuid": ids["network"]}]
                await user.launch(name, flavor=ids["flavor"], image=ids["image"], networks=networks)
            elif action == "delete":
                await user.delete("compute", f"/servers/{server}")
            elif action == "attach":
                volume = await user.create_volume(f"volume-{self._count}")
                await user.volume_at_rest(volume, REST_S)
                body = {"volumeAttachment": {"volumeId": volume}}
                await user.post("compute", f"/servers/{server}/os-volume_attachments", body)
            else:
                await user.post("compute", f"/servers/{server}/action", acts[action])
            self.seen[action] += 1
        except (Refused, *LOST):
            self.seen["refused or lost"] += 1

    async def _rests(self, server: str) -> list[str]:
        found = await patiently(lambda: self.player.user.at_rest(server, REST_S))
        if found is None:
            return []
        text = found.get("fault", {}).get("message", "")
        if found["status"] == "ERROR" and not names_cause(text):
            return [f"server {server} is in ERROR and does not say why: {text}"]
        return []

    async def look(self) -> None:
        """Learn which servers there are: also those whose promise was lost on the way."""
        found = await patiently(lambda: self.player.user.get("compute", "/servers"))
        self.servers = sorted(server["id"] for server in found["servers"])

    # -- faults ---------------------------------------------------------------------------------------------------
    async def _befall(self, turn: Turn) -> None:
        there, fault = self.there, turn.fault
        if fault in (DOUBLE, DROP):
            part, seam = MESSAGES[int(turn.victim * len(MESSAGES))]
            there.arm(part, [seam], fault)
            return
        await asyncio.sleep(turn.moment_s)
        member = there.members[PROCESSES[int(turn.victim * len(PROCESSES))][0]]
        if fault == "kill":
            await member.kill()
            await member.start()
        elif fault == "stop":
            member.pause()
            await asyncio.sleep(STOPPED_S)
            member.wake()
        elif fault == "cut":
            await befalls_ways([way for (name, _), way in there.ways.items() if name == member.name])
        elif fault:
            await befalls_ground(there, fault)


async def walk(seed: int, seconds: float, most: int = 1_000_000) -> tuple[int, list[str], Counter[str]]:
    """Returns how many turns were taken, what was wrong after the last one, and what was done how often."""
    chance = random.Random(seed)
    async with fault_cluster() as there:
        walker = Walk(Player(there, *await furnish(there)))
        end, number, wrong = time.monotonic() + seconds, 0, list[str]()
        while not wrong and number < most and time.monotonic() < end:
            number += 1
            turn = draw(chance, number)
            began = time.monotonic()
            wrong = await guarded(walker.take(turn))
            walker.seen[f"fault {turn.fault}" if turn.fault else "calm"] += 1
            print(f"{turn} ({time.monotonic() - began:.1f} s)", flush=True)
        if wrong:
            there.keep_logs(f"walk {seed} {number}")
        return number, wrong or await walker.player.settled(is_end=True), walker.seen


async def guarded(work: Awaitable[list[str]]) -> list[str]:
    try:
        return await work
    except (AssertionError, *LOST) as error:
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults.walk", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put what came of it into docs/reliability.md")
    given = parser.parse_args()
    turns, wrong, seen = asyncio.run(walk(given.seed, given.seconds))
    done = ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))
    what = "the last one wrong" if wrong else "none of them wrong"
    text = f"Seed {given.seed}: {turns} turns in {given.seconds:.0f} s, {what}: {done}."
    print(text)
    if given.write:
        put("walk", text)
    print(*wrong, sep="\n")
    print("1 failed" if wrong else "passed")
    sys.exit(bool(wrong))
