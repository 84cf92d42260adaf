"""Every flow of block storage: crashed at each seam, failed at its step, repeated; judged by what the back end holds.

A crash kills one process at one await; the next process starts on the same files. Afterwards what was promised is true,
or nothing is left.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.database import sql
from pileus.foundation.flow.model import ENDED
from pileus.foundation.runtime import Crashed, Runtime
from pileus.volume.app.audit import audit
from pileus.volume.drivers.fake import FakeBackend
from pileus.volume.flows.following import FLOWS
from tests.api.volume_cloud import VolumeCloud, volume_cloud
from tests.conftest import Run

SERVER = "22222222-2222-4222-8222-222222222222"
SEAMS = 60
Act = Callable[[VolumeCloud, str], Awaitable[Any]]


class Mortal(Runtime):
    """A process that dies at its n-th seam after `arm`."""

    def __init__(self) -> None:
        super().__init__("mortal")
        self.left = -1

    def arm(self, seams: int) -> None:
        self.left = seams

    def check(self) -> None:
        if self.left == 0:
            self.crash()
        self.left -= 1
        super().check()


async def create(cloud: VolumeCloud, volume_id: str) -> Any:
    return await cloud.ask("POST", "/v3/volumes", {"volume": {"size": 1, "name": "new"}})


async def create_from_image(cloud: VolumeCloud, volume_id: str) -> Any:
    cloud.images.add("11111111-0000-4000-8000-000000000000", b"data")
    body = {"volume": {"size": 1, "name": "new", "imageRef": "11111111-0000-4000-8000-000000000000"}}
    return await cloud.ask("POST", "/v3/volumes", body)


async def delete(cloud: VolumeCloud, volume_id: str) -> Any:
    return await cloud.ask("DELETE", f"/v3/volumes/{volume_id}")


async def extend(cloud: VolumeCloud, volume_id: str) -> Any:
    return await cloud.ask("POST", f"/v3/volumes/{volume_id}/action", {"os-extend": {"new_size": 5}})


async def copy(cloud: VolumeCloud, volume_id: str) -> Any:
    return await cloud.ask("POST", "/v3/volumes", {"volume": {"name": "new", "source_volid": volume_id}})


async def snapshot(cloud: VolumeCloud, volume_id: str) -> Any:
    return await cloud.ask("POST", "/v3/snapshots", {"snapshot": {"volume_id": volume_id, "name": "new"}})


async def drop_snapshot(cloud: VolumeCloud, volume_id: str) -> Any:
    (taken,) = (await cloud.get("/snapshots?name=old"))["snapshots"]
    return await cloud.ask("DELETE", f"/v3/snapshots/{taken['id']}")


async def delete_with_snapshots(cloud: VolumeCloud, volume_id: str) -> Any:
    return await cloud.ask("DELETE", f"/v3/volumes/{volume_id}?cascade=true")


ACTS: dict[str, Act] = {
    "create": create, "create from image": create_from_image, "create a copy": copy, "delete": delete,
    "extend": extend, "snapshot": snapshot, "drop snapshot": drop_snapshot,
    "delete with snapshots": delete_with_snapshots,
}  # fmt: skip
WITH_SNAPSHOT = ("drop snapshot", "delete with snapshots")


async def held(cloud: VolumeCloud) -> dict[str, int]:
    return {volume.volume_id: volume.size_gib for volume in await cloud.backend.list_volumes()}


async def rest(cloud: VolumeCloud) -> dict[str, Any]:
    """Every volume by id, once nothing works on any."""
    while True:
        found = (await cloud.get("/volumes/detail"))["volumes"]
        busy = [one for one in found if one["status"] in ("creating", "downloading", "deleting", "extending")]
        if not busy and not await cloud.service.journal.all_open():
            return {one["id"]: one for one in found}
        await cloud.runtime.sleep(0.001)


async def check_consistent(cloud: VolumeCloud) -> dict[str, Any]:
    """What users see is what the back end holds, and no secret outlives its flow."""
    volumes = await rest(cloud)
    sizes = await held(cloud)
    taken = {one["id"]: one for one in (await cloud.get("/snapshots/detail"))["snapshots"]}
    shown = {one: facts["size"] for one, facts in {**volumes, **taken}.items() if facts["status"] != "error"}
    assert shown == sizes
    assert not {one["status"] for one in taken.values()} & {"creating", "deleting"}
    assert await audit(cloud.service) == []
    assert await cloud.service.database.all(sql("SELECT id FROM volume_flows WHERE secret IS NOT NULL")) == []
    return volumes


def test_every_flow_is_tried_here() -> None:
    assert {flow.name for flow in FLOWS} == {
        "create-volume", "delete-volume", "extend-volume", "create-snapshot", "delete-snapshot",
    }  # fmt: skip


@pytest.mark.parametrize("name", ACTS)
def test_a_crash_at_any_seam_loses_nothing_that_was_promised(name: str, run: Run, tmp_path: Path) -> None:
    """The answer decides: 202 is kept; without an answer either all happened or nothing."""

    async def once(seam: int) -> bool:
        """Whether the process lived to see the end."""
        directory = tmp_path / str(seam)
        directory.mkdir()
        mortal = Mortal()
        async with volume_cloud(directory, runtime=mortal) as cloud:
            volume_id = (await cloud.volume(name="old"))["id"]
            if name in WITH_SNAPSHOT:
                await cloud.post("/snapshots", {"snapshot": {"volume_id": volume_id, "name": "old"}})
                await rest(cloud)
            mortal.arm(seam)
            try:
                answer = await ACTS[name](cloud, volume_id)
                if answer.status == 202:
                    await rest(cloud)
                promised = answer.status == 202
            except Crashed:
                promised = False
            survived = mortal.alive
            mortal.left = -1
        async with volume_cloud(directory) as cloud:
            if name == "create from image":
                cloud.images.add("11111111-0000-4000-8000-000000000000", b"data")
            volumes = await check_consistent(cloud)
            names = [one["name"] for one in (await cloud.get("/snapshots"))["snapshots"]]
            check_promise(volumes, names, volume_id, promised)
        return survived

    def check_promise(volumes: dict[str, Any], taken: list[str], volume_id: str, promised: bool) -> None:
        if name.startswith("create"):
            new = [one for one in volumes.values() if one["name"] == "new"]
            assert [one["status"] for one in new] == ["available"] * len(new)
            assert len(new) == 1 if promised else len(new) <= 1
        elif name.startswith("delete"):
            assert volume_id not in volumes if promised else True
            assert taken == (["old"] if name in WITH_SNAPSHOT and volume_id in volumes else [])
        elif name == "snapshot":
            assert taken == ["new"] if promised else taken in ([], ["new"])
        elif name == "drop snapshot":
            assert taken == [] if promised else taken in ([], ["old"])
        else:
            assert volumes[volume_id]["size"] == 5 if promised else volumes[volume_id]["size"] in (1, 5)
            assert volumes[volume_id]["status"] == "available"

    tried = next((seam for seam in range(SEAMS) if run(once, seam)), None)
    assert tried is not None, "more seams than are tried: raise SEAMS"
    assert tried > 5


@pytest.mark.parametrize("word", ["create", "disk-full", "unavailable"])
def test_a_volume_that_cannot_be_made_is_in_error_with_a_message_and_nothing_is_left(
    word: str, run: Run, tmp_path: Path
) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path, runtime=Impatient("impatient")) as cloud:
            volume = await cloud.volume(metadata={"pileus:fail": word})
            assert volume["status"] == "error"
            assert await held(cloud) == {}
            (message,) = (await cloud.get("/messages"))["messages"]
            assert message["resource_uuid"] == volume["id"]
            assert message["user_message"].startswith("create volume: The storage back end")
            await cloud.delete(f"/volumes/{volume['id']}")
            assert await cloud.settled(volume["id"]) is None
            await check_consistent(cloud)

    run(play)


class Impatient(Runtime):
    """A process whose pauses are short."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.002))


