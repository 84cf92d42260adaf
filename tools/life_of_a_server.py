"""Draws the generated parts of docs/life-of-a-server.md from the tables in `pileus.compute.domain`.

.venv/bin/python -m tools.life_of_a_server            writes the document anew
.venv/bin/python -m tools.life_of_a_server --check    exits 1 when it is not as the code says
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pileus.compute.domain.launch_steps import PARTS, STEPS, SUB_STEPS
from pileus.compute.domain.server_states import ANY, ANY_TASK, RULES, Action, Rule, TaskState, VmState
from pileus.compute.domain.server_status import DEFAULT_STATUS, OVERRIDES

State = TypeVar("State", VmState, TaskState)

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "life-of-a-server.md"

_PART = re.compile(r"<!-- begin (?P<name>[a-z-]+) -->\n.*?<!-- end (?P=name) -->", re.DOTALL)


def state_diagram() -> str:
    """The stable states, and which actions lead from one to another; deletes, which start anywhere, are left out."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for action, rule in RULES.items():
        if rule.vm_states == ANY or rule.ends_in is None:
            continue
        for start in _in_order(rule.vm_states):
            for end in _ends(rule, start):
                if end is not start:
                    arrows.setdefault((_id(start), _id(end)), []).append(_name(action))
    failing = [_name(action) for action, rule in RULES.items() if rule.breaks]
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> building: POST /servers"]
    lines += [f"    {start} --> {end}: {', '.join(names)}" for (start, end), names in arrows.items()]
    lines += [
        "    building --> error: create fails",
        "    soft_delete --> deleted: reclaimed",
        "    deleted --> [*]",
        "```",
    ]
    anywhere = [_name(action) for action, rule in RULES.items() if rule.vm_states == ANY and rule.ends_in]
    lines += ["", f"From any state: {_words(anywhere)}.", ""]
    lines += [f"A failure of {_words(failing)} leaves the server in `error`; any other leaves it where it began."]
    return "\n".join(lines)


def rules_table() -> str:
    """Every rule as a row."""
    rows = [_rule_row(action, rule) for action, rule in RULES.items()]
    head = ("action", "vm_state", "task_state", "shows", "ends in", "needs", "deadline")
    return _table(head, rows)


def status_table() -> str:
    """The status that the API shows for each vm_state, and what in-flight work makes of it."""
    rows = []
    for vm_state, status in DEFAULT_STATUS.items():
        other = [f"{_codes(_in_order(tasks))}: {name}" for tasks, name in OVERRIDES.get(vm_state, ())]
        rows.append((f"`{vm_state.value}`", status, "; ".join(other)))
    return _table(("vm_state", "status", "while in flight"), rows)


def launch_diagram() -> str:
    """The 28 steps as a sequence."""
    ids = {part: part.replace("-", "_") for part in PARTS}
    lines = ["```mermaid", "sequenceDiagram"]
    lines += [f"    participant {ids[part]} as {part}" for part in PARTS]
    for step in STEPS:
        lines.append(f"    {ids[step.source]}->>{ids[step.target]}: {step.label}. {_plain(step.what)}")
        for sub in SUB_STEPS:
            if sub.number == step.number:
                lines.append(f"    {ids[sub.source]}->>{ids[sub.target]}: {sub.label}. {_plain(sub.what)}")
    return "\n".join([*lines, "```"])


def launch_table() -> str:
    """The 28 steps as a table, with the notes that a picture cannot hold."""
    steps = sorted((*STEPS, *SUB_STEPS), key=lambda step: (step.number, step.sub))
    return _table(
        ("#", "from", "to", "what", "note"),
        [(step.label, step.source, step.target, step.what, step.note) for step in steps],
    )


SECTIONS: dict[str, Callable[[], str]] = {
    "launch-diagram": launch_diagram,
    "launch-table": launch_table,
    "state-diagram": state_diagram,
    "rules-table": rules_table,
    "status-table": status_table,
}


def render(document: str) -> str:
    """Return the document with every generated part drawn anew. Raises KeyError for a part that nobody draws."""

    def part(found: "re.Match[str]") -> str:
        name = found["name"]
        return f"<!-- begin {name} -->\n{SECTIONS[name]()}\n<!-- end {name} -->"

    return _PART.sub(part, document)


def parts_of(document: str) -> list[str]:
    """The names of the generated parts that the document holds."""
    return [found["name"] for found in _PART.finditer(document)]


def _ends(rule: Rule, start: VmState) -> list[VmState]:
    """Where an action can bring a server that begins in `start`."""
    if rule.ends_in is None:
        return []
    if rule.stays_stopped and start is VmState.STOPPED:
        return [VmState.STOPPED]
    others = {VmState.STOPPED} if rule.stays_stopped and start is VmState.RESIZED else rule.may_end_in
    return [rule.ends_in, *_in_order(others)]


def _rule_row(action: Action, rule: Rule) -> tuple[str, ...]:
    ends = [] if rule.ends_in is None else [rule.ends_in, *_in_order(rule.may_end_in)]
    needs = [
        word
        for word, needed in (("unlocked", rule.lock), ("host", rule.host), ("launched once", rule.launched))
        if needed
    ]
    return (
        _name(action),
        "any" if rule.vm_states == ANY else _codes(_in_order(rule.vm_states)),
        _tasks(rule),
        ", ".join("-" if state is None else f"`{state.value}`" for state in rule.shows) or "nothing",
        (" or ".join(f"`{state.value}`" for state in ends) or "where it began")
        + (", stopped again what was stopped" if rule.stays_stopped else ""),
        ", ".join(needs) or "nothing",
        "" if rule.is_guard else f"{rule.deadline_s} s",
    )


def _tasks(rule: Rule) -> str:
    if rule.task_states == ANY_TASK:
        return "any"
    missing = ANY_TASK - rule.task_states
    if len(missing) < len(rule.task_states):
        return f"any but {_codes(_in_order(state for state in missing if state is not None))}"
    named = _codes(_in_order(state for state in rule.task_states if state is not None))
    return ", ".join(filter(None, ("none" if None in rule.task_states else "", named)))


def _name(action: Action) -> str:
    return action.name.lower().replace("_", " ")


def _id(state: VmState) -> str:
    return state.value.replace("-", "_")


def _in_order(states: Iterable[State]) -> list[State]:
    """States in the order of their declaration: sets have none, and the document must not change by itself."""
    order: list[VmState | TaskState] = [*VmState, *TaskState]
    return sorted(states, key=order.index)


def _codes(states: Iterable[VmState | TaskState]) -> str:
    return ", ".join(f"`{state.value}`" for state in states)


def _words(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _plain(text: str) -> str:
    """Mermaid ends a message at a semicolon."""
    return text.replace(";", ",")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    after = render(before)
    if "--check" in arguments:
        return 0 if before == after else 1
    DOCUMENT.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
