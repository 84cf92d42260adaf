"""The matrix on paper: a row for each step, a column for each fault, what came of it and how long that took."""

import re
from collections.abc import Iterable, Sequence
from statistics import median

from tests.faults.places import FAULTS, SCENARIOS, Cell
from tests.faults.play import Outcome

_LINE = re.compile(r"^(\w+ .+? \w+) +([\d.]+) s  (.*?)  (ok|WRONG.*)$")


def outcomes_in(lines: Iterable[str], cells: Iterable[Cell]) -> list[Outcome]:
    """What runs have printed, the last of each cell."""
    known = {str(cell): cell for cell in cells}
    found: dict[str, Outcome] = {}
    for line in lines:
        match = _LINE.match(line.rstrip())
        if match and match[1] in known:
            wrong = [] if match[4] == "ok" else [match[4]]
            found[match[1]] = Outcome(known[match[1]], match[3], float(match[2]), wrong)
    return list(found.values())


def written(wanted: Sequence[Cell], outcomes: Sequence[Outcome]) -> str:
    """Markdown. A cell says what came of it and after how many seconds all was at rest, or why it cannot be."""
    by_cell = {str(outcome.cell): outcome for outcome in outcomes}
    lines: list[str] = []
    for scenario in SCENARIOS:
        mine = [cell for cell in wanted if cell.scenario == scenario]
        if not mine:
            continue
        lines += [f"### {scenario}", "", f"| step | {' | '.join(FAULTS)} |", "| --- |" + " --- |" * len(FAULTS)]
        for step in SCENARIOS[scenario]:
            row = {cell.fault: cell for cell in mine if cell.step is step}
            if row:
                shown = [_shown(row.get(fault), by_cell) for fault in FAULTS]
                lines.append(f"| {step.name} {step.what} | {' | '.join(shown)} |")
        lines.append("")
    reasons = sorted({cell.reason for cell in wanted if cell.reason})
    lines += [f"- {number}: {reason}" for number, reason in enumerate(reasons, 1)]
    for number, reason in enumerate(reasons, 1):
        lines = [line.replace(f"[{reason}]", f"n/a {number}") for line in lines]
    times = sorted(outcome.seconds for outcome in outcomes)
    if times:
        passed = sum(outcome.is_fine for outcome in outcomes)
        most = times[int(len(times) * 0.95)]
        lines += [
            "", f"{len(times)} cells played, {passed} passed. Seconds from the fault until all was at rest: "
            f"median {median(times):.1f}, 95 of 100 within {most:.1f}, longest {times[-1]:.1f}.",
        ]  # fmt: skip
    return "\n".join(lines)


def _shown(cell: Cell | None, outcomes: dict[str, Outcome]) -> str:
    if cell is None:
        return ""
    if cell.reason:
        return f"[{cell.reason}]"
    outcome = outcomes.get(str(cell))
    if outcome is None:
        return ""
    if not outcome.is_fine:
        return "**WRONG**"
    return f"{outcome.result.partition(' (')[0]} {outcome.seconds:.1f}"
