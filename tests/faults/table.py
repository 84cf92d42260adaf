"""The matrix on paper: a row for each step, a column for each fault, what came of it and how long that took."""

from collections.abc import Sequence
from statistics import median

from tests.faults.places import FAULTS, SCENARIOS, Cell
from tests.faults.play import Outcome


def written(wanted: Sequence[Cell], outcomes: Sequence[Outcome], seconds: float) -> str:
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
    times = [outcome.seconds for outcome in outcomes]
    if times:
        lines += ["", f"{len(times)} cells in {seconds:.0f} s; from the fault to rest: median {median(times):.1f} s, "
                  f"longest {max(times):.1f} s."]  # fmt: skip
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
