"""Attachments from the outside, mostly as compute asks for them: with compute's own client."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pileus.compute.peers.volume import Volumes
from pileus.foundation.errors import BadRequest, Conflict, Error
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import InProcess, Peer
from tests.api.volume_cloud import VolumeCloud, own_token, tell, volume_cloud  # noqa: F401 - a fixture
from tests.conftest import Run

SERVER = "22222222-2222-4222-8222-222222222222"
OTHER = "33333333-3333-4333-8333-333333333333"
ALONE = Authority(own_token)
USER = Authority(own_token, "member@red")


def compute(cloud: VolumeCloud) -> Volumes:
    return Volumes(Peer("volume", InProcess(cloud.app, cloud.runtime), cloud.runtime))


async def attach(cloud: VolumeCloud, volume_id: str, server_id: str = SERVER, epoch: int = 1) -> str:
    """Attach as compute does; returns the attachment's id."""
    volumes = compute(cloud)
    attachment_id = await volumes.reserve(volume_id, server_id, USER)
    await volumes.connect(attachment_id, host="h1", device="/dev/vdb", epoch=epoch, authority=USER)
    await volumes.complete(attachment_id, USER)
    cloud.servers.held.add((server_id, attachment_id))
    return attachment_id


def test_compute_attaches_and_detaches(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volumes, volume = compute(cloud), await cloud.volume()
        attachment_id = await volumes.reserve(volume["id"], SERVER, USER)
        assert await volumes.reserve(volume["id"], SERVER, USER) == attachment_id
        assert (await cloud.settled(volume["id"]))["status"] == "reserved"
        info = await volumes.connect(attachment_id, host="h1", device="/dev/vdb", epoch=1, authority=USER)
        assert (info["driver_volume_type"], info["format"]) == ("file", "raw")
        assert (await cloud.settled(volume["id"]))["status"] == "attaching"
        for _ in range(2):
            await volumes.complete(attachment_id, USER)
        shown = await cloud.settled(volume["id"])
        assert shown["status"] == "in-use"
        (held,) = shown["attachments"]
        assert (held["server_id"], held["device"], held["attachment_id"]) == (SERVER, "/dev/vdb", attachment_id)
        assert (held["id"], held["host_name"]) == (volume["id"], None)
        (known,) = await volumes.attachments_of_server(SERVER, ALONE)
        assert known["id"] == attachment_id
        await volumes.begin_detaching(volume["id"], ALONE)
        assert (await cloud.settled(volume["id"]))["status"] == "detaching"
        await volumes.roll_detaching(volume["id"], ALONE)
        assert (await cloud.settled(volume["id"]))["status"] == "in-use"
        for _ in range(2):
            await volumes.drop(attachment_id, ALONE)
        assert (await cloud.settled(volume["id"]))["status"] == "available"
        assert await volumes.attachment_of(volume["id"], SERVER, ALONE) is None

    tell(story)


def test_compute_finds_what_it_marked_and_deletes_it_with_its_own_token(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volumes = compute(cloud)
        assert await volumes.marked({"mark": "d1"}, ALONE) == []
        made = await volumes.create(
            size_gib=1, name="", zone=None, image_id=None, snapshot_id=None, volume_type=None,
            metadata={"mark": "d1"}, authority=USER,
        )  # fmt: skip
        assert [one["id"] for one in await volumes.marked({"mark": "d1"}, ALONE)] == [made["id"]]
        await cloud.settled(made["id"])
        await volumes.delete(made["id"], ALONE)
        assert await cloud.settled(made["id"]) is None
        await volumes.delete(made["id"], ALONE)

    tell(story)


def test_a_build_that_was_fenced_reaches_nothing(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volumes, volume = compute(cloud), await cloud.volume()
        attachment_id = await attach(cloud, volume["id"], epoch=2)
        with pytest.raises(Conflict, match="Epoch 1 of attachment"):
            await volumes.connect(attachment_id, host="h0", device="/dev/vdb", epoch=1, authority=ALONE)
        await volumes.connect(attachment_id, host="h2", device="/dev/vdb", epoch=3, authority=ALONE)
        (held,) = (await cloud.get(f"/volumes/{volume['id']}", as_="admin@ops"))["volume"]["attachments"]
        assert held["host_name"] == "h2"

    tell(story)


def test_a_user_cannot_take_from_a_server_what_it_has(tell: Any) -> None:  # noqa: F811
    """CVE-2023-2088: the device would go to another tenant while the guest still writes to it."""

    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        attachment_id = await attach(cloud, volume["id"])
        for as_ in ("member@red", "admin@red"):
            refused = await cloud.delete(f"/attachments/{attachment_id}", expect=409, as_=as_)
            assert "using the Compute API" in refused["conflictingRequest"]["message"]
            await cloud.act(volume["id"], "os-detach", {"attachment_id": attachment_id}, expect=409, as_=as_)
            await cloud.act(volume["id"], "os-detach", expect=409, as_=as_)
            await cloud.act(volume["id"], "os-terminate_connection", {"connector": {"host": "h1"}}, expect=409, as_=as_)
            body = {"attachment": {"connector": {"host": "mine"}}}
            await cloud.put(f"/attachments/{attachment_id}", body, expect=409, as_=as_)
        await cloud.act(volume["id"], "os-force_detach", {"attachment_id": attachment_id}, expect=409, as_="admin@red")
        await cloud.act(volume["id"], "os-force_detach", {"attachment_id": attachment_id}, expect=403)
        assert (await cloud.settled(volume["id"]))["status"] == "in-use"
        await cloud.delete(f"/attachments/{attachment_id}", expect=200, x_service_token="service")
        assert (await cloud.settled(volume["id"]))["status"] == "available"

    tell(story)


def test_what_no_server_has_any_more_its_owner_takes_back(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        attachment_id = await attach(cloud, volume["id"])
        cloud.servers.held.clear()
        assert await cloud.delete(f"/attachments/{attachment_id}", expect=200) == {"attachments": []}
        assert (await cloud.settled(volume["id"]))["status"] == "available"

    tell(story)


def test_where_the_data_are_only_services_and_administrators_learn(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        attachment_id = await attach(cloud, volume["id"])
        secret = str(cloud.backend._path.parent)  # type: ignore[attr-defined]
        path = f"/v3/attachments/{attachment_id}"
        for as_, is_shown in (("member@red", False), ("reader@red", False), ("admin@ops", True), ("service", True)):
            for asked in (path, f"/v3/attachments/detail?volume_id={volume['id']}&all_tenants=1"):
                assert (secret in (await cloud.ask("GET", asked, as_=as_)).body.decode()) is is_shown
        free = await cloud.volume()
        connector = {"connector": {"host": "h"}}
        for as_, is_shown in (("member@red", False), ("service", True)):
            found = await cloud.act(free["id"], "os-initialize_connection", connector, expect=200, as_=as_)
            assert ("path" in found["connection_info"]["data"]) is is_shown
        await cloud.act(free["id"], "os-terminate_connection", connector)
        shown = await cloud.ask("GET", f"/v3/volumes/{volume['id']}", as_="admin@ops")
        assert secret not in shown.body.decode()

    tell(story)


def test_a_volume_goes_to_one_server_only(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume, volumes = await cloud.volume(), compute(cloud)

        async def reserve(number: int) -> str:
            return await volumes.reserve(volume["id"], f"{number:08d}-2222-4222-8222-222222222222", USER)

        results = await asyncio.gather(*(reserve(number) for number in range(16)), return_exceptions=True)
        won = [result for result in results if isinstance(result, str)]
        assert len(won) == 1
        assert all(isinstance(result, BadRequest) for result in results if not isinstance(result, str))
        assert len((await cloud.get(f"/attachments?volume_id={volume['id']}"))["attachments"]) == 1

    tell(story)


def test_a_multiattach_volume_goes_to_several(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        body = {"volume_type": {"name": "multi", "extra_specs": {"multiattach": "<is> True"}}}
        await cloud.post("/types", body, as_="admin@ops", expect=200)
        volume = await cloud.volume(volume_type="multi")
        assert volume["multiattach"] is True
        first, second = await attach(cloud, volume["id"]), await attach(cloud, volume["id"], OTHER)
        assert len((await cloud.settled(volume["id"]))["attachments"]) == 2
        await cloud.act(volume["id"], "os-detach", expect=400, as_="service")
        await compute(cloud).drop(first, ALONE)
        assert (await cloud.settled(volume["id"]))["status"] == "in-use"
        await compute(cloud).drop(second, ALONE)
        assert (await cloud.settled(volume["id"]))["status"] == "available"

    tell(story)


def test_an_attached_volume_is_neither_deleted_nor_extended_by_old_clients(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        await attach(cloud, volume["id"])
        path = f"/volumes/{volume['id']}"
        await cloud.delete(path, expect=400)
        await cloud.delete(f"{path}?force=true", expect=400, as_="admin@ops")
        await cloud.act(volume["id"], "os-extend", {"new_size": 2}, expect=400, version="volume 3.41")
        await cloud.act(volume["id"], "os-extend", {"new_size": 2}, version="volume 3.42")
        after = await cloud.settled(volume["id"])
        assert (after["status"], after["size"]) == ("in-use", 2)
        assert cloud.servers.told == [(SERVER, volume["id"])]

    tell(story)


def test_attachments_are_their_owners(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        held = await cloud.attachment(volume["id"], SERVER)
        path = f"/attachments/{held['id']}"
        connector = {"attachment": {"connector": {"host": "h"}}}
        await cloud.get(path, as_="member@blue", expect=404)
        await cloud.put(path, connector, as_="member@blue", expect=404)
        await cloud.delete(path, as_="member@blue", expect=404)
        await cloud.put(path, connector, as_="reader@red", expect=403)
        assert (await cloud.get("/attachments", as_="member@blue"))["attachments"] == []
        assert (await cloud.get("/attachments?all_tenants=1", as_="member@blue"))["attachments"] == []
        body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": OTHER}}
        await cloud.post("/attachments", body, as_="member@blue", expect=404)
        for asked in (f"instance_id={SERVER}", f"volume_id={volume['id']}", "status=reserved", "limit=1"):
            assert len((await cloud.get(f"/attachments?{asked}"))["attachments"]) == 1
        assert (await cloud.get("/attachments?status=attached"))["attachments"] == []

    tell(story)


def test_attachments_come_in_pages(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        for _ in range(5):
            await cloud.attachment((await cloud.volume())["id"], SERVER)
        seen: list[str] = []
        page = await cloud.get("/attachments?limit=2")
        while page["attachments"]:
            seen += [one["id"] for one in page["attachments"]]
            page = await cloud.get(f"/attachments?limit=2&marker={seen[-1]}")
        assert len(set(seen)) == len(seen) == 5

    tell(story)


def test_what_makes_no_sense_is_refused(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        for body in ({}, {"volume_uuid": "x"}, {"volume_uuid": volume["id"], "mode": "wx"},
                     {"volume_uuid": volume["id"], "instance_uuid": 5}):  # fmt: skip
            await cloud.post("/attachments", {"attachment": body}, expect=400)
        missing = "00000000-0000-0000-0000-000000000000"
        await cloud.post("/attachments", {"attachment": {"volume_uuid": missing, "instance_uuid": SERVER}}, expect=404)
        await cloud.get(f"/attachments/{missing}", expect=404)
        await cloud.delete(f"/attachments/{missing}", expect=404)
        held = await cloud.attachment(volume["id"], SERVER)
        await cloud.put(f"/attachments/{held['id']}", {"attachment": {}}, expect=400)
        await cloud.post(f"/attachments/{held['id']}/action", {"os-complete": {}}, expect=400)
        await cloud.post(f"/attachments/{held['id']}/action", {"os-fly": {}}, expect=400)

    tell(story)


def test_an_attachment_with_a_connector_is_connected_at_once(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        held = await cloud.attachment(volume["id"], SERVER, connector={"host": "h"}, mode="ro", as_="admin@red")
        assert (held["status"], held["attach_mode"]) == ("attaching", "ro")
        assert held["connection_info"]["access_mode"] == "ro"

    tell(story)


def test_the_old_calls_still_work(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume_id = (await cloud.volume())["id"]
        await cloud.act(volume_id, "os-reserve")
        assert (await cloud.settled(volume_id))["status"] == "attaching"
        await cloud.act(volume_id, "os-reserve", expect=400)
        await cloud.act(volume_id, "os-unreserve")
        assert (await cloud.settled(volume_id))["status"] == "available"
        for wrong in ({}, {"mountpoint": "/dev/vdc"}, {"instance_uuid": SERVER},
                      {"instance_uuid": SERVER, "host_name": "h", "mountpoint": "/dev/vdc"},
                      {"instance_uuid": SERVER, "mountpoint": "/dev/vdc", "mode": "wx"}):  # fmt: skip
            await cloud.act(volume_id, "os-attach", wrong, expect=400)
        await cloud.act(volume_id, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"})
        shown = await cloud.settled(volume_id)
        assert (shown["status"], shown["attachments"][0]["device"]) == ("in-use", "/dev/vdc")
        await cloud.act(volume_id, "os-begin_detaching")
        await cloud.act(volume_id, "os-detach")
        assert (await cloud.settled(volume_id))["status"] == "available"
        await cloud.act(volume_id, "os-detach")  # nothing to detach is fine
        await cloud.act(volume_id, "os-begin_detaching", expect=400)
        await cloud.act(volume_id, "os-roll_detaching", expect=400)

    tell(story)


def test_a_volume_that_cannot_be_reached_can_be_tried_again(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path) as cloud:
            volume = await cloud.volume(metadata={"pileus:fail": "attach:1,detach:1"})
            volumes = compute(cloud)
            attachment_id = await volumes.reserve(volume["id"], SERVER, USER)
            with pytest.raises(Error):
                await volumes.connect(attachment_id, host="h", device="", epoch=1, authority=USER)
            await volumes.connect(attachment_id, host="h", device="", epoch=1, authority=USER)
            await volumes.complete(attachment_id, USER)
            with pytest.raises(Error):
                await volumes.drop(attachment_id, ALONE)
            assert (await cloud.settled(volume["id"]))["status"] == "detaching"
            await volumes.drop(attachment_id, ALONE)
            assert (await cloud.settled(volume["id"]))["status"] == "available"

    run(play)


def test_a_volume_that_is_being_made_is_reserved_and_ends_reserved(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        cloud.images.add("11111111-0000-4000-8000-000000000000", b"data")
        volume = await cloud.begin_volume(
            imageRef="11111111-0000-4000-8000-000000000000", metadata={"pileus:delay": "create:0.2"}
        )  # fmt: skip
        while (await cloud.get(f"/volumes/{volume['id']}"))["volume"]["status"] != "downloading":
            await cloud.runtime.sleep(0.001)
        await cloud.attachment(volume["id"], SERVER)
        assert (await cloud.settled(volume["id"]))["status"] == "reserved"

    tell(story)
