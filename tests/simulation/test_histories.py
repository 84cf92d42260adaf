"""Histories of tenants and misfortunes, each from a seed, under a virtual clock: invariants hold whatever happens.

`python -m tests.simulation` lives through 2,000, with `--power` through power cuts, with `--town` in a cloud of many
processes; `--seed N` replays one.
PILEUS_HISTORIES says how many are lived through here.
"""

import os
from collections.abc import Iterator
from functools import partial

import pytest

from tests.simulation.history import run_history
from tests.simulation.town import MEMBERS
from tests.simulation.town_history import TownHistory
from tests.simulation.world import Base

COUNT = int(os.environ.get("PILEUS_HISTORIES", "120"))
GROUPS = 8
SHOWN = 40
"""Lines of a history that went wrong."""


@pytest.fixture(scope="module")
def base() -> Iterator[Base]:
    base = Base()
    yield base
    base.close()


KINDS = {
    "one process": partial(run_history),
    "power cuts": partial(run_history, loses_power=True),
    "many processes": partial(run_history, kind=TownHistory),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_happens_every_promise_is_kept_and_nothing_is_left(base: Base, group: int, kind: str) -> None:
    requests = servers = cuts = lives = 0
    seeds = range(1 + group, 1 + COUNT // len(KINDS), GROUPS)
    for seed in seeds:
        result = KINDS[kind](seed, base)
        requests, servers, cuts = requests + result.requests, servers + result.servers, cuts + result.cuts
        lives += result.lives
        assert not result.wrong, f"seed {seed}: {result.wrong}\n" + "\n".join(result.log[-SHOWN:])
    assert requests > len(seeds) * 10 and servers > len(seeds), "nobody did anything"
    assert cuts > 0 or kind != "power cuts"
    assert lives > len(MEMBERS) * len(seeds) or kind != "many processes"


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_tells_the_same_history_again(base: Base, kind: str) -> None:
    first, again = KINDS[kind](7, base), KINDS[kind](7, base)
    assert first.log and first.digest == again.digest
