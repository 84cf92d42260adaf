"""The table of rules against the recorded facts: our own transcription, and the fact sheet itself where it lies by."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import (
    ANY,
    ANY_TASK,
    RULES,
    Action,
    PowerState,
    TaskState,
    VmState,
    advance,
    begin,
    finish,
)
from pileus.compute.domain.server_status import DEFAULT_STATUS, OVERRIDES, SHOW_PROGRESS, status_of

FACTS = Path(__file__).parent / "facts"
SHEET = Path(__file__).resolve().parents[5] / "shared" / "api" / "server-states.md"
NOW = 1_700_000_000_000_000

OPERATIONS: dict[str, Action] = {
    "create": Action.LAUNCH, "snapshot": Action.CREATE_IMAGE, "backup": Action.CREATE_BACKUP,
    "password": Action.CHANGE_PASSWORD, "soft reboot": Action.REBOOT_SOFT, "hard reboot": Action.REBOOT_HARD,
    "pause": Action.PAUSE, "unpause": Action.UNPAUSE, "suspend": Action.SUSPEND, "resume": Action.RESUME,
    "stop": Action.STOP, "start": Action.START, "rescue": Action.RESCUE, "unrescue": Action.UNRESCUE,
    "rebuild": Action.REBUILD, "evacuate": Action.EVACUATE, "resize": Action.RESIZE, "cold migrate": Action.MIGRATE,
    "revert": Action.REVERT_RESIZE, "confirm": Action.CONFIRM_RESIZE, "live migrate": Action.LIVE_MIGRATE,
    "shelve": Action.SHELVE, "unshelve": Action.UNSHELVE, "delete": Action.DELETE,
    "soft delete": Action.SOFT_DELETE, "restore": Action.RESTORE,
}  # fmt: skip


def rows(name: str) -> list[dict[str, str]]:
    with (FACTS / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def vm_states(text: str) -> frozenset[VmState]:
    return ANY if text == "any" else frozenset(VmState(word) for word in text.split())


def task_states(text: str) -> frozenset[TaskState | None]:
    if text == "any":
        return ANY_TASK
    if text.startswith("not "):
        return ANY_TASK - {TaskState(word) for word in text.split()[1:]}
    return frozenset(None if word == "null" else TaskState(word) for word in text.split())


@pytest.mark.parametrize("row", rows("accepted"), ids=lambda row: row["action"])
def test_each_rule_is_as_the_facts_say(row: dict[str, str]) -> None:
    rule = RULES[Action[row["action"]]]
    assert rule.vm_states == vm_states(row["vm_states"])
    assert rule.task_states == task_states(row["task_states"])
    assert (rule.lock, rule.host) == (row["lock"] == "L", row["host"] == "H")
    assert rule.launched == (row["launched"] == "yes")


def test_every_action_but_the_launch_has_a_row_of_facts() -> None:
    named = [row["action"] for row in rows("accepted")]
    assert len(named) == len(set(named))
    assert {Action[name] for name in named} == set(Action) - {Action.LAUNCH}


@pytest.mark.parametrize("row", rows("task_states"), ids=lambda row: row["operation"])
def test_task_states_come_in_the_order_of_the_facts(row: dict[str, str]) -> None:
    order = [None if word == "null" else word for word in row["task_states"].split()]
    assert list(RULES[OPERATIONS[row["operation"]]].shows) == order


@pytest.mark.parametrize("row", rows("status"), ids=lambda row: row["vm_state"])
def test_the_status_is_as_the_facts_say(row: dict[str, str]) -> None:
    vm_state = VmState(row["vm_state"])
    overrides = dict(pair.split("=") for pair in row["overrides"].split())
    shown = {task: status_of(vm_state, task) for task in (*TaskState, None)}
    assert shown == {task: overrides.get(task or "", row["default"]) for task in (*TaskState, None)}


@pytest.mark.parametrize("row", rows("sequences"), ids=lambda row: f"{row['action']} from {row['from']}")
def test_sequences_end_as_the_facts_say(row: dict[str, str], make_server: Callable[..., Server]) -> None:
    action, start = Action[row["action"]], VmState(row["from"])
    server = begin(make_server(start), action, NOW)
    for task_state in RULES[action].shows:
        server = advance(server, task_state, NOW)
    done = finish(
        server,
        action,
        NOW + 5,
        power_state=PowerState(int(row["power_said"])) if row["power_said"] else None,
        ends_in=VmState(row["ends_in"]) if row["ends_in"] else None,
    )
    assert (done.vm_state, done.task_state, done.power_state) == (VmState(row["to"]), None, int(row["power"]))
    assert done.action is None


# -- against the fact sheet itself ---------------------------------------------------
beside = pytest.mark.skipif(not SHEET.exists(), reason=f"no fact sheet at {SHEET}")


def sheet_table(heading: str) -> Iterator[list[str]]:
    """The cells of the rows of the first table under a heading."""
    section = SHEET.read_text(encoding="utf-8").split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def listed(cell: str) -> str:
    """A cell's states as the transcription has them."""
    if cell.startswith("any"):
        return "any"
    return " ".join(sorted(cell.replace(",", " ").split()))


