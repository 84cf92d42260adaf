"""Every flow under every misfortune: afterwards it is complete, or nothing of it is left, and whoever looks sees why.

A share of the seams is tried each time; with PILEUS_SHARE=1 all of them are.
"""

import os
import zlib
from collections.abc import Iterator
from functools import cache

import pytest

from tests.cloud import User
from tests.flows.scenarios import NAME, SCENARIOS
from tests.flows.stage import Outcome, Scenario, Seam, Stage, Theatre
from tests.flows.troubles import Calm, Death, Deleted, Failing, Hiccup, Stubborn

SHARE = int(os.environ.get("PILEUS_SHARE", "8"))
"""One in so many seams is tried."""

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
WITHOUT_SERVER = ("create-volume", "create-volume-from-image", "delete-volume", "extend-volume", "import-image",
                  "create-snapshot", "delete-snapshot")  # fmt: skip
WITH_SERVER = [one for one in SCENARIOS if one.name not in WITHOUT_SERVER]

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=str)


class Trials:
    """Collects what went wrong in many plays, so that one run shows all of it."""

    def __init__(self) -> None:
        self.plays = 0
        self.wrong: list[str] = []

    def judge(self, what: object, outcome: Outcome, *, is_fine: bool) -> None:
        self.plays += 1
        self.wrong += [f"{what}: {one}" for one in outcome.wrong]
        if not is_fine:
            self.wrong.append(f"{what}: complete {outcome.is_complete}, undone {outcome.is_undone}")

    def verdict(self) -> None:
        assert self.plays
        assert not self.wrong, "\n".join(self.wrong)


def seams_of(house: Theatre, scenario: Scenario) -> list[Seam]:
    """What a calm run comes by."""
    return _calm(house, scenario).seams


@cache
def _calm(house: Theatre, scenario: Scenario) -> Outcome:
    return house.play(scenario, Calm())


def share(seams: list[Seam], salt: str) -> Iterator[Seam]:
    """One in `SHARE`, others for each salt."""
    begin = zlib.crc32(salt.encode()) % SHARE
    yield from seams[begin::SHARE]


def steps_of(house: Theatre, scenario: Scenario) -> list[tuple[str, str]]:
    """(flow, step) in the order in which they are first taken."""
    found = [seam.facts for seam in seams_of(house, scenario) if seam.point == "step.before"]
    return list(dict.fromkeys((flow, step) for flow, step in found))


# -- nothing happens --------------------------------------------------------------------------------------------------
@every_scenario
def test_in_calm_every_flow_completes(house: Theatre, scenario: Scenario) -> None:
    outcome = _calm(house, scenario)
    assert outcome.wrong == []
    assert outcome.is_complete
    assert {flow for flow, _ in steps_of(house, scenario)} == set(scenario.flows)


# -- steps fail -------------------------------------------------------------------------------------------------------
@every_scenario
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_step_that_fails_leaves_all_or_nothing(house: Theatre, scenario: Scenario, when: str) -> None:
    trials = Trials()
    for flow, step in steps_of(house, scenario):
        for times in (1, 1000):
            outcome = house.play(scenario, Failing(flow, step, when, times))
            is_fine = outcome.is_complete or outcome.is_undone or outcome.is_broken
            trials.judge(f"{flow}.{step} fails {times} times", outcome, is_fine=is_fine)
    trials.verdict()


@pytest.mark.parametrize("name", ["launch", "launch-on-volumes"])
def test_a_launch_that_fails_on_one_host_comes_up_on_another(house: Theatre, name: str) -> None:
    trials = Trials()
    for flow, step in steps_of(house, BY_NAME[name]):
        for when in ("before", "after"):
            if flow == "build-server":
                outcome = house.play(BY_NAME[name], Failing(flow, step, when, 1))
                trials.judge(f"{step} fails {when} its work", outcome, is_fine=outcome.is_complete)
    trials.verdict()


@every_scenario
def test_a_step_that_is_repeated_does_its_work_once(house: Theatre, scenario: Scenario) -> None:
    trials = Trials()
    for flow, step in steps_of(house, scenario):
        outcome = house.play(scenario, Failing(flow, step, "after", 1, Hiccup))
        trials.judge(f"{flow}.{step} is done twice", outcome, is_fine=outcome.is_complete)
    trials.verdict()


# -- the process dies -------------------------------------------------------------------------------------------------
@every_scenario
def test_a_process_that_dies_anywhere_leaves_all_or_nothing(house: Theatre, scenario: Scenario) -> None:
    trials = Trials()
    for seam in share(seams_of(house, scenario), scenario.name):
        outcome = house.play(scenario, Death(seam.number))
        trials.judge(f"dies at {seam}", outcome, is_fine=outcome.is_complete or outcome.is_undone)
    trials.verdict()


