"""Whoever races in block storage: quotas hold, a volume is one server's, what is needed does not go."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.volume.app.audit import audit
from tests.api.volume_cloud import VolumeCloud, project, volume_cloud
from tests.contract.databases.races import MANY, ROUNDS, at_once, statuses, warm

Story = Callable[[VolumeCloud, VolumeCloud], Awaitable[None]]


@pytest.fixture
def race(kind: str, tmp_path: Path) -> Callable[[Story], None]:
    """Runs a story with two processes of block storage over one back end."""

    def play(story: Story) -> None:
        async def whole() -> None:
            async with volume_cloud(tmp_path) as one, volume_cloud(tmp_path, backend=one.backend) as two:
                await warm(one.service.database, two.service.database)
                await story(one, two)
                async with asyncio.timeout(10):  # the last flow may still be writing that it has ended
                    while await one.service.journal.all_open(one.service.database):
                        await asyncio.sleep(0.01)
                assert await audit(one.service) == []

        asyncio.run(whole())

    return play


async def raced(one: VolumeCloud, two: VolumeCloud, method: str, path: str, *bodies: Any, **options: Any) -> Any:
    return await at_once((one, two)[n % 2].ask(method, f"/v3{path}", body, **options) for n, body in enumerate(bodies))


def test_volumes_and_snapshots_are_made_up_to_the_quota(race: Callable[[Story], None]) -> None:
    async def story(one: VolumeCloud, two: VolumeCloud) -> None:
        limits = {"quota_set": {"volumes": 5, "gigabytes": 7}}
        await one.put(f"/os-quota-sets/{project('red')}", limits, as_="admin@ops")
        answers = await raced(one, two, "POST", "/volumes", *[{"volume": {"size": 1}}] * MANY)
        assert statuses(answers) == {202: 5, 413: MANY - 5}
        (made, *_) = [answer.json()["volume"]["id"] for answer in answers if answer.status == 202]
        await one.settled(made)
        body = {"snapshot": {"volume_id": made, "name": "s"}}
        assert statuses(await raced(one, two, "POST", "/snapshots", *[body] * 6)) == {202: 2, 413: 4}
        for volume in (await one.get("/volumes"))["volumes"]:
            await one.settled(volume["id"])

    race(story)


def test_a_volume_is_reserved_for_one_server(race: Callable[[Story], None]) -> None:
    async def story(one: VolumeCloud, two: VolumeCloud) -> None:
        volume = await one.volume()
        bodies = [
            {"attachment": {"volume_uuid": volume["id"], "instance_uuid": f"{n:08d}-0000-4000-8000-000000000000"}}
            for n in range(MANY)
        ]
        answers = await raced(one, two, "POST", "/attachments", *bodies)
        assert statuses(answers) == {200: 1, 400: MANY - 1}
        assert len((await one.get("/attachments"))["attachments"]) == 1
        (held,) = (await one.get("/attachments"))["attachments"]
        gone = await at_once((one, two)[n % 2].ask("DELETE", f"/v3/attachments/{held['id']}") for n in range(4))
        assert set(statuses(gone)) <= {200, 404}
        assert (await one.settled(volume["id"]))["status"] == "available"

    race(story)


def test_a_volume_with_a_snapshot_on_its_way_does_not_go(race: Callable[[Story], None]) -> None:
    async def story(one: VolumeCloud, two: VolumeCloud) -> None:
        for number in range(ROUNDS):
            volume = await one.volume()
            asked = [two.ask("DELETE", f"/v3/volumes/{volume['id']}")]
            asked.insert(number % 2, one.ask("POST", "/v3/snapshots", {"snapshot": {"volume_id": volume["id"]}}))
            answers = await at_once(asked)
            assert sorted(statuses(answers)) in ([202, 400], [202, 404]), statuses(answers)
            await one.settled(volume["id"])

    race(story)


def test_deletes_at_once_begin_one_flow(race: Callable[[Story], None]) -> None:
    async def story(one: VolumeCloud, two: VolumeCloud) -> None:
        for _ in range(ROUNDS):
            volume = await one.volume()
            path = f"/v3/volumes/{volume['id']}"
            answers = await at_once((one, two)[n % 2].ask("DELETE", path) for n in range(8))
            assert set(statuses(answers)) <= {202, 400, 404}
            assert statuses(answers)[202] >= 1
            assert await one.settled(volume["id"]) is None

    race(story)


def test_every_change_of_a_volume_is_there(race: Callable[[Story], None]) -> None:
    async def story(one: VolumeCloud, two: VolumeCloud) -> None:
        path = f"/volumes/{(await one.volume())['id']}/metadata"
        bodies = [{"metadata": {f"k{number}": "v"}} for number in range(MANY)]
        assert statuses(await raced(one, two, "POST", path, *bodies)) == {200: MANY}
        assert len((await one.get(path))["metadata"]) == MANY

    race(story)


def test_a_type_goes_only_without_volumes_and_keeps_every_change(race: Callable[[Story], None]) -> None:
    async def story(one: VolumeCloud, two: VolumeCloud) -> None:
        body = {"volume_type": {"name": "same"}}
        answers = await raced(one, two, "POST", "/types", *[body] * 6, as_="admin@ops")
        assert statuses(answers) == {200: 1, 409: 5}
        (made,) = [answer.json()["volume_type"]["id"] for answer in answers if answer.status == 200]
        specs = [{"extra_specs": {f"k{number}": "v"}} for number in range(MANY)]
        answers = await raced(one, two, "POST", f"/types/{made}/extra_specs", *specs, as_="admin@ops")
        assert statuses(answers) == {200: MANY}
        kept = (await one.get(f"/types/{made}/extra_specs", as_="admin@ops"))["extra_specs"]
        assert len(kept) == MANY
        for number in range(ROUNDS):
            kind = await one.post("/types", {"volume_type": {"name": f"t{number}"}}, as_="admin@ops", expect=200)
            kind_id = kind["volume_type"]["id"]
            made_, gone = await at_once([
                one.ask("POST", "/v3/volumes", {"volume": {"size": 1, "volume_type": kind_id}}),
                two.ask("DELETE", f"/v3/types/{kind_id}", as_="admin@ops"),
            ])  # fmt: skip
            assert (made_.status, gone.status) in ((202, 400), (404, 202)), (made_.body, gone.body)
            if made_.status == 202:
                await one.settled(made_.json()["volume"]["id"])

    race(story)