@beside
def test_the_transcription_of_accepted_states_is_faithful() -> None:
    ours: dict[str, list[dict[str, str]]] = {}
    for row in rows("accepted"):
        ours.setdefault(row["api"], []).append(row)
    seen = []
    for api, vm_cell, task_cell, notes in sheet_table("What is accepted when"):
        seen.append(api)
        alternatives = vm_cell.split(" / ")
        for number, row in enumerate(ours[api]):
            vm_text = alternatives[number] if len(alternatives) > 1 else vm_cell
            assert " ".join(sorted(row["vm_states"].split())) == listed(vm_text), api
            assert " ".join(sorted(row["task_states"].split())) == listed(task_cell), api
            flags = re.match(r"[LH ]*(?=;|$)", notes)
            assert {row["lock"], row["host"]} - {""} == set((flags[0] if flags else "").split()), api
            if "also before launch" in notes:
                assert row["launched"] == "no", api
    assert seen == list(ours)


@beside
def test_the_transcription_of_statuses_is_faithful() -> None:
    ours = {row["vm_state"]: row for row in rows("status")}
    seen = []
    for vm_state, default, overrides in sheet_table("Status shown by the API"):
        seen.append(vm_state)
        assert ours[vm_state]["default"] == default
        names = {pair.split("=")[1] for pair in ours[vm_state]["overrides"].split()}
        assert names == set(re.findall(r"-> ([A-Z_]+)", overrides))
    assert seen == list(ours)


@beside
def test_the_transcription_of_task_states_is_faithful() -> None:
    words = {word for row in rows("task_states") for word in row["task_states"].split()} - {"null"}
    on_sheet: set[str] = set()
    for _, cell in sheet_table("Values"):
        on_sheet.update(re.findall(r"`([a-z_-]+)`", cell))
    assert on_sheet - {"resize_confirming"} == words
    assert on_sheet == {state.value for state in TaskState}


@beside
def test_the_values_of_the_states_are_those_of_the_fact_sheet() -> None:
    text = SHEET.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("`vm_state` - the stable state"))
    assert set(re.findall(r"`([a-z_-]+)`", line)) - {"vm_state"} == {state.value for state in VmState}
    powers = next(line for line in text.splitlines() if line.startswith("`power_state` -"))
    assert {(int(number), name) for number, name in re.findall(r"(\d) ([A-Z]+)", powers)} == {
        (state.value, state.name) for state in PowerState
    }
    progress = next(line for line in text.splitlines() if line.startswith("Details that clients notice"))
    assert set(re.findall(r"[A-Z_]{5,}", progress.split("(0-100)")[0])) == SHOW_PROGRESS


def test_every_override_belongs_to_a_vm_state_with_a_default() -> None:
    assert set(DEFAULT_STATUS) == set(VmState)
    assert set(OVERRIDES) <= set(DEFAULT_STATUS)
