"""The fault matrix: its data, and a part of it on a real cluster. `python -m tests.faults` plays all of it."""

from tests.conftest import Run
from tests.faults.__main__ import played
from tests.faults.places import FAULTS, LAUNCH, SCENARIOS, Cell, cells, part
from tests.faults.play import Outcome
from tests.faults.table import outcomes_in, written
from tests.faults.walk import walk
from tools.paper import PAPER

SECTIONS = ("matrix", "walk", "histories", "power", "town", "grow", "hosts", "beside")


def test_the_matrix_has_all_steps_of_a_launch() -> None:
    numbers = {"".join(letter for letter in step.name if letter.isdigit()) for step in LAUNCH}
    assert numbers == {str(number) for number in range(1, 29)}


def test_each_cell_is_played_or_says_why_it_cannot_be() -> None:
    for scenario, steps in SCENARIOS.items():
        names = [step.name for step in steps]
        assert len(set(names)) == len(names)
        for cell in cells(scenario):
            assert cell.reason or cell.place.part
            assert cell.reason or cell.fault != "cut" or (cell.step.link and cell.step.to), cell


def test_the_part_has_each_step_and_each_fault() -> None:
    chosen = part()
    assert {cell.step.name for cell in chosen if cell.scenario == "launch"} == {str(n) for n in range(1, 29)}
    assert {cell.fault for cell in chosen} == set(FAULTS)
    assert {cell.scenario for cell in chosen} == set(SCENARIOS)


def test_each_step_survives_a_fault(run: Run) -> None:
    wrong = [str(outcome) for outcome in run(played, part()) if not outcome.is_fine]
    assert not wrong, "\n".join(wrong)


def test_a_walk_of_some_turns_leaves_everything_as_it_should_be(run: Run) -> None:
    turns, wrong, _ = run(walk, 7, 40.0)
    assert turns > 1
    assert not wrong, wrong


def test_the_paper_is_written_from_what_runs_print() -> None:
    cell = Cell("launch", LAUNCH[0], "kill")
    lines = [str(Outcome(cell, "ACTIVE", 1.25)), "something else", str(Outcome(cell, "lost", 0.5, ["a row is left"]))]
    (found,) = outcomes_in(lines, cells("launch"))
    assert (found.cell, found.result, found.seconds, found.is_fine) == (cell, "lost", 0.5, False)
    assert "**WRONG**" in written(list(cells("launch")), [found])
    for section in SECTIONS:
        assert PAPER.read_text().count(f"{section}: written by the command") == 1
