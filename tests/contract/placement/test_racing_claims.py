"""Whoever races, nobody gets what is not there: claims through two doors into one database at once."""

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.database import Database
from pileus.foundation.errors import Conflict, NotFound
from pileus.foundation.runtime import Runtime
from pileus.placement.app import allocations, inventories, providers
from pileus.placement.app.audit import audit
from pileus.placement.domain.claim import Claim, Key
from pileus.placement.domain.errors import ProviderExists
from pileus.placement.domain.inventory import Inventory
from pileus.placement.service import Placement
from pileus.placement.store import audit as rows
from pileus.placement.store import usages
from pileus.placement.store.tables import SCHEMA
from tests.api.placement_cloud import uuid
from tests.databases import KINDS, database_at, on

HOSTS = [uuid(1), uuid(2), uuid(3)]
CAPACITY = {"VCPU": 20, "MEMORY_MB": 64}

Doors = tuple[Placement, Placement]
Run = Callable[..., Any]


@pytest.fixture(params=KINDS)
def doors(request: pytest.FixtureRequest, tmp_path: Path, runtime: Runtime) -> Iterator[Doors]:
    """Two services, as in two processes, on one database of either kind."""
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    with on(request.param):
        databases = [database_at(tmp_path / "shared.sqlite", runtime) for _ in range(2)]
    yield Placement(databases[0], runtime), Placement(databases[1], runtime)
    for each in databases:
        asyncio.run(each.close())


async def furnish(placement: Placement) -> None:
    await placement.database.migrate(SCHEMA)
    for number, host in enumerate(HOSTS):
        await providers.create(placement, host, f"host{number}", None)
        wanted = [Inventory(name, total) for name, total in CAPACITY.items()]
        await inventories.replace_all(placement, host, 0, wanted, may_reserve_all=True)


def claim(consumer: int, amounts: dict[Key, int], generation: int | None = None) -> Claim:
    return Claim(uuid(consumer), amounts, "p1", "u1", "INSTANCE", generation, is_guarded=True)


async def attempt(work: Any) -> bool:
    """Whether it went through; a conflict is a fair answer in a race."""
    try:
        await work
    except (Conflict, NotFound):
        return False
    return True


async def used(database: Database, host: str) -> dict[str, int]:
    return await usages.of_provider(database, host)


def test_of_many_claims_exactly_as_many_win_as_there_is_room(run: Run, doors: Doors) -> None:
    async def story() -> None:
        await furnish(doors[0])
        amounts: dict[Key, int] = {(HOSTS[0], "VCPU"): 1, (HOSTS[0], "MEMORY_MB"): 2}
        won = await asyncio.gather(
            *(attempt(allocations.claim(doors[n % 2], [claim(100 + n, amounts)])) for n in range(100))
        )
        assert won.count(True) == CAPACITY["VCPU"]
        assert await used(doors[1].database, HOSTS[0]) == {"VCPU": 20, "MEMORY_MB": 40}
        assert await audit(doors[0]) == []

    run(story)


def test_of_claims_for_one_consumer_one_wins(run: Run, doors: Doors) -> None:
    async def story() -> None:
        await furnish(doors[0])
        for known in (None, 1, 2):
            won = await asyncio.gather(
                *(
                    attempt(allocations.claim(doors[n % 2], [claim(100, {(HOSTS[n % 3], "VCPU"): 1}, known)]))
                    for n in range(20)
                )
            )
            assert won.count(True) == 1
        assert await audit(doors[0]) == []

    run(story)


def test_of_providers_with_one_name_one_is_made(run: Run, doors: Doors) -> None:
    async def make(placement: Placement, number: int) -> bool:
        try:
            await providers.create(placement, uuid(500 + number), "same", None)
        except ProviderExists:
            return False
        return True

    async def story() -> None:
        await doors[0].database.migrate(SCHEMA)
        made = await asyncio.gather(*(make(doors[n % 2], n) for n in range(10)))
        assert made.count(True) == 1

    run(story)


def test_a_provider_that_goes_takes_no_claim_with_it(run: Run, doors: Doors) -> None:
    async def story() -> None:
        await furnish(doors[0])
        for n, host in enumerate(HOSTS):
            await asyncio.gather(
                attempt(allocations.claim(doors[n % 2], [claim(100 + n, {(HOSTS[0], "VCPU"): 1, (host, "VCPU"): 1})])),
                attempt(providers.delete(doors[(n + 1) % 2], host)),
                return_exceptions=True,
            )
            assert await audit(doors[0]) == []

    run(story)


def random_step(doors: Doors, chance: random.Random, consumers: dict[int, int | None]) -> Any:
    """A claim, a release, or a change of an inventory, with what one caller believes to know."""
    placement = chance.choice(doors)
    number = chance.choice(list(consumers))
    dice = chance.random()
    if dice < 0.2:
        return allocations.release(placement, uuid(number))
    if dice < 0.3:
        host = chance.choice(HOSTS)
        wanted = Inventory("VCPU", chance.choice([20, 30]))
        return inventories.change(placement, host, chance.randrange(60), wanted, may_reserve_all=True)
    hosts = chance.sample(HOSTS, chance.choice([1, 1, 2]))
    amounts: dict[Key, int] = {(host, name): chance.randint(1, 6) for host in hosts for name in CAPACITY}
    claims = [claim(number, amounts, consumers[number])]
    if dice > 0.8:
        other = chance.choice([each for each in consumers if each != number])
        claims.append(claim(other, {(hosts[0], "VCPU"): 1}, consumers[other]))
    return allocations.claim(placement, claims)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_sums_stay_true(run: Run, doors: Doors, seed: int) -> None:
    async def story() -> None:
        chance = random.Random(seed)
        await furnish(doors[0])
        consumers: dict[int, int | None] = dict.fromkeys(range(100, 112))
        for _ in range(40):
            await asyncio.gather(*(attempt(random_step(doors, chance, consumers)) for _ in range(6)))
            for number in consumers:
                known, _ = await allocations.get(doors[0], uuid(number))
                consumers[number] = known.generation if known is not None else None
            found = [each for each in await audit(doors[1]) if "capacity" not in each["invariant"]]
            assert found == []
            for row in await rows.overcommitted(doors[0].database):
                assert (row["class"], row["capacity"]) == ("VCPU", 20)  # shrunk below what was held

    run(story)
