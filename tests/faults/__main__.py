"""The fault matrix: python -m tests.faults [SCENARIO ...] [--only WORD ...] [--write] [--from LOG ...]."""

import argparse
import asyncio
import sys
from pathlib import Path

from tests.faults.places import FAULTS, SCENARIOS, Cell, cells
from tests.faults.play import Outcome, Player
from tests.faults.stage import fault_cluster, furnish
from tests.faults.table import outcomes_in, written
from tools.paper import put


async def played(wanted: list[Cell]) -> list[Outcome]:
    """Play these cells one after the other on one cluster."""
    outcomes: list[Outcome] = []
    async with fault_cluster() as there:
        player = Player(there, *await furnish(there))
        for cell in wanted:
            outcome = await player.play(cell)
            outcomes.append(outcome)
            print(outcome, flush=True)
            if not outcome.is_fine:
                there.keep_logs(str(cell))
        left = await player.settled(is_end=True)
        if left:
            outcomes[-1].wrong += left
            print("WRONG in the end:", *left, sep="\n")
    return outcomes


def chosen(scenarios: list[str], only: list[str]) -> list[Cell]:
    """The cells of these scenarios, of these steps and faults alone if any are named."""
    faults = [word for word in only if word in FAULTS] or list(FAULTS)
    steps = [word for word in only if word not in FAULTS]
    return [
        cell for scenario in scenarios for cell in cells(scenario)
        if cell.fault in faults and (not steps or cell.step.name in steps)
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=", ".join(SCENARIOS))
    parser.add_argument("--only", nargs="*", default=[], help="steps and faults by their names")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--from", nargs="+", type=Path, default=[], dest="logs", help="what earlier runs printed")
    given = parser.parse_args()
    wanted = chosen(given.scenario or list(SCENARIOS), given.only)
    if given.logs:
        outcomes = outcomes_in((line for log in given.logs for line in log.read_text().splitlines()), wanted)
    else:
        outcomes = asyncio.run(played([cell for cell in wanted if not cell.reason]))
    text = written(wanted, outcomes)
    print(text)
    if given.write:
        put("matrix", text)
    passed = sum(outcome.is_fine for outcome in outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed")
    sys.exit(passed != len(outcomes))
