"""Quotas, limits, types, metadata, messages, and what the service tells of itself."""

import asyncio
from typing import Any

import pytest

from tests.api.volume_cloud import VolumeCloud, project, tell  # noqa: F401 - a fixture

ADMIN = "admin@ops"


# -- quotas -------------------------------------------------------------------------------------------------------
async def set_quota(cloud: VolumeCloud, expect: int = 200, **limits: Any) -> Any:
    return await cloud.put(f"/os-quota-sets/{project('red')}", {"quota_set": limits}, as_=ADMIN, expect=expect)


def test_what_is_over_quota_is_refused_at_once_and_says_when_to_come_again(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await set_quota(cloud, volumes=2, gigabytes=5, per_volume_gigabytes=4)
        await cloud.volume(size=2)
        answer = await cloud.ask("POST", "/v3/volumes", {"volume": {"size": 4}})
        assert (answer.status, answer.headers["retry-after"]) == (413, "0")
        assert answer.json()["overLimit"]["message"].endswith("quota is 5G and 2G has been consumed.")
        await cloud.post("/volumes", {"volume": {"size": 5}}, expect=400)
        volume = await cloud.volume(size=2)
        refused = await cloud.post("/volumes", {"volume": {"size": 1}}, expect=413)
        assert "Maximum number of volumes allowed (2)" in refused["overLimit"]["message"]
        await cloud.act(volume["id"], "os-extend", {"new_size": 4}, expect=413)
        await cloud.act(volume["id"], "os-extend", {"new_size": 3})
        await cloud.settled(volume["id"])
        assert (await cloud.volume(size=1, as_="member@blue"))["status"] == "available"

    tell(story)


def test_no_race_gets_past_a_quota(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await set_quota(cloud, volumes=5)
        answers = await asyncio.gather(
            *(cloud.ask("POST", "/v3/volumes", {"volume": {"size": 1}}) for _ in range(16))
        )  # fmt: skip
        assert sorted(answer.status for answer in answers) == [202] * 5 + [413] * 11

    tell(story)


def test_room_comes_back_when_a_volume_goes(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await set_quota(cloud, volumes=1)
        volume = await cloud.volume()
        await cloud.post("/volumes", {"volume": {"size": 1}}, expect=413)
        await cloud.delete(f"/volumes/{volume['id']}")
        await cloud.settled(volume["id"])
        await cloud.volume()

    tell(story)


def test_quotas_are_shown_changed_and_forgotten(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/os-quota-sets/{project('red')}"
        shown = (await cloud.get(path))["quota_set"]
        assert (shown["volumes"], shown["gigabytes"], shown["volumes___DEFAULT__"]) == (10, 1000, -1)
        assert shown["id"] == project("red")
        changed = (await set_quota(cloud, volumes="20", gigabytes=-1, tenant_id="x"))["quota_set"]
        assert (changed["volumes"], changed["gigabytes"]) == (20, -1)
        await cloud.volume(size=3)
        usage = (await cloud.get(f"{path}?usage=True"))["quota_set"]
        assert usage["volumes"] == {"limit": 20, "in_use": 1, "reserved": 0}
        assert usage["gigabytes___DEFAULT__"]["in_use"] == 3
        assert (await cloud.get(f"{path}/defaults"))["quota_set"]["volumes"] == 10
        await cloud.put("/os-quota-class-sets/default", {"quota_class_set": {"volumes": 7}}, as_=ADMIN)
        assert (await cloud.get(f"{path}/defaults"))["quota_set"]["volumes"] == 7
        assert (await cloud.get("/os-quota-class-sets/default", as_=ADMIN))["quota_class_set"]["volumes"] == 7
        assert (await cloud.get(path))["quota_set"]["volumes"] == 20
        await cloud.delete(path, as_=ADMIN, expect=200)
        assert (await cloud.get(path))["quota_set"]["volumes"] == 7

    tell(story)


def test_quotas_of_others_and_nonsense_are_refused(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/os-quota-sets/{project('red')}"
        await cloud.get(path, as_="member@blue", expect=403)
        await cloud.put(path, {"quota_set": {"volumes": 99}}, expect=403)
        await cloud.delete(path, expect=403)
        await cloud.volume()
        for limits in ({"chairs": 3}, {"volumes": -2}, {"volumes": "many"}, {"volumes": 1 << 40}):
            await set_quota(cloud, expect=400, **limits)
        skipped = f"{path}?skip_validation=False"
        await cloud.put(skipped, {"quota_set": {"volumes": 0}}, as_=ADMIN, expect=400)
        await set_quota(cloud, volumes=0)

    tell(story)


def test_limits_show_what_is_used(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await cloud.volume(size=4)
        limits = (await cloud.get("/limits"))["limits"]
        assert limits["rate"] == []
        assert (limits["absolute"]["totalVolumesUsed"], limits["absolute"]["totalGigabytesUsed"]) == (1, 4)
        assert limits["absolute"]["maxTotalVolumes"] == 10
        other = f"/limits?project_id={project('red')}"
        assert (await cloud.get(other, as_=ADMIN))["limits"]["absolute"]["totalVolumesUsed"] == 1
        await cloud.get(other, as_="member@blue", expect=403)
        old = await cloud.get(other, as_=ADMIN, version="volume 3.38")
        assert old["limits"]["absolute"]["totalVolumesUsed"] == 0

    tell(story)


# -- types --------------------------------------------------------------------------------------------------------
async def make_type(cloud: VolumeCloud, name: str, **fields: Any) -> Any:
    body = {"volume_type": {"name": name, **fields}}
    return (await cloud.post("/types", body, as_=ADMIN, expect=200))["volume_type"]


def test_a_type_lives_and_dies(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        made = await make_type(cloud, "gold", description="fast", extra_specs={"a": "b"})
        path = f"/types/{made['id']}"
        assert (await cloud.get(path, as_=ADMIN))["volume_type"] == {**made, "qos_specs_id": None}
        changed = await cloud.put(path, {"volume_type": {"name": "silver", "is_public": False}}, as_=ADMIN)
        assert (changed["volume_type"]["name"], changed["volume_type"]["is_public"]) == ("silver", False)
        await cloud.put(path, {"volume_type": {}}, as_=ADMIN, expect=400)
        await make_type(cloud, "gold")
        await cloud.put(path, {"volume_type": {"name": "gold"}}, as_=ADMIN, expect=409)
        await cloud.post("/types", {"volume_type": {"name": "gold"}}, as_=ADMIN, expect=409)
        await cloud.delete(path, as_=ADMIN)
        await cloud.get(path, as_=ADMIN, expect=404)

    tell(story)


def test_the_default_type_stays(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        default = (await cloud.get("/types/default"))["volume_type"]
        assert default["name"] == "__DEFAULT__"
        assert (await cloud.volume())["volume_type_id"] == default["id"]
        await cloud.delete(f"/types/{default['id']}", as_=ADMIN, expect=400)
        kind = await make_type(cloud, "gold")
        volume = await cloud.volume(volume_type=kind["id"])
        assert volume["volume_type"] == "gold"
        await cloud.delete(f"/types/{kind['id']}", as_=ADMIN, expect=400)

    tell(story)


def test_only_administrators_manage_types_and_see_where_they_lead(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        specs = {"volume_backend_name": "fake", "multiattach": "<is> True"}
        kind = await make_type(cloud, "gold", extra_specs=specs)
        path = f"/types/{kind['id']}"
        assert (await cloud.get(path))["volume_type"]["extra_specs"] == {"multiattach": "<is> True"}
        assert "qos_specs_id" not in (await cloud.get(path))["volume_type"]
        assert (await cloud.get(f"{path}/extra_specs"))["extra_specs"] == {"multiattach": "<is> True"}
        await cloud.get(f"{path}/extra_specs/volume_backend_name", expect=404)
        assert (await cloud.get(f"{path}/extra_specs", as_=ADMIN))["extra_specs"] == specs
        for method, where, body in (
            ("POST", "/types", {"volume_type": {"name": "x"}}), ("PUT", path, {"volume_type": {"name": "x"}}),
            ("DELETE", path, None), ("POST", f"{path}/extra_specs", {"extra_specs": {"a": "b"}}),
            ("DELETE", f"{path}/extra_specs/multiattach", None), ("GET", f"{path}/os-volume-type-access", None),
        ):  # fmt: skip
            assert (await cloud.ask(method, f"/v3{where}", body)).status == 403

    tell(story)


def test_extra_specs_come_and_go(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/types/{(await make_type(cloud, 'gold'))['id']}/extra_specs"
        assert await cloud.post(path, {"extra_specs": {"a": "1", "b": "2"}}, as_=ADMIN, expect=200)
        assert await cloud.put(f"{path}/a", {"a": "3"}, as_=ADMIN) == {"a": "3"}
        await cloud.put(f"{path}/a", {"b": "3"}, as_=ADMIN, expect=400)
        assert await cloud.get(f"{path}/a", as_=ADMIN) == {"a": "3"}
        await cloud.delete(f"{path}/a", as_=ADMIN)
        await cloud.delete(f"{path}/a", as_=ADMIN, expect=404)
        assert (await cloud.get(path, as_=ADMIN))["extra_specs"] == {"b": "2"}
        await cloud.post(path, {"extra_specs": {"a b/c": "1"}}, as_=ADMIN, expect=400)

    tell(story)


def test_a_private_type_is_for_those_who_were_let_in(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        kind = await make_type(cloud, "secret", **{"os-volume-type-access:is_public": False})
        path = f"/types/{kind['id']}"
        names = [one["name"] for one in (await cloud.get("/types"))["volume_types"]]
        assert names == ["__DEFAULT__"]
        await cloud.get(path, expect=404)
        await cloud.post("/volumes", {"volume": {"size": 1, "volume_type": "secret"}}, expect=404)
        grant = {"addProjectAccess": {"project": project("red")}}
        await cloud.post(f"{path}/action", grant, as_=ADMIN)
        await cloud.post(f"{path}/action", grant, as_=ADMIN, expect=409)
        assert (await cloud.volume(volume_type="secret"))["volume_type"] == "secret"
        assert len((await cloud.get("/types"))["volume_types"]) == 2
        (access,) = (await cloud.get(f"{path}/os-volume-type-access", as_=ADMIN))["volume_type_access"]
        assert access == {"volume_type_id": kind["id"], "project_id": project("red")}
        for _, expect in ((1, 202), (2, 404)):
            body = {"removeProjectAccess": {"project": project("red")}}
            await cloud.post(f"{path}/action", body, as_=ADMIN, expect=expect)
        await cloud.get(path, expect=404)

    tell(story)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["b", "a", "__DEFAULT__"]),
        ("sort=name:asc", ["__DEFAULT__", "a", "b"]),
        ("limit=1", ["b"]),
        ("limit=1&offset=1", ["a"]),
        ("is_public=none", ["hidden", "b", "a", "__DEFAULT__"]),
        ("is_public=false", ["hidden"]),
        ("extra_specs=%7B'tier':'1'%7D", ["a"]),
    ],
)
def test_types_are_listed_as_asked_for(tell: Any, query: str, names: list[str]) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await make_type(cloud, "a", extra_specs={"tier": "1"})
        await make_type(cloud, "b")
        await make_type(cloud, "hidden", **{"os-volume-type-access:is_public": False})
        found = (await cloud.get(f"/types?{query}", as_=ADMIN))["volume_types"]
        assert [kind["name"] for kind in found] == names
        await cloud.get("/types?is_public=perhaps", as_=ADMIN, expect=400)
        await cloud.get("/types?marker=gone", as_=ADMIN, expect=404)

    tell(story)


# -- metadata -----------------------------------------------------------------------------------------------------
def test_metadata_are_added_replaced_and_removed(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/volumes/{(await cloud.volume(metadata={'a': '1'}))['id']}/metadata"
        added = await cloud.post(path, {"metadata": {"b": "2"}}, expect=200)
        assert added == {"metadata": {"a": "1", "b": "2"}}
        assert await cloud.put(f"{path}/a", {"meta": {"a": "3"}}) == {"meta": {"a": "3"}}
        assert await cloud.get(f"{path}/a") == {"meta": {"a": "3"}}
        await cloud.put(f"{path}/a", {"meta": {"b": "3"}}, expect=400)
        await cloud.put(f"{path}/a", {"meta": {"a": "1", "b": "3"}}, expect=400)
        await cloud.delete(f"{path}/a", expect=200)
        await cloud.delete(f"{path}/a", expect=404)
        await cloud.get(f"{path}/a", expect=404)
        assert await cloud.put(path, {"metadata": {"only": "this"}}) == {"metadata": {"only": "this"}}
        assert await cloud.put(path, {"metadata": {}}) == {"metadata": {}}
        for wrong in ({"metadata": {"a": 1}}, {"metadata": {"a": "x" * 256}}, {"meta": {}}, {}):
            await cloud.post(path, wrong, expect=400)
        await cloud.get(path, as_="member@blue", expect=404)
        await cloud.post(path, {"metadata": {"a": "b"}}, as_="reader@red", expect=403)

    tell(story)


def test_metadata_that_changed_meanwhile_are_not_overwritten(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/v3/volumes/{(await cloud.volume())['id']}/metadata"
        etag = (await cloud.ask("GET", path)).headers["etag"]
        assert "etag" not in (await cloud.ask("GET", path, version="volume 3.14")).headers
        first = await cloud.ask("PUT", path, {"metadata": {"a": "1"}}, if_match=etag)
        assert first.status == 200
        second = await cloud.ask("PUT", path, {"metadata": {"a": "2"}}, if_match=etag)
        assert second.status == 412
        assert (await cloud.ask("PUT", path, {"metadata": {"a": "3"}}, if_match=first.headers["etag"])).status == 200

    tell(story)


def test_a_megabyte_of_metadata_is_too_large(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        metadata = {f"key{number}": "x" * 200 for number in range(5000)}
        await cloud.post("/volumes", {"volume": {"size": 1, "metadata": metadata}}, expect=413)

    tell(story)


# -- messages -----------------------------------------------------------------------------------------------------
def test_a_failure_tells_its_owner_why(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        volume = await cloud.volume(metadata={"pileus:fail": "disk-full"})
        (message,) = (await cloud.get("/messages"))["messages"]
        assert "no room" in message["user_message"]
        assert (message["resource_type"], message["resource_uuid"]) == ("VOLUME", volume["id"])
        path = f"/messages/{message['id']}"
        assert (await cloud.get(path))["message"]["id"] == message["id"]
        assert (await cloud.get("/messages", as_="member@blue"))["messages"] == []
        await cloud.get(path, as_="member@blue", expect=404)
        await cloud.delete(path, as_="reader@red", expect=403)
        await cloud.get("/messages", version="volume 3.2", expect=404)
        assert (await cloud.get("/messages?resource_uuid=x"))["messages"] == []
        await cloud.delete(path, expect=204)
        await cloud.get(path, expect=404)

    tell(story)


# -- what the service tells of itself -----------------------------------------------------------------------------
def test_facts_of_the_service(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        aliases = [one["alias"] for one in (await cloud.get("/extensions"))["extensions"]]
        assert "os-vol-host-attr" in aliases
        assert (await cloud.get("/extensions/os-quota-sets"))["extension"]["alias"] == "os-quota-sets"
        await cloud.get("/extensions/chairs", expect=404)
        zones = await cloud.get("/os-availability-zone")
        assert zones == {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}}]}
        filters = (await cloud.get("/resource_filters?resource=volume"))["resource_filters"]
        assert "status" in filters[0]["filters"]
        while len(found := (await cloud.get("/os-services", as_=ADMIN))["services"]) < 2:
            await cloud.runtime.sleep(0.001)  # its host is about to say that it lives
        _, service = found
        assert (service["binary"], service["host"], service["state"]) == ("cinder-volume", "pileus@fake", "up")
        await cloud.get("/os-services", expect=403)
        assert (await cloud.get("/os-services?host=elsewhere", as_=ADMIN))["services"] == []
        (pool,) = (await cloud.get("/scheduler-stats/get_pools?detail=true", as_=ADMIN))["pools"]
        assert pool["name"] == "pileus@fake#fake"
        assert pool["capabilities"]["free_capacity_gb"] > 0
        told = await cloud.get("/capabilities/pileus@fake", as_=ADMIN)
        assert (told["vendor_name"], told["volume_backend_name"]) == ("Pileus", "fake")
        await cloud.get("/capabilities/elsewhere", as_=ADMIN, expect=404)
        hosts = (await cloud.get("/os-hosts", as_=ADMIN))["hosts"]
        assert [host["host_name"] for host in hosts] == ["pileus", "pileus@fake"]
        await cloud.volume(size=3)
        total, own = (await cloud.get("/os-hosts/pileus@fake", as_=ADMIN))["host"]
        assert (total["resource"]["project"], total["resource"]["total_volume_gb"]) == ("(total)", "3")
        assert own["resource"]["project"] == project("red")

    tell(story)


def test_a_back_end_that_is_closed_takes_no_new_volumes(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        while len((await cloud.get("/os-services", as_=ADMIN))["services"]) < 2:
            await cloud.runtime.sleep(0.001)
        volume, body = await cloud.volume(), {"host": "pileus@fake", "binary": "cinder-volume"}
        path = "/os-services/disable-log-reason"
        await cloud.put(path, {**body, "disabled_reason": None}, as_=ADMIN, expect=400)
        await cloud.put(path, {**body, "disabled_reason": "mending"}, expect=403)
        assert (await cloud.put(path, {**body, "disabled_reason": "mending"}, as_=ADMIN))["status"] == "disabled"
        shown = (await cloud.get("/os-services?binary=cinder-volume", as_=ADMIN))["services"][0]
        assert (shown["status"], shown["disabled_reason"]) == ("disabled", "mending")
        assert (await cloud.volume())["status"] == "error"
        await cloud.delete(f"/volumes/{volume['id']}")
        assert await cloud.settled(volume["id"]) is None
        assert (await cloud.put("/os-services/enable", body, as_=ADMIN))["status"] == "enabled"
        assert (await cloud.volume())["status"] == "available"
        for wrong in ({**body, "host": "elsewhere"}, {**body, "binary": "cinder-toaster"}):
            await cloud.put("/os-services/disable", wrong, as_=ADMIN, expect=404)

    tell(story)