def test_a_back_end_that_comes_back_in_time_costs_nothing_but_time(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path, runtime=Impatient("impatient")) as cloud:
            assert (await cloud.volume(metadata={"pileus:fail": "unavailable:2"}))["status"] == "available"
            await check_consistent(cloud)

    run(play)


def test_a_volume_that_cannot_be_deleted_says_so_and_goes_by_force(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.volume(metadata={"pileus:fail": "delete:1"})
            await cloud.delete(f"/volumes/{volume['id']}")
            assert (await cloud.settled(volume["id"]))["status"] == "error_deleting"
            await cloud.act(volume["id"], "os-force_delete", expect=403)
            await cloud.act(volume["id"], "os-force_delete", as_="admin@red")
            assert await cloud.settled(volume["id"]) is None
            await check_consistent(cloud)

    run(play)


def test_a_volume_that_cannot_grow_keeps_its_size(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.volume(metadata={"pileus:fail": "extend"})
            await cloud.act(volume["id"], "os-extend", {"new_size": 9})
            after = await cloud.settled(volume["id"])
            assert (after["status"], after["size"]) == ("error_extending", 1)
            used = (await cloud.get(f"/os-quota-sets/{cloud.project}?usage=true"))["quota_set"]["gigabytes"]
            assert used["in_use"] == 1

    run(play)


def test_a_volume_is_deleted_by_force_while_it_is_being_made(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.begin_volume(metadata={"pileus:delay": "create:0.2"})
            await cloud.delete(f"/volumes/{volume['id']}", expect=400)
            await cloud.delete(f"/volumes/{volume['id']}?force=true", as_="admin@red")
            assert await cloud.settled(volume["id"]) is None
            await check_consistent(cloud)

    run(play)


def test_sixteen_identical_deletes_are_one(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.volume()
            answers = await asyncio.gather(*(delete(cloud, volume["id"]) for _ in range(16)))
            assert {answer.status for answer in answers} <= {202, 404}
            assert await cloud.settled(volume["id"]) is None
            await check_consistent(cloud)

    run(play)


def test_messages_that_come_twice_late_or_never_change_nothing(run: Run, tmp_path: Path) -> None:
    """Every call to the host is doubled, the first answer to each is lost."""
    from pileus.foundation.bus import Fate

    async def play() -> None:
        async with volume_cloud(tmp_path, runtime=Impatient("impatient"), call_timeout_s=0.05) as cloud:
            seen: dict[str, int] = {}

            def fate(topic: str, message: bytes) -> Fate:
                seen[topic] = seen.get(topic, 0) + 1
                if topic.startswith("volume-host"):
                    return Fate(copies=2, delay_s=0.001)
                return Fate(copies=0) if topic.startswith("reply") and seen[topic] % 3 == 1 else Fate()

            cloud.broker.fate = fate
            volume = await cloud.volume()
            assert volume["status"] == "available"
            await cloud.act(volume["id"], "os-extend", {"new_size": 2})
            assert (await cloud.settled(volume["id"]))["size"] == 2
            await cloud.delete(f"/volumes/{volume['id']}")
            assert await cloud.settled(volume["id"]) is None
            cloud.broker.fate = None
            await check_consistent(cloud)

    run(play)


def test_a_message_that_comes_after_the_end_makes_nothing(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.volume()
            await cloud.delete(f"/volumes/{volume['id']}")
            assert await cloud.settled(volume["id"]) is None
            late = {"wanted": {"volume_id": volume["id"], "size_gib": 1, "metadata": {}}}
            from pileus.foundation.errors import Error

            with pytest.raises(Error, match="was removed"):
                await cloud.service.bus.call("volume-host.fake", "ensure", late)
            assert await held(cloud) == {}

    run(play)


def test_nothing_of_a_flow_is_kept_once_its_volume_is_gone(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.volume()
            assert [record.state in ENDED for record in await cloud.service.journal.of_subject(volume["id"])] == [True]
            await cloud.delete(f"/volumes/{volume['id']}")
            await cloud.settled(volume["id"])
            await rest(cloud)
            for table in ("volume_flows", "volume_volumes", "volume_metadata", "volume_attachments"):
                assert await cloud.service.database.all(sql(f"SELECT * FROM {table}")) == []

    run(play)


def test_attachments_that_nobody_came_back_for_are_finished(run: Run, tmp_path: Path) -> None:
    """The process dies between letting go and forgetting; the repair finishes."""
    from pileus.volume.app import repair

    async def play() -> None:
        mortal = Mortal()
        async with volume_cloud(tmp_path, runtime=mortal) as cloud:
            volume = await cloud.volume()
            held_by = await cloud.attachment(volume["id"], SERVER)
            path = f"/attachments/{held_by['id']}"
            await cloud.put(path, {"attachment": {"connector": {"host": "h"}}}, as_="service")
            await cloud.post(f"{path}/action", {"os-complete": {}}, as_="service", expect=204)
            mortal.arm(6)
            with pytest.raises(Crashed):
                await cloud.delete(path, as_="service", expect=200)
        async with volume_cloud(tmp_path, runtime=Later("later")) as cloud:
            assert (await cloud.settled(volume["id"]))["status"] == "detaching"
            assert await repair.repair(cloud.service) == 1
            assert (await cloud.settled(volume["id"]))["status"] == "available"
            await check_consistent(cloud)

    run(play)


class Later(Runtime):
    """An hour has passed."""

    def now(self) -> int:
        return super().now() + 3600 * 1_000_000


def test_the_fake_survives_with_its_volumes(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.volume()
        async with volume_cloud(tmp_path) as cloud:
            assert isinstance(cloud.backend, FakeBackend)
            assert await held(cloud) == {volume["id"]: 1}
            await check_consistent(cloud)

    run(play)
