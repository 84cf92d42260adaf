"""Allocation: no address twice, none lost, and the same few look-ups however large the pool."""

import asyncio
import itertools
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pileus.foundation.database import Duplicate, SqliteDatabase, Statement, Transaction, sql
from pileus.foundation.runtime import Runtime
from pileus.network.domain.address import Address, parse
from pileus.network.domain.network import Network
from pileus.network.domain.port import Port
from pileus.network.domain.subnet import NewSubnet, Subnet, SubnetChange, changed, plan
from pileus.network.store import addresses, networks, ports, subnets
from pileus.network.store.ports import StoredPort
from pileus.network.store.tables import SCHEMA
from tests.databases import database_at

GAPS = sql("SELECT first_address, last_address FROM network_free WHERE subnet_id = 's' ORDER BY last_address")
TAKEN = sql("SELECT address FROM network_addresses WHERE subnet_id = 's'")


class Counting:
    """A transaction that counts its statements."""

    def __init__(self, tx: Transaction):
        self._tx = tx
        self.count = 0

    async def one(self, statement: Statement, **values: Any) -> Any | None:
        self.count += 1
        return await self._tx.one(statement, **values)

    async def all(self, statement: Statement, **values: Any) -> Sequence[Any]:
        self.count += 1
        return await self._tx.all(statement, **values)

    async def run(self, statement: Statement, **values: Any) -> int:
        self.count += 1
        return await self._tx.run(statement, **values)

    async def lock(self, *key: str) -> None:
        await self._tx.lock(*key)


def subnet(cidr: str) -> Subnet:
    family = 6 if ":" in cidr else 4
    return plan(NewSubnet("n", cidr, family, enable_dhcp=False), id="s", project_id="p", is_external=False)


async def prepared(database: SqliteDatabase, made: Subnet) -> None:
    """A network with the subnet and two ports, "a" and "b"."""
    await database.migrate(SCHEMA)

    async def work(tx: Transaction) -> None:
        await networks.insert(tx, Network(id="n", tenant_id="p", project_id="p"), 1)
        await subnets.insert(tx, made, "p", 1)
        await addresses.open_pools(tx, made)
        for number, name in enumerate("ab"):
            port = Port(id=name, network_id="n", project_id="p", tenant_id="p", mac_address=f"fa:16:3e:00:00:0{number}")
            await ports.insert(tx, StoredPort(port, "p"), 1)

    await database.transact(work)


def on_tables(cidr: str, story: Callable[[SqliteDatabase, Subnet], Awaitable[None]]) -> None:
    """Run a story on fresh tables with one subnet."""

    async def go() -> None:
        with tempfile.TemporaryDirectory() as directory:
            database = database_at(Path(directory) / "n.sqlite", Runtime("test"))
            made = subnet(cidr)
            await prepared(database, made)
            await story(database, made)
            await database.close()

    asyncio.run(go())


async def gaps(database: SqliteDatabase) -> list[tuple[int, int]]:
    rows = await database.all(GAPS)
    return [(int.from_bytes(row[0], "big"), int.from_bytes(row[1], "big")) for row in rows]


async def check_books(database: SqliteDatabase, made: Subnet, pools: Subnet | None = None) -> None:
    """What is free and what is taken are together the pools, and no two gaps touch."""
    found = await gaps(database)
    free = {n for low, high in found for n in range(low, high + 1)}
    taken = {int.from_bytes(row[0], "big") for row in await database.all(TAKEN)}
    whole = {n for pool in (pools or made).pools for n in range(pool.first, pool.last + 1)}
    assert free == whole - taken
    assert all(one[1] + 1 < two[0] for one, two in itertools.pairwise(found))


def test_a_pool_gives_each_address_once_and_then_none() -> None:
    async def story(database: SqliteDatabase, made: Subnet) -> None:
        async def work(tx: Transaction) -> list[Address | None]:
            return [await addresses.take_any(tx, made, "a") for _ in range(15)]

        given = await database.transact(work)
        assert [str(address) for address in given if address] == [f"10.0.0.{n}" for n in range(2, 15)]
        assert given[-2:] == [None, None]
        assert await gaps(database) == []

    on_tables("10.0.0.0/28", story)


