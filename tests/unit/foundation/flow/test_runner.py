"""The flow engine under every misfortune: a step that fails, a process that dies at any seam, a runner that wakes late.

The judge is the world that the steps touch, never the journal.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus.foundation import errors
from pileus.foundation.database import Migration, Schema, SqliteDatabase
from pileus.foundation.flow import Flow, FlowRecord, NewFlow, Runner, StaleEpoch, Step, StepContext
from pileus.foundation.flow.journal import SqlJournal, flow_tables
from pileus.foundation.flow.model import ENDED, Entry
from pileus.foundation.runtime import Crashed
from pileus.foundation.simulation import SimulatedRuntime, simulate

SCHEMA = Schema("toy", (Migration(1, "first", flow_tables("toy")),))
NAMES = ("disk", "port", "guest")


class Params(msgspec.Struct):
    subject: str


@dataclass
class World:
    """What the steps make outside; `refuse` names the steps that fail, `stubborn` the undos that do."""

    made: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    stubborn: set[str] = field(default_factory=set)
    hang: set[str] = field(default_factory=set)
    cut_off_until: float = 0.0  # on the simulated clock: nobody can be reached before
    deaf: bool = False  # whoever reports a failure fails

    def check_reach(self, context: "StepContext[World]") -> None:
        if context.runtime.monotonic() < self.cut_off_until:
            raise errors.CutOff("the bus is away")


def step(name: str) -> Step:
    async def do(context: StepContext[World], params: Params) -> str:
        world = context.services
        world.check_reach(context)
        world.ran.append(name)
        world.made[name] = params.subject  # named by what the journal knows: repeating makes one thing
        if name in world.hang:
            await context.runtime.sleep(1e6)
        if name in world.refuse:
            raise errors.NoCapacity(f"no {name}")
        await context.runtime.sleep(0.01)
        return f"{name} of {params.subject}"

    async def undo(context: StepContext[World], params: Params) -> None:
        context.services.check_reach(context)
        if name in context.services.stubborn:
            raise errors.Conflict(f"{name} stays")
        context.services.made.pop(name, None)

    return Step(name, do, undo, timeout_s=30.0)


async def on_failure(context: StepContext[World], params: Params, error: errors.Error) -> None:
    if context.services.deaf:
        raise errors.Conflict("nobody listens")
    context.services.failed.append(error.text)


def again(error: errors.Error, attempt: int) -> bool:
    return attempt < 2 and "port" in error.text


TOY = Flow("toy", 1, Params, tuple(step(name) for name in NAMES), on_failure, again=again)


class Process:
    """One life of a process over the database in `path` and the world."""

    def __init__(self, path: Path, world: World, chance: random.Random, *, lease_s: float = 5.0, boot: str = "b1"):
        self.runtime = SimulatedRuntime("toy", chance, boot)
        self.database = SqliteDatabase(path, self.runtime)
        self.journal = SqlJournal("toy", self.database, self.runtime)
        self.runner = Runner(self.journal, [TOY], world, self.runtime, lease_s=lease_s)

    async def begin(self) -> None:
        await self.database.migrate(SCHEMA)
        self.runtime.spawn(self.runner.keep(), "keep")

    async def ended(self, flow_id: str = "f") -> FlowRecord:
        while True:
            record = await self.journal.get(flow_id)
            if record is not None and record.state in (*ENDED, "stuck"):
                return record
            await asyncio.sleep(0.05)


NEW = NewFlow("f", "toy", 1, "s1", {"subject": "s1"})


async def calm(process: Process) -> None:
    """Nothing happens meanwhile."""


def run_alone(path: Path, world: World, meanwhile: Callable[[Process], Awaitable[None]] = calm) -> FlowRecord:
    """One flow on one process; `meanwhile` is done while it runs."""

    async def history(chance: random.Random) -> FlowRecord:
        process = Process(path / "toy.db", world, chance)
        await process.begin()
        await process.runner.start(NEW)
        await meanwhile(process)
        return await process.ended()

    return simulate(1, history)


def test_every_step_is_done_once_and_in_order(tmp_path: Path) -> None:
    world = World()
    record = run_alone(tmp_path, world)
    assert (record.state, world.ran, list(world.made)) == ("done", list(NAMES), list(NAMES))
    assert [line.output for line in record.steps] == [f"{name} of s1" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_failing_step_leaves_nothing(tmp_path: Path, name: str) -> None:
    world = World(refuse={name})
    record = run_alone(tmp_path, world)
    assert (record.state, world.made, world.failed) == ("failed", {}, [f"no {name}"])
    assert record.attempt == (2 if name == "port" else 1)


def test_a_stubborn_undo_parks_the_flow_and_says_so(tmp_path: Path) -> None:
    world = World(refuse={"guest"}, stubborn={"disk"})
    record = run_alone(tmp_path, world)
    assert (record.state, list(world.made)) == ("stuck", ["disk"])
    assert "could not be taken back at step disk" in world.failed[0]


def test_a_flow_that_is_begun_twice_runs_once(tmp_path: Path) -> None:
    world = World()

    async def history(chance: random.Random) -> None:
        process = Process(tmp_path / "toy.db", world, chance)
        await process.begin()
        await asyncio.gather(*(process.runner.start(NEW) for _ in range(3)))
        await process.ended()
        await process.runner.start(NEW)
        await asyncio.sleep(1)

    simulate(1, history)
    assert world.ran == list(NAMES)


def test_a_step_that_hangs_is_given_up_and_undone(tmp_path: Path) -> None:
    world = World(hang={"guest"})
    record = run_alone(tmp_path, world)
    assert (record.state, world.made) == ("failed", {})
    assert "guest did not finish within 30" in world.failed[0]


AWAY_S = 3600.0


def test_a_runner_that_is_cut_off_waits_and_uses_up_no_try(tmp_path: Path) -> None:
    world = World(cut_off_until=AWAY_S)
    record = run_alone(tmp_path, world)
    assert (record.state, record.attempt, world.ran) == ("done", 1, list(NAMES))


def test_what_is_to_be_undone_waits_for_the_end_of_a_cut_too(tmp_path: Path) -> None:
    world = World(refuse={"guest"})

    async def cut_off_at_the_last_step(process: Process) -> None:
        while "guest" not in world.ran:
            await asyncio.sleep(0.001)
        world.cut_off_until = AWAY_S

    record = run_alone(tmp_path, world, cut_off_at_the_last_step)
    assert (record.state, world.made, world.failed) == ("failed", {}, ["no guest"])


def test_a_flow_can_be_cancelled_though_its_runner_is_cut_off(tmp_path: Path) -> None:
    world = World(cut_off_until=AWAY_S)

    async def cancel(process: Process) -> None:
        await asyncio.sleep(100)
        await process.database.transact(lambda tx: process.journal.cancel(tx, "f"))

    record = run_alone(tmp_path, world, cancel)
    assert (record.state, world.ran, world.made) == ("failed", [], {})


def test_cancelling_unwinds(tmp_path: Path) -> None:
    world = World()

    async def cancel(process: Process) -> None:
        await asyncio.sleep(0.015)
        await process.database.transact(lambda tx: process.journal.cancel(tx, "f"))

    record = run_alone(tmp_path, world, cancel)
    assert (record.state, world.made) == ("failed", {})
    assert len(world.ran) < len(NAMES)


def seams(path: Path, world: World, *, die_at: int | None) -> tuple[int, FlowRecord | None]:
    """Run the toy, dying at the given seam (None: never) and going on in a new life; how many seams there were."""

    async def history(chance: random.Random) -> tuple[int, FlowRecord | None]:
        first = Process(path, world, chance)
        await first.begin()
        seen = 0

        def reached(runtime: SimulatedRuntime, point: str, *facts: str) -> None:
            nonlocal seen
            seen += 1
            if seen == die_at:
                runtime.crash()

        first.runtime.on_reached = reached
        died = False
        try:
            await first.runner.start(NEW)
            task = asyncio.ensure_future(first.ended())
            while not task.done() and first.runtime.alive:
                await asyncio.sleep(0.01)
            died = not first.runtime.alive
            task.cancel()
        except Crashed:
            died = True
        if not died:
            return seen, await first.journal.get("f")
        second = Process(path, world, chance)
        await second.begin()
        await second.runner.recover()
        if await second.journal.get("f") is None:
            return seen, None
        return seen, await second.ended()

    return simulate(7, history)


@pytest.mark.parametrize("refuse", ["", "disk", "port", "guest"])
def test_dying_at_any_seam_ends_complete_or_with_nothing_left(tmp_path: Path, refuse: str) -> None:
    refused = {refuse} if refuse else set()
    count, _ = seams(tmp_path / "count.db", World(refuse=set(refused)), die_at=None)
    assert count > 12
    for die_at in range(1, count + 1):
        world = World(refuse=set(refused))
        _, record = seams(tmp_path / f"{die_at}.db", world, die_at=die_at)
        if record is None:
            assert world.made == {}, f"seam {die_at}"
        elif refuse:
            assert (record.state, world.made) == ("failed", {}), f"seam {die_at}"
        else:
            assert (record.state, list(world.made)) == ("done", list(NAMES)), f"seam {die_at}"


def test_after_a_changed_boot_id_even_steps_that_the_journal_lacks_are_undone(tmp_path: Path) -> None:
    world = World(made={"guest": "s1"}, refuse={"disk"})  # the guest was made; the journal's line of it was lost

    async def history(chance: random.Random) -> FlowRecord:
        first = Process(tmp_path / "toy.db", world, chance)
        await first.database.migrate(SCHEMA)
        await first.journal.start(NEW, "somebody else")
        first.runtime.crash()
        second = Process(tmp_path / "toy.db", world, chance, boot="b2")
        await second.begin()
        await second.runner.recover()
        return await second.ended()

    assert simulate(1, history).state == "failed"
    assert world.made == {}


def test_an_abandoned_flow_is_adopted_after_a_lease_and_the_old_runner_is_refused(tmp_path: Path) -> None:
    world = World()

    async def history(chance: random.Random) -> None:
        first = Process(tmp_path / "toy.db", world, chance, lease_s=2.0)
        await first.database.migrate(SCHEMA)
        record = await first.journal.start(NEW, "stopped process")
        second = Process(tmp_path / "toy.db", world, chance, lease_s=2.0)
        await second.begin()
        await asyncio.sleep(1.5)
        assert world.ran == []
        assert (await second.ended()).epoch == 2
        with pytest.raises(StaleEpoch):
            await first.journal.write(Entry("f", record.epoch, 1, []))

    simulate(3, history)
    assert world.ran == list(NAMES)
    assert list(world.made) == list(NAMES)


def test_a_runner_hears_of_a_cancellation_that_nobody_told_it(tmp_path: Path) -> None:
    async def history(chance: random.Random) -> None:
        process = Process(tmp_path / "toy.db", World(hang={"guest"}), chance, lease_s=3.0)
        await process.begin()
        await process.runner.start(NEW)
        await asyncio.sleep(0.5)
        other = Process(tmp_path / "toy.db", World(), chance)
        await other.database.transact(lambda tx: other.journal.cancel(tx, "f"))
        _, context = process.runner._running["f"]
        assert not context.cancelled.is_set()
        await asyncio.sleep(1.5)
        assert context.cancelled.is_set()

    simulate(1, history)


def test_a_runner_that_wakes_after_its_flow_was_adopted_leaves_it_alone(tmp_path: Path) -> None:
    world = World(hang={"guest"})

    async def history(chance: random.Random) -> None:
        slow = Process(tmp_path / "toy.db", world, chance, lease_s=3.0)
        await slow.begin()
        await slow.runner.start(NEW)
        await asyncio.sleep(0.5)
        assert slow.runner.under_way == ["f"]
        assert await slow.journal.claim("f", 1, "another process") is not None
        await asyncio.sleep(1.5)
        assert slow.runner.under_way == []
        record = await slow.journal.get("f")
        assert record is not None and (record.state, record.epoch) == ("running", 2)

    simulate(1, history)
    assert list(world.made) == list(NAMES)  # nothing was taken back under the hands of the other


def test_a_runner_leaves_flows_that_it_does_not_know_to_others(tmp_path: Path) -> None:
    async def history(chance: random.Random) -> Any:
        process = Process(tmp_path / "toy.db", World(), chance, lease_s=1.0)
        await process.begin()
        await process.journal.start(NewFlow("n", "toy", 2, "s1", {"subject": "s1"}), "newer release")
        await asyncio.sleep(10)
        return await process.journal.get("n")

    record = simulate(1, history)
    assert (record.owner, record.epoch, record.steps) == ("newer release", 1, [])


def test_a_failure_that_cannot_be_reported_is_parked_and_not_tried_for_ever(tmp_path: Path) -> None:
    world = World(refuse={"guest"}, deaf=True)
    record = run_alone(tmp_path, world)
    assert (record.state, world.made) == ("stuck", {})
    assert world.ran == list(NAMES)
