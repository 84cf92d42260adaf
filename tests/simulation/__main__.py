"""Lives through histories: python -m tests.simulation [--first 1] [--count 2000] [--power | --town] [--write]

With --power every history has at least one death that is a power cut: the write-ahead log is cut at a frame behind its
last sync. With --town the cloud is one of many processes, which die and are cut off one by one. The last line counts. A
history that went wrong is named with its seed; `--seed` tells it line by line.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from functools import partial

from tests.simulation.history import History, Result, run_history
from tests.simulation.town_history import TownHistory
from tests.simulation.world import Base
from tools.paper import put

Live = Callable[[int], Result]


def tell(live: Live, seed: int) -> int:
    """One history, line by line."""
    result = live(seed)
    print("\n".join(result.log))
    for text in result.wrong:
        print(f"WRONG {text}")
    return int(bool(result.wrong))


def live_through(live: Live, seeds: range, workers: int, section: str = "") -> int:
    """Many histories, side by side; says how they went, in a section of docs/reliability.md too."""
    began, failed, requests, servers, lives, cuts = time.monotonic(), 0, 0, 0, 0, 0
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for number, result in enumerate(pool.imap_unordered(live, seeds), 1):
            requests, servers = requests + result.requests, servers + result.servers
            lives, cuts = lives + result.lives, cuts + result.cuts
            if result.wrong:
                failed += 1
                print(f"seed {result.seed}: " + "; ".join(result.wrong), flush=True)
            if number % 100 == 0:
                print(f"{number} histories, {failed} wrong, {time.monotonic() - began:.0f} s", flush=True)
    text = f"{requests:,} requests, {servers:,} servers, {lives:,} lives of processes, {cuts:,} power cuts"
    print(text)
    if section:
        put(section, f"Seeds {seeds[0]} to {seeds[-1]}: {len(seeds):,} histories, {failed} of them wrong; {text}.")
    print(f"{len(seeds) - failed} passed, {failed} failed")
    return int(failed > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--power", action="store_true", help="every history loses its machine's power")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--seed", type=int, help="tell this one history")
    parser.add_argument("--town", action="store_true", help="every part is a process of its own")
    parser.add_argument("--write", action="store_true", help="put what came of it into docs/reliability.md")
    options = parser.parse_args()
    base = Base()
    kind = TownHistory if options.town else History
    live = partial(run_history, base=base, loses_power=options.power, kind=kind)
    try:
        if options.seed is not None:
            return tell(live, options.seed)
        section = "town" if options.town else "power" if options.power else "histories"
        seeds = range(options.first, options.first + options.count)
        return live_through(live, seeds, options.workers, section if options.write else "")
    finally:
        base.close()


if __name__ == "__main__":
    sys.exit(main())
