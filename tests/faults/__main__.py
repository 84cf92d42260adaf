"""The fault matrix: python -m tests.faults [SCENARIO ...] [--only WORD ...] [--write FILE]."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from tests.faults.places import FAULTS, SCENARIOS, Cell, cells
from tests.faults.play import Outcome, Player
from tests.faults.stage import fault_cluster, furnish
from tests.faults.table import written


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[*SCENARIOS, []], default=list(SCENARIOS))
    parser.add_argument("--only", nargs="*", default=[], help="steps and faults by their names")
    parser.add_argument("--write", type=Path, help="where the table goes")
    given = parser.parse_args()
    wanted = [cell for scenario in given.scenario for cell in cells(scenario)]
    faults = [word for word in given.only if word in FAULTS] or list(FAULTS)
    steps = [word for word in given.only if word not in FAULTS]
    wanted = [cell for cell in wanted if cell.fault in faults and (not steps or cell.step.name in steps)]
    began = time.monotonic()
    outcomes = asyncio.run(played([cell for cell in wanted if not cell.reason]))
    text = written(wanted, outcomes, time.monotonic() - began)
    print(text)
    if given.write:
        given.write.write_text(text)
    passed = sum(outcome.is_fine for outcome in outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed")
    sys.exit(passed != len(outcomes))
