"""The 28 steps as data, and the document that is drawn from the tables."""

import re
from pathlib import Path

import pytest

from pileus.compute.domain.launch_steps import BY_NUMBER, LAST, PARTS, STEPS, SUB_STEPS, find_step
from pileus.compute.domain.server_actions import EVENTS, INSTANCE_ACTIONS, NOTIFICATIONS
from pileus.compute.domain.server_states import RULES
from tools.life_of_a_server import DOCUMENT, SECTIONS, parts_of, render

DESIGN = Path(__file__).resolve().parents[5] / "shared" / "design.md"


def test_the_steps_are_1_to_28_in_order() -> None:
    assert [step.number for step in STEPS] == list(range(1, 29))
    assert LAST == 28
    assert all(BY_NUMBER[step.number] is step for step in STEPS)


def test_every_step_is_between_two_known_parts() -> None:
    assert {part for step in (*STEPS, *SUB_STEPS) for part in (step.source, step.target)} == set(PARTS)
    assert all(step.source != step.target for step in (*STEPS, *SUB_STEPS))


def test_parts_of_steps_are_found_by_number_and_letter() -> None:
    assert [step.label for step in SUB_STEPS] == ["6a", "6b", "6c", "10a"]
    assert find_step(10, "a") is SUB_STEPS[-1]
    assert (find_step(10, "b"), find_step(29), find_step(0)) == (None, None, None)


@pytest.mark.skipif(not DESIGN.exists(), reason=f"no design at {DESIGN}")
def test_the_steps_are_those_of_the_design() -> None:
    section = DESIGN.read_text(encoding="utf-8").split("## 5. ", 1)[1]
    rows = re.findall(r"^\| (\d+) \| ([a-z-]+) (?:<-|-)> ([a-z-]+) \|", section, re.MULTILINE)
    assert [(int(number), source, target) for number, source, target in rows] == [
        (step.number, step.source, step.target) for step in STEPS
    ]


def test_the_document_is_as_the_code_says() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert render(document) == document, "draw it again: .venv/bin/python -m tools.life_of_a_server"
    assert sorted(parts_of(document)) == sorted(SECTIONS)


def test_a_stale_document_is_found() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert render(document.replace("| 28 | compute-host |", "| 28 | nobody |")) == document


def test_every_action_that_changes_a_state_is_recorded() -> None:
    changing = {action for action, rule in RULES.items() if not rule.is_guard}
    assert changing <= set(INSTANCE_ACTIONS)
    assert set(EVENTS) == set(INSTANCE_ACTIONS)
    assert set(NOTIFICATIONS) <= set(INSTANCE_ACTIONS)
