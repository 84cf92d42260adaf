"""Volumes from the outside: made, shown, changed, deleted; and every way to ask wrongly."""

from pathlib import Path
from typing import Any

import pytest

from pileus.volume.service import VolumeSettings
from tests.api.volume_cloud import VolumeCloud, project, tell, volume_cloud  # noqa: F401 - a fixture
from tests.conftest import Run

NOWHERE = "00000000-0000-0000-0000-000000000000"


def test_a_volume_lives_and_dies(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        made = await cloud.begin_volume(name=" data ", description="mine", metadata={"a": "b"})
        assert (made["status"], made["name"], made["updated_at"]) == ("creating", "data", None)
        volume = await cloud.settled(made["id"])
        assert (volume["status"], volume["size"], volume["metadata"]) == ("available", 1, {"a": "b"})
        assert volume["os-vol-tenant-attr:tenant_id"] == project("red")
        answer = await cloud.ask("DELETE", f"/v3/volumes/{made['id']}")
        assert (answer.status, answer.body) == (202, b"")
        assert await cloud.settled(made["id"]) is None

    tell(story)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 0}, "Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1"),
        ({"size": -1}, "size"),
        ({"size": "abc"}, "size"),
        ({"size": 1.5}, "size"),
        ({"size": True}, "size"),
        ({"size": 1 << 40}, "size"),
        ({}, "Invalid volume size provided"),
        ({"size": None}, "Invalid volume size provided"),
        ({"size": 1, "name": "x" * 256}, "name"),
        ({"size": 1, "description": "x" * 256}, "description"),
        ({"size": 1, "metadata": {"key": 1}}, "field/attribute key"),
        ({"size": 1, "metadata": {"": "x"}}, "metadata"),
        ({"size": 1, "metadata": {"key": "x" * 256}}, "field/attribute key"),
        ({"size": 1, "availability_zone": "mars"}, "Availability zone 'mars' is invalid"),
        ({"size": 1, "chairs": 3}, "chairs"),
        ({"size": 1, "multiattach": True}, "volume type"),
        ({"size": 1, "source_volid": "x"}, "source_volid"),
        ({"size": 1, "backup_id": NOWHERE}, "backup"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_name(tell: Any, fields: dict[str, Any], said: str) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        refused = await cloud.post("/volumes", {"volume": fields}, expect=400)
        assert refused["badRequest"]["code"] == 400
        assert said in refused["badRequest"]["message"]
        assert (await cloud.get("/volumes"))["volumes"] == []

    tell(story)


@pytest.mark.parametrize("body", [{}, {"volume": []}, {"volume": None}, [], "x", {"volumes": {"size": 1}}])
def test_a_body_of_another_shape_is_refused(tell: Any, body: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await cloud.post("/volumes", body, expect=400)

    tell(story)


def test_a_size_may_be_a_text_and_older_clients_say_display_name(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        asked = {"volume": {"size": "2", "display_name": "old", "display_description": "words", "chairs": 3}}
        made = (await cloud.post("/volumes", asked, version="volume 3.52"))["volume"]
        assert (made["size"], made["name"], made["description"]) == (2, "old", "words")

    tell(story)


def test_unknown_things_are_not_found(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        missing = await cloud.get(f"/volumes/{NOWHERE}", expect=404)
        assert missing == {"itemNotFound": {"code": 404, "message": f"Volume {NOWHERE} could not be found."}}
        await cloud.delete(f"/volumes/{NOWHERE}", expect=404)
        await cloud.put(f"/volumes/{NOWHERE}", {"volume": {"name": "x"}}, expect=404)
        await cloud.act(NOWHERE, "os-extend", {"new_size": 2}, expect=404)
        for body in (
            {"volume_type": "gold"},
            {"imageRef": NOWHERE},
            {"volume_type": NOWHERE},
            {"snapshot_id": NOWHERE},
            {"source_volid": NOWHERE},
        ):
            await cloud.post("/volumes", {"volume": {"size": 1, **body}}, expect=404)

    tell(story)


def test_no_token_and_no_right(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        refused = await cloud.ask("GET", "/v3/volumes", as_="")
        assert refused.status == 401
        assert refused.json()["error"]["title"] == "Unauthorized"
        assert refused.headers["www-authenticate"].startswith("Keystone uri=")
        path = f"/volumes/{volume['id']}"
        await cloud.get(path, as_="nobody@red", expect=403)
        await cloud.delete(path, as_="reader@red", expect=403)
        await cloud.get(path, as_="member@blue", expect=404)
        await cloud.delete(path, as_="member@blue", expect=404)
        await cloud.get(path, as_="admin@ops")
        await cloud.get(path, as_="service")

    tell(story)


def test_a_version_is_chosen_echoed_and_refused(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        path = f"/v3/volumes/{volume['id']}"
        for asked, echoed in (("", "3.0"), ("volume 3.27", "3.27"), ("volume latest", "3.71")):
            answer = await cloud.ask("GET", path, version=asked)
            assert answer.headers["openstack-api-version"] == f"volume {echoed}"
            assert answer.headers["vary"] == "OpenStack-API-Version"
        for asked, status in (("volume 3.72", 406), ("volume 2.0", 406), ("volume three", 400)):
            assert (await cloud.ask("GET", path, version=asked)).status == status

    tell(story)


@pytest.mark.parametrize(
    ("field", "since", "as_"),
    [
        ("group_id", 10, "member@red"), ("provider_id", 21, "admin@ops"), ("shared_targets", 48, "member@red"),
        ("service_uuid", 48, "member@red"), ("cluster_name", 61, "admin@ops"), ("volume_type_id", 63, "member@red"),
        ("consumes_quota", 65, "member@red"),
    ],
)  # fmt: skip
def test_a_field_appears_with_its_version(tell: Any, field: str, since: int, as_: str) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/volumes/{(await cloud.volume())['id']}"
        assert field not in (await cloud.get(path, as_=as_, version=f"volume 3.{since - 1}"))["volume"]
        assert field in (await cloud.get(path, as_=as_, version=f"volume 3.{since}"))["volume"]

    tell(story)


def test_where_a_volume_is_only_administrators_see(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/volumes/{(await cloud.volume())['id']}"
        assert not [name for name in (await cloud.get(path))["volume"] if "host" in name or "migstat" in name]
        assert (await cloud.get(path, as_="admin@ops"))["volume"]["os-vol-host-attr:host"] == "pileus@fake#fake"

    tell(story)


def test_addresses_with_and_without_the_project_are_the_same(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume()
        for version in ("", "volume 3.71"):
            found = await cloud.get(f"/{project('red')}/volumes/{volume['id']}", version=version)
            self_link, bookmark = found["volume"]["links"]
            assert self_link["href"].endswith(f"/v3/{project('red')}/volumes/{volume['id']}")
            assert bookmark["href"].endswith(f"localhost/{project('red')}/volumes/{volume['id']}")
        wrong = await cloud.get(f"/{project('blue')}/volumes", expect=400)
        assert "doesn't match" in wrong["badRequest"]["message"]
        assert (await cloud.ask("GET", "/v3/not-a-project/volumes")).status == 404

    tell(story)


def test_discovery(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        found = await cloud.ask("GET", "/", as_="", version="")
        assert found.status == 300
        (version,) = found.json()["versions"]
        assert (version["id"], version["version"], version["min_version"]) == ("v3.0", "3.71", "3.0")
        sent = await cloud.ask("GET", "/v3", as_="", version="")
        assert (sent.status, sent.headers["location"]) == (302, "http://localhost/v3/")
        assert (await cloud.ask("GET", "/v3/", as_="")).status == 401
        assert (await cloud.ask("GET", "/v3/")).json() == found.json()

    tell(story)


def test_what_is_no_operation_is_not_found_in_another_shape(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        for method, path in (("GET", "/v3/chairs"), ("PATCH", "/v3/volumes"), ("POST", f"/v3/volumes/{NOWHERE}")):
            answer = await cloud.ask(method, path, {} if method != "GET" else None)
            assert (answer.status, set(answer.json())) == (404, {"message", "code", "title"})
        old = await cloud.ask("GET", "/v3/attachments", version="volume 3.26")
        assert (old.status, set(old.json())) == (404, {"itemNotFound"})
        volume = await cloud.volume()
        await cloud.act(volume["id"], "os-fly", expect=400)
        await cloud.post(f"/volumes/{volume['id']}/action", {}, expect=400)

    tell(story)


def test_a_volume_is_renamed(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/volumes/{(await cloud.volume(name='a', metadata={'x': 'y'}))['id']}"
        changed = (await cloud.put(path, {"volume": {"name": "b", "description": "d"}}))["volume"]
        assert (changed["name"], changed["description"], changed["metadata"]) == ("b", "d", {"x": "y"})
        await cloud.put(path, {"volume": {"metadata": {"only": "this"}}})
        shown = (await cloud.get(path))["volume"]
        assert (shown["name"], shown["metadata"]) == ("b", {"only": "this"})
        await cloud.put(path, {"volume": {"name": None}})
        assert (await cloud.get(path))["volume"]["name"] is None
        for wrong in ({}, {"size": 3}, {"name": 5}):
            await cloud.put(path, {"volume": wrong}, expect=400)
        await cloud.put(path, {"volume": {"chairs": 3}}, version="volume 3.52")

    tell(story)


def test_a_volume_is_extended(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume(size=2)
        for size in (1, 2, 0, "x", None):
            await cloud.act(volume["id"], "os-extend", {"new_size": size}, expect=400)
        await cloud.act(volume["id"], "os-extend", {"new_size": "5"})
        assert (await cloud.settled(volume["id"]))["size"] == 5
        (held,) = await cloud.backend.list_volumes()
        assert held.size_gib == 5

    tell(story)


def test_flags_of_a_volume_are_set(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume_id = (await cloud.volume())["id"]
        await cloud.act(volume_id, "os-set_bootable", {"bootable": "True"}, expect=200)
        assert (await cloud.settled(volume_id))["bootable"] == "true"
        await cloud.act(volume_id, "os-set_bootable", {"bootable": "perhaps"}, expect=400)
        await cloud.act(volume_id, "os-update_readonly_flag", {"readonly": True})
        assert (await cloud.settled(volume_id))["metadata"] == {"readonly": "True"}
        await cloud.act(volume_id, "os-reset_status", {"status": "error"}, expect=403)
        await cloud.act(volume_id, "os-reset_status", {"status": "flying"}, expect=400, as_="admin@ops")
        await cloud.act(volume_id, "os-reset_status", {}, expect=400, as_="admin@ops")
        await cloud.act(volume_id, "os-reset_status", {"status": "error"}, as_="admin@ops")
        assert (await cloud.settled(volume_id))["status"] == "error"
        await cloud.delete(f"/volumes/{volume_id}")

    tell(story)


def test_a_volume_that_fits_no_back_end_is_in_error_and_can_be_deleted(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path, settings=VolumeSettings(backends=("fake", "other"))) as cloud:
            for name in ("fake", "gone"):
                body = {"volume_type": {"name": name, "extra_specs": {"volume_backend_name": name}}}
                await cloud.post("/types", body, as_="admin@ops", expect=200)
            assert (await cloud.volume(volume_type="fake"))["status"] == "available"
            lost = await cloud.volume(volume_type="gone", as_="admin@red")
            assert (lost["status"], lost["os-vol-host-attr:host"]) == ("error", None)
            (message,) = (await cloud.get("/messages"))["messages"]
            assert "No back end has what volume type gone asks for" in message["user_message"]
            await cloud.delete(f"/volumes/{lost['id']}")
            assert await cloud.settled(lost["id"]) is None

    run(play)


def test_names_may_hold_anything_but_nul(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        for name in ("'; DROP TABLE volume_volumes; --", "a\nb", "$(reboot)", "é漢字🙂", '"', "../../etc"):
            assert (await cloud.volume(name=name))["name"] == name
        await cloud.post("/volumes", {"volume": {"size": 1, "name": "a\x00b"}}, expect=400)

    tell(story)
