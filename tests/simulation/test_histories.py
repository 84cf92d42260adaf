"""Histories of tenants and misfortunes, each from a seed, under a virtual clock: invariants hold whatever happens.

`python -m tests.simulation` lives through 2,000, with `--power` through power cuts; `--seed N` replays one.
PILEUS_HISTORIES says how many are lived through here.
"""

import os
from collections.abc import Iterator

import pytest

from tests.simulation.history import run_history
from tests.simulation.world import Base

COUNT = int(os.environ.get("PILEUS_HISTORIES", "100"))
GROUPS = 8
SHOWN = 40
"""Lines of a history that went wrong."""


@pytest.fixture(scope="module")
def base() -> Iterator[Base]:
    base = Base()
    yield base
    base.close()


@pytest.mark.parametrize("loses_power", [False, True])
@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_happens_every_promise_is_kept_and_nothing_is_left(base: Base, group: int, loses_power: bool) -> None:
    requests = servers = cuts = 0
    seeds = range(1 + group, 1 + COUNT // 2, GROUPS)
    for seed in seeds:
        result = run_history(seed, base, loses_power=loses_power)
        requests, servers, cuts = requests + result.requests, servers + result.servers, cuts + result.cuts
        assert not result.wrong, f"seed {seed}: {result.wrong}\n" + "\n".join(result.log[-SHOWN:])
    assert requests > len(seeds) * 10 and servers > len(seeds), "nobody did anything"
    assert not loses_power or cuts > 0


def test_a_seed_tells_the_same_history_again(base: Base) -> None:
    first, again = run_history(7, base), run_history(7, base)
    assert first.log and first.digest == again.digest
