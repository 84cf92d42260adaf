"""Whoever races in compute: quotas hold, groups are kept, every change is there, one delete deletes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.compute.app.scheduler import GroupLost, Scheduler
from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.candidate import Candidate
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action, TaskState, VmState
from pileus.compute.store import servers
from pileus.foundation.database import Transaction
from pileus.foundation.flow import Entry, NewFlow, StaleEpoch
from pileus.foundation.runtime import Runtime
from tests.contract.databases.races import MANY, ROUNDS, at_once, statuses, warm
from tests.databases import database_at
from tests.security.stage import KEY
from tests.unit.compute.cloud import CIRROS, TINY, Cloud, start, uuid

Story = Callable[[Cloud, Cloud], Awaitable[None]]


@pytest.fixture
def race(kind: str, tmp_path: Path) -> Callable[[Story], None]:
    """Runs a story with two processes of compute."""

    def play(story: Story) -> None:
        async def whole() -> None:
            runtimes = [Runtime("one"), Runtime("two")]
            databases = [database_at(tmp_path / "compute.sqlite", runtime) for runtime in runtimes]
            one = await start(databases[0], runtimes[0])
            two = await start(databases[1], runtimes[1], is_second=True)
            await warm(*databases)
            try:
                await story(one, two)
            finally:
                for runtime, database in zip(runtimes, databases, strict=True):
                    await runtime.quiesce()
                    await database.close()
                    await runtime.stop()

        asyncio.run(whole())

    return play


async def raced(one: Cloud, two: Cloud, method: str, path: str, *bodies: Any, **options: Any) -> Any:
    return await at_once(((one, two)[n % 2].ask(method, path, body, **options)) for n, body in enumerate(bodies))


def test_servers_are_launched_up_to_the_quota_and_their_numbers_differ(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        server = {"name": "s", "flavorRef": TINY.id, "imageRef": CIRROS, "networks": "none"}
        answers = await raced(one, two, "POST", "/servers", *[{"server": server}] * 16, version="2.37")
        assert statuses(answers) == {202: 10, 403: 6}
        found = await servers.everything(one.compute.database)
        assert sorted(server.number for server in found) == list(range(1, 11))

    race(story)


def test_what_there_is_once_goes_to_one(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        key = {"keypair": {"name": "same", "public_key": KEY}}
        assert statuses(await raced(one, two, "POST", "/os-keypairs", *[key] * MANY)) == {200: 1, 409: MANY - 1}
        flavor = {"flavor": {"name": "same", "ram": 64, "vcpus": 1, "disk": 1}}
        answers = await raced(one, two, "POST", "/flavors", *[flavor] * MANY, token="admin")
        assert statuses(answers) == {200: 1, 409: MANY - 1}
        assert b"already exists" in next(answer.body for answer in answers if answer.status == 409)
        aggregate = {"aggregate": {"name": "same"}}
        answers = await raced(one, two, "POST", "/os-aggregates", *[aggregate] * MANY, token="admin")
        assert statuses(answers) == {200: 1, 409: MANY - 1}
        group = {"server_group": {"name": "g", "policies": ["affinity"]}}
        answers = await raced(one, two, "POST", "/os-server-groups", *[group] * MANY)
        assert statuses(answers) == {200: 10, 403: MANY - 10}
        assert len({(await door.host("same")).id for door in (one, two)}) == 1
        assert len({service.id for service in await at_once((one, two)[n % 2].host("new") for n in range(6))}) == 1

    race(story)


def test_every_change_of_a_server_is_there(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        path = f"/servers/{(await one.server()).id}/metadata"
        bodies = [{"metadata": {f"k{number}": "v"}} for number in range(MANY)]
        assert statuses(await raced(one, two, "POST", path, *bodies)) == {200: MANY}
        assert len((await one.get(path))["metadata"]) == MANY

    race(story)


def test_an_action_begins_once(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        server = await one.server()
        answers = await raced(one, two, "POST", f"/servers/{server.id}/action", *[{"os-stop": None}] * MANY)
        assert statuses(answers) == {202: 1, 409: MANY - 1}

    race(story)


def test_deletes_at_once_begin_one_flow_and_call_off_all_others(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        for number in range(1, ROUNDS + 1):
            device = BlockDevice(id="d", source="volume", destination="volume", volume_id=uuid(77), boot_index=None)
            path = f"/servers/{(await one.server(number, block_devices=(device,))).id}"
            asked = [(one, two)[n % 2].ask("DELETE", path) for n in range(6)]
            asked += [(two, one)[n % 2].ask("DELETE", f"{path}/os-volume_attachments/{uuid(77)}") for n in range(3)]
            answers = statuses(await at_once(asked))
            assert set(answers) <= {202, 204, 409}
            found = await one.compute.journal.of_subject(uuid(number))
            assert [flow.name for flow in found].count("delete-server") == 1
            others = [flow for flow in found if flow.name != "delete-server"]
            assert all(flow.is_cancelled for flow in others), others

    race(story)


def test_anti_affinity_is_kept_by_schedulers_that_do_not_know_of_each_other(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        body = {"server_group": {"name": "g", "policies": ["anti-affinity"]}}
        group = (await one.ask("POST", "/os-server-groups", body)).json()["server_group"]["id"]
        launching = [
            await one.server(
                number, vm_state=VmState.BUILDING, task_state=TaskState.SCHEDULING, action=Action.LAUNCH, host=None,
                node=None, server_group_id=group,
            )
            for number in range(1, 9)
        ]  # fmt: skip
        doors = [(door.compute.database, Scheduler(door.compute)) for door in (one, two)]

        async def name_host(number: int, server: Server) -> bool:
            database, scheduler = doors[number % 2]
            chosen = Candidate(
                host="h1", node="h1", provider_id="p1", zone="nova", free_ram_mib=1, free_vcpus=1, free_disk_gib=1
            )
            try:
                await database.transact(lambda tx: scheduler._name_host(tx, server, chosen))
            except GroupLost:
                return False
            return True

        placed = await at_once(name_host(number, server) for number, server in enumerate(launching))
        assert placed.count(True) == 1
        where = await servers.hosts_of_group(one.compute.database, group)
        assert list(where.values()).count("h1") == 1

    race(story)


def test_schedulers_that_choose_for_one_server_name_one_host(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        server = await one.server(
            1, vm_state=VmState.BUILDING, task_state=TaskState.SCHEDULING, action=Action.LAUNCH, host=None, node=None
        )
        schedulers = [Scheduler(door.compute) for door in (one, two)]

        async def name_host(number: int) -> Server:
            chosen = Candidate(
                host=f"h{number}", node="n", provider_id="p", zone="nova", free_ram_mib=1, free_vcpus=1,
                free_disk_gib=1,
            )  # fmt: skip
            door, scheduler = (one, two)[number % 2], schedulers[number % 2]
            return await door.compute.database.transact(lambda tx: scheduler._name_host(tx, server, chosen))

        placed = await at_once(name_host(number) for number in range(6))
        assert len({(found.host, found.epoch) for found in placed}) == 1
        assert placed[0].epoch == server.epoch + 1

    race(story)


# -- flows ------------------------------------------------------------------------------------------------------------
def test_a_flow_is_adopted_by_one(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        new = NewFlow(id="f", name="toy", version=1, subject="s", params={})
        await one.compute.journal.start(new, "first")
        claimed = await at_once((one, two)[n % 2].compute.journal.claim("f", 1, f"r{n}") for n in range(8))
        winners = [record for record in claimed if record is not None]
        assert [record.epoch for record in winners] == [2]
        stale = Entry("f", 1, 1, [], "done", None)
        with pytest.raises(StaleEpoch):
            await two.compute.journal.write(stale)

    race(story)


def test_a_flow_that_is_forbidden_while_it_begins_has_one_fate(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        for number in range(ROUNDS):
            new = NewFlow(id=f"f{number}", name="toy", version=1, subject="s", params={})

            async def forbid(tx: Transaction, flow_id: str = new.id) -> None:
                await two.compute.journal.forbid(tx, flow_id, subject="s", home="")
                await two.compute.journal.cancel(tx, flow_id)

            begun, _ = await at_once([one.compute.journal.start(new, "r"), two.compute.database.transact(forbid)])
            kept = await two.compute.journal.get(new.id)
            assert kept is not None
            assert (kept.name, kept.state, kept.is_cancelled) in (
                ("toy", "running", True),
                ("forbidden", "failed", True),
            )
            assert begun.name == kept.name

    race(story)


def test_a_flow_begun_twice_is_one(race: Callable[[Story], None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        new = NewFlow(id="f", name="toy", version=1, subject="s", params={})
        begun = await at_once((one, two)[n % 2].compute.journal.start(new, f"r{n}") for n in range(8))
        assert len({record.owner for record in begun}) == 1

    race(story)