@every_scenario
def test_a_machine_that_dies_anywhere_leaves_all_or_nothing(house: Theatre, scenario: Scenario) -> None:
    trials = Trials()
    for seam in share(seams_of(house, scenario), f"boot {scenario.name}"):
        outcome = house.play(scenario, Death(seam.number, boot_id="second boot"))
        trials.judge(f"reboots at {seam}", outcome, is_fine=outcome.is_complete or outcome.is_undone)
    trials.verdict()


@every_scenario
def test_a_process_that_dies_while_it_takes_back_leaves_all_or_nothing(house: Theatre, scenario: Scenario) -> None:
    trials = Trials()
    for flow, step in steps_of(house, scenario):
        failing = house.play(scenario, Failing(flow, step, "after", 1))
        began = next(n for n, seam in enumerate(failing.seams) if seam.facts == (flow, step) and "after" in seam.point)
        for seam in share(failing.seams[began:], f"{scenario.name} {flow} {step}"):
            outcome = house.play(scenario, Death(seam.number, Failing(flow, step, "after", 1)))
            is_fine = outcome.is_complete or outcome.is_undone or outcome.is_broken
            trials.judge(f"{flow}.{step} fails, then dies at {seam}", outcome, is_fine=is_fine)
    trials.verdict()


# -- somebody changes his mind ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("scenario", WITH_SERVER, ids=str)
def test_a_server_that_is_deleted_at_any_moment_is_gone(house: Theatre, scenario: Scenario) -> None:
    trials = Trials()
    for seam in share(seams_of(house, scenario), f"delete {scenario.name}"):
        outcome = house.play(scenario, Deleted(seam.number))
        names = [server.name for server in outcome.held.servers.values()]
        is_fine = not names or (scenario.name.startswith("launch") and outcome.is_complete)  # asked for too early
        trials.judge(f"deleted at {seam}", outcome, is_fine=is_fine)
    trials.verdict()


# -- what cannot be taken back ----------------------------------------------------------------------------------------
async def resume_all(stage: Stage) -> None:
    """As an operator does: look at what is stuck, and let it be tried again."""
    admin: User = await stage.world.admin()
    flows = [flow for flow in (await admin.get("pileus", "/flows"))["flows"] if flow["state"] == "stuck"]
    assert flows, "nothing is stuck"
    found = {finding["subject"] for finding in await stage.world.audit() if finding["invariant"] == "no flow is stuck"}
    assert found == {flow["id"] for flow in flows}
    for flow in flows:
        assert "could not be taken back" in flow["error"]["text"]
        await admin.post("pileus", f"/flows/{flow['id']}/resume", {})


@pytest.mark.parametrize(
    ("name", "flow", "fails", "stays"),
    [
        ("launch", "build-server", "guest", "guest"),
        ("launch", "build-server", "guest", "ports"),
        ("launch", "launch-server", "place", "place"),
        ("launch-on-volumes", "build-server", "guest", "volumes"),
        ("attach-interface", "attach-interface", "guest", "port"),
        ("detach-port", "detach-interface", "port", "guest"),
        ("attach-volume", "attach-volume", "guest", "reserve"),
        ("detach-volume", "detach-volume", "guest", "mark"),
        ("create-volume", "create-volume", "make", "make"),
        ("import-image", "import-image", "bytes", "bytes"),
    ],
)
def test_what_is_stuck_can_be_seen_and_resumed(house: Theatre, name: str, flow: str, fails: str, stays: str) -> None:
    outcome = house.play(BY_NAME[name], Stubborn(flow, fails, stays), then=resume_all)
    assert outcome.wrong == []
    assert outcome.is_undone or outcome.is_broken or outcome.is_complete


@pytest.mark.parametrize("times", [1, 3])
def test_an_undo_that_fails_at_first_is_tried_again(house: Theatre, times: int) -> None:
    outcome = house.play(BY_NAME["launch"], Stubborn("build-server", "guest", "ports", times))
    assert outcome.wrong == []
    assert outcome.is_undone


def test_a_stuck_launch_is_deleted_all_the_same(house: Theatre) -> None:
    async def delete(stage: Stage) -> None:
        for server_id in await stage.named(NAME):
            await stage.user.delete("compute", f"/servers/{server_id}")

    outcome = house.play(BY_NAME["launch"], Stubborn("launch-server", "place", "place"), then=delete)
    assert outcome.wrong == []
    assert not outcome.held.servers