def test_an_address_that_was_given_back_rests_until_the_others_were_used() -> None:
    async def story(database: SqliteDatabase, made: Subnet) -> None:
        async def work(tx: Transaction) -> list[str]:
            first = await addresses.take_any(tx, made, "a")
            assert first is not None
            await addresses.give_back(tx, made, first, "a")
            return [str(await addresses.take_any(tx, made, "a")) for _ in range(5)]

        assert await database.transact(work) == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]

    on_tables("10.0.0.0/29", story)


def test_nobody_else_can_give_an_address_back() -> None:
    async def story(database: SqliteDatabase, made: Subnet) -> None:
        async def work(tx: Transaction) -> None:
            address = await addresses.take_any(tx, made, "a")
            assert address is not None
            await addresses.give_back(tx, made, address, "b")
            assert await addresses.of_port(tx, "a") == [("s", address)]

        await database.transact(work)
        await check_books(database, made)

    on_tables("10.0.0.0/28", story)


def test_the_tables_themselves_refuse_a_second_owner() -> None:
    async def story(database: SqliteDatabase, made: Subnet) -> None:
        async def twice(tx: Transaction) -> None:
            await addresses._record(tx, "s", parse("10.0.0.9"), "a")
            await addresses._record(tx, "s", parse("10.0.0.9"), "b")

        with pytest.raises(Duplicate):
            await database.transact(twice)

    on_tables("10.0.0.0/24", story)


def test_an_ipv6_pool_is_as_quick_as_a_small_one() -> None:
    counts: list[int] = []

    def story_on(cidr: str, held: int) -> None:
        async def story(database: SqliteDatabase, made: Subnet) -> None:
            async def work(tx: Transaction) -> None:
                counting = Counting(tx)
                for _ in range(held):
                    await addresses.take_any(counting, made, "a")
                before = counting.count
                assert await addresses.take_any(counting, made, "a") is not None
                counts.append(counting.count - before)

            await database.transact(work)

        on_tables(cidr, story)

    story_on("10.0.0.0/28", 2)
    story_on("10.253.0.0/20", 1500)
    story_on("2001:db8::/64", 1500)
    assert len(set(counts)) == 1
    assert counts[0] <= 6


def test_addresses_outside_the_pools_are_taken_and_not_given_to_them() -> None:
    async def story(database: SqliteDatabase, made: Subnet) -> None:
        async def work(tx: Transaction) -> None:
            assert await addresses.take(tx, made, parse("10.0.0.1"), "a")
            assert not await addresses.take(tx, made, parse("10.0.0.1"), "b")
            await addresses.give_back(tx, made, parse("10.0.0.1"), "a")

        await database.transact(work)
        await check_books(database, made)

    on_tables("10.0.0.0/28", story)


def test_new_pools_know_who_is_there_already() -> None:
    async def story(database: SqliteDatabase, made: Subnet) -> None:
        async def work(tx: Transaction) -> Subnet:
            for text in ("10.0.0.3", "10.0.0.9", "10.0.0.12"):
                assert await addresses.take(tx, made, parse(text), "a")
            pool = made.allocation_pools[0]
            new = changed(made, SubnetChange(pools=[type(pool)("10.0.0.8", "10.0.0.11")]))
            await addresses.rebuild_pools(tx, new)
            return new

        await check_books(database, made, await database.transact(work))

    on_tables("10.0.0.0/28", story)


STEPS = st.lists(
    st.one_of(
        st.just(("any", 0)),
        st.tuples(st.just("take"), st.integers(0, 15)),
        st.tuples(st.just("back"), st.integers(0, 15)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_books_agree_after_any_story(steps: list[tuple[str, int]]) -> None:
    async def story(database: SqliteDatabase, made: Subnet) -> None:
        base = made.block.network
        held: set[int] = set()

        async def work(tx: Transaction) -> None:
            for act, number in steps:
                address = Address(4, base + number)
                if act == "any":
                    given = await addresses.take_any(tx, made, "a")
                    assert (given is None) == (held >= set(range(2, 15)))
                    if given is not None:
                        assert given.number - base not in held
                        held.add(given.number - base)
                elif act == "take":
                    assert await addresses.take(tx, made, address, "a") is (number not in held)
                    held.add(number)
                else:
                    await addresses.give_back(tx, made, address, "a")
                    held.discard(number)

        await database.transact(work)
        await check_books(database, made)

    on_tables("10.0.0.0/28", story)
