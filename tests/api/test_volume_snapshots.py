"""Snapshots, copies, and volumes that change their type."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.runtime import Runtime
from pileus.volume.app.audit import audit
from pileus.volume.drivers.file import FileBackend
from pileus.volume.service import VolumeSettings
from tests.api.volume_cloud import VolumeCloud, project, tell, volume_cloud  # noqa: F401 - a fixture
from tests.conftest import Run

ADMIN = "admin@red"
SERVER = "22222222-2222-4222-8222-222222222222"


async def taken(cloud: VolumeCloud, volume_id: str, **fields: Any) -> Any:
    """A snapshot that was taken, or that could not be."""
    body = {"snapshot": {"volume_id": volume_id, **fields}}
    made = (await cloud.post("/snapshots", body))["snapshot"]
    return await rested(cloud, made["id"])


async def rested(cloud: VolumeCloud, snapshot_id: str) -> Any:
    while True:
        answer = await cloud.ask("GET", f"/v3/snapshots/{snapshot_id}")
        if answer.status == 404:
            return None
        snapshot = answer.json()["snapshot"]
        if snapshot["status"] not in ("creating", "deleting"):
            return snapshot
        await cloud.runtime.sleep(0.001)


def test_a_snapshot_lives_and_dies(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume(size=2)
        snapshot = await taken(cloud, volume["id"], name="s", description="d", metadata={"a": "b"})
        assert (snapshot["status"], snapshot["size"], snapshot["volume_id"]) == ("available", 2, volume["id"])
        assert snapshot["os-extended-snapshot-attributes:progress"] == "100%"
        assert snapshot["os-extended-snapshot-attributes:project_id"] == project("red")
        path = f"/snapshots/{snapshot['id']}"
        changed = await cloud.put(path, {"snapshot": {"name": "t"}})
        assert (changed["snapshot"]["name"], changed["snapshot"]["description"]) == ("t", "d")
        await cloud.put(path, {"snapshot": {}}, expect=400)
        await cloud.delete(f"/volumes/{volume['id']}", expect=400)
        await cloud.delete(path)
        assert await rested(cloud, snapshot["id"]) is None
        await cloud.delete(path, expect=404)
        await cloud.delete(f"/volumes/{volume['id']}")
        assert await cloud.settled(volume["id"]) is None
        assert await cloud.backend.list_volumes() == []

    tell(story)


def test_snapshots_go_with_their_volume_when_asked_for(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        for _ in range(2):
            await taken(cloud, volume["id"])
        await cloud.delete(f"/volumes/{volume['id']}?cascade=true")
        assert await cloud.settled(volume["id"]) is None
        assert (await cloud.get("/snapshots"))["snapshots"] == []
        assert await cloud.backend.list_volumes() == []
        assert await audit(cloud.service) == []

    tell(story)


def test_snapshots_count_for_the_quota(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/os-quota-sets/{project('red')}"
        await cloud.put(path, {"quota_set": {"snapshots": 1, "gigabytes": 5}}, as_=ADMIN)
        volume = await cloud.volume(size=2)
        await taken(cloud, volume["id"])
        used = (await cloud.get(f"{path}?usage=true"))["quota_set"]
        assert (used["snapshots"]["in_use"], used["gigabytes"]["in_use"]) == (1, 4)
        assert used["gigabytes___DEFAULT__"]["in_use"] == 4
        refused = await cloud.post("/snapshots", {"snapshot": {"volume_id": volume["id"]}}, expect=413)
        assert "Maximum number of snapshots allowed (1)" in refused["overLimit"]["message"]
        await cloud.post("/volumes", {"volume": {"size": 2}}, expect=413)

    tell(story)


def test_a_volume_in_use_needs_force_until_3_66(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        await cloud.act(volume["id"], "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
        for force, version, expect in ((None, 65, 400), (False, 65, 400), (True, 65, 202), (None, 66, 202),
                                       (True, 66, 202), (False, 66, 400)):  # fmt: skip
            body = {"volume_id": volume["id"], **({} if force is None else {"force": force})}
            await cloud.post("/snapshots", {"snapshot": body}, expect=expect, version=f"volume 3.{version}")

    tell(story)


@pytest.mark.parametrize("status", ["error", "maintenance", "creating", "detaching"])
def test_only_a_volume_at_rest_is_taken(tell: Any, status: str) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        await cloud.act(volume["id"], "os-reset_status", {"status": status}, as_=ADMIN)
        await cloud.post("/snapshots", {"snapshot": {"volume_id": volume["id"]}}, expect=400)

    tell(story)


def test_snapshots_are_their_owners_and_are_listed_as_asked_for(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        made = [await taken(cloud, volume["id"], name=name) for name in ("a", "b", "c")]
        path = f"/snapshots/{made[0]['id']}"
        await cloud.get(path, as_="member@blue", expect=404)
        await cloud.delete(path, as_="member@blue", expect=404)
        body = {"snapshot": {"volume_id": volume["id"]}}
        await cloud.post("/snapshots", body, as_="member@blue", expect=404)
        assert (await cloud.get("/snapshots?all_tenants=1", as_="member@blue"))["snapshots"] == []
        for query, names in (
            ("", ["c", "b", "a"]), ("name=b", ["b"]), ("status=error", []),
            (f"volume_id={volume['id']}&limit=1", ["c"]),
            ("sort=name:asc", ["a", "b", "c"]), (f"limit=1&marker={made[2]['id']}", ["b"]), ("name~=B", ["b"]),
        ):  # fmt: skip
            found = (await cloud.get(f"/snapshots/detail?{query}"))["snapshots"]
            assert [one["name"] for one in found] == names, query
        assert (await cloud.get("/snapshots?with_count=true&limit=1"))["count"] == 3
        assert "user_id" not in (await cloud.get(path, version="volume 3.40"))["snapshot"]
        assert "user_id" in (await cloud.get(path, version="volume 3.41"))["snapshot"]

    tell(story)


def test_metadata_of_a_snapshot_come_and_go(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        snapshot = await taken(cloud, (await cloud.volume())["id"], metadata={"a": "1"})
        path = f"/snapshots/{snapshot['id']}/metadata"
        added = await cloud.post(path, {"metadata": {"b": "2"}}, expect=200)
        assert added == {"metadata": {"a": "1", "b": "2"}}
        assert await cloud.put(f"{path}/a", {"meta": {"a": "3"}}) == {"meta": {"a": "3"}}
        await cloud.put(f"{path}/a", {"meta": {"b": "3"}}, expect=400)
        assert await cloud.get(f"{path}/a") == {"meta": {"a": "3"}}
        await cloud.delete(f"{path}/a", expect=200)
        await cloud.get(f"{path}/a", expect=404)
        assert await cloud.put(path, {"metadata": {}}) == {"metadata": {}}

    tell(story)


def test_a_snapshot_that_cannot_be_taken_leaves_nothing_and_says_why(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        snapshot = await taken(cloud, volume["id"], metadata={"pileus:fail": "create"})
        assert snapshot["status"] == "error"
        (message,) = (await cloud.get("/messages"))["messages"]
        assert message["user_message"].startswith("create snapshot: ")
        await cloud.post("/volumes", {"volume": {"size": 1, "snapshot_id": snapshot["id"]}}, expect=400)
        await cloud.delete(f"/snapshots/{snapshot['id']}")
        assert await rested(cloud, snapshot["id"]) is None
        assert len(await cloud.backend.list_volumes()) == 1

    tell(story)


def test_a_snapshot_that_cannot_be_removed_can_be_tried_again(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        snapshot = await taken(cloud, (await cloud.volume())["id"], metadata={"pileus:fail": "delete:1"})
        path = f"/snapshots/{snapshot['id']}"
        await cloud.delete(path)
        assert (await rested(cloud, snapshot["id"]))["status"] == "error_deleting"
        await cloud.delete(path)
        assert await rested(cloud, snapshot["id"]) is None

    tell(story)


def test_administrators_set_a_snapshots_status(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        snapshot = await taken(cloud, (await cloud.volume())["id"])
        path = f"/snapshots/{snapshot['id']}/action"
        await cloud.post(path, {"os-reset_status": {"status": "error"}}, expect=403)
        await cloud.post(path, {"os-reset_status": {"status": "flying"}}, as_=ADMIN, expect=400)
        await cloud.post(path, {"os-reset_status": {"status": "creating"}}, as_=ADMIN)
        await cloud.delete(f"/snapshots/{snapshot['id']}", expect=400)
        await cloud.post(path, {"os-force_delete": {}}, as_=ADMIN)
        assert await rested(cloud, snapshot["id"]) is None

    tell(story)


# -- volumes from volumes -----------------------------------------------------------------------------------------
def test_volumes_come_from_snapshots_and_volumes(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        cloud.images.add("11111111-0000-4000-8000-000000000000", b"boot")
        origin = await cloud.volume(size=2, imageRef="11111111-0000-4000-8000-000000000000")
        snapshot = await taken(cloud, origin["id"])
        for source in ({"snapshot_id": snapshot["id"]}, {"source_volid": origin["id"]}):
            made = (await cloud.post("/volumes", {"volume": source}))["volume"]
            copy = await cloud.settled(made["id"])
            assert (copy["status"], copy["size"], copy["bootable"]) == ("available", 2, "true")
            assert copy["volume_image_metadata"]["image_name"] == "cirros"
            assert {name: copy[name] for name in source} == source
            assert (await cloud.volume(size=3, **source))["size"] == 3
            small = await cloud.post("/volumes", {"volume": {"size": 1, **source}}, expect=400)
            assert "cannot be smaller than" in small["badRequest"]["message"]
            stolen = {"volume": {"size": 2, **source}}
            await cloud.post("/volumes", stolen, as_="member@blue", expect=404)
        assert await audit(cloud.service) == []

    tell(story)


def test_a_volume_that_is_not_at_rest_is_not_copied(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume(metadata={"pileus:fail": "create"})
        await cloud.post("/volumes", {"volume": {"source_volid": volume["id"]}}, expect=400)

    tell(story)


def play(run: Run, directory: Path, story: Any) -> None:
    """A story over files."""

    async def told() -> None:
        runtime = Runtime("volume-files")
        backend = FileBackend(directory / "volumes", runtime)
        settings = VolumeSettings(backends=("file",))
        async with volume_cloud(directory, settings=settings, backend=backend, runtime=runtime) as cloud:
            await story(cloud, directory / "volumes")

    run(told)


def test_a_snapshot_keeps_what_its_volume_held_then(run: Run, tmp_path: Path) -> None:
    async def story(cloud: VolumeCloud, files: Path) -> None:
        volume = await cloud.volume()
        with (files / f"volume-{volume['id']}").open("r+b") as file:
            file.write(b"before")
        snapshot = await taken(cloud, volume["id"])
        with (files / f"volume-{volume['id']}").open("r+b") as file:
            file.write(b"after!")
        restored = await cloud.volume(size=2, snapshot_id=snapshot["id"])
        with (files / f"volume-{restored['id']}").open("rb") as file:
            assert file.read(6) == b"before"
        assert (files / f"volume-{restored['id']}").stat().st_size == 2 << 30
        assert await audit(cloud.service) == []
        (files / f"volume-{snapshot['id']}").unlink()
        assert [one["invariant"] for one in await audit(cloud.service)] == ["every snapshot has its data"]

    play(run, tmp_path, story)


def test_a_volume_that_a_server_writes_to_is_copied_in_one_moment_or_not_at_all(run: Run, tmp_path: Path) -> None:
    async def story(cloud: VolumeCloud, files: Path) -> None:
        volume = await cloud.volume()
        await cloud.act(volume["id"], "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
        snapshot = await taken(cloud, volume["id"])
        if snapshot["status"] == "error":  # this file system cannot clone
            (message,) = (await cloud.get("/messages"))["messages"]
            assert "detach it first" in message["user_message"]
            assert [path.name for path in files.iterdir()] == [f"volume-{volume['id']}"]
        else:
            assert snapshot["status"] == "available"

    play(run, tmp_path, story)


# -- types --------------------------------------------------------------------------------------------------------
def test_a_volume_changes_its_type_where_its_back_end_allows(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        for name, specs in (("gold", {}), ("elsewhere", {"volume_backend_name": "x"}),
                            ("multi", {"multiattach": "<is> True"})):  # fmt: skip
            body = {"volume_type": {"name": name, "extra_specs": specs}}
            await cloud.post("/types", body, as_=ADMIN, expect=200)
        await cloud.act(volume["id"], "os-retype", {"new_type": "gold", "migration_policy": "never"})
        assert (await cloud.settled(volume["id"]))["volume_type"] == "gold"
        for wrong, expect in (("gold", 400), ("elsewhere", 400), ("unknown", 404)):
            await cloud.act(volume["id"], "os-retype", {"new_type": wrong}, expect=expect)
        await cloud.act(volume["id"], "os-retype", {"new_type": "multi"})
        assert (await cloud.settled(volume["id"]))["multiattach"] is True
        path = f"/os-quota-sets/{project('red')}"
        await cloud.put(path, {"quota_set": {"volumes_gold": 0}}, as_=ADMIN)
        await cloud.act(volume["id"], "os-retype", {"new_type": "gold"}, expect=413)
        await cloud.act(volume["id"], "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
        await cloud.act(volume["id"], "os-retype", {"new_type": "__DEFAULT__"}, expect=400)

    tell(story)


def test_sixteen_snapshots_at_once_are_sixteen(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await cloud.put(f"/os-quota-sets/{project('red')}", {"quota_set": {"snapshots": 16}}, as_=ADMIN)
        volume = await cloud.volume()
        await asyncio.gather(*(taken(cloud, volume["id"]) for _ in range(16)))
        assert len((await cloud.get("/snapshots?status=available"))["snapshots"]) == 16
        assert await audit(cloud.service) == []

    tell(story)
