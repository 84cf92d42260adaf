"""Sharing: the owner offers, the other project answers, nobody else knows."""

from pathlib import Path
from typing import Any

import pytest

from pileus.image.domain.image import Limits
from tests.unit.image.api.cloud import ImageCloud, story


async def listed(cloud: ImageCloud, token: str, query: str = "") -> list[str]:
    answer = await cloud.call("GET", f"/v2/images{query}", token=token)
    assert answer.status == 200, answer.body
    return [image["id"] for image in answer.json["images"]]


def test_an_offer_is_seen_when_it_is_accepted(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active()
        place = f"/v2/images/{image_id}/members"
        assert (await cloud.call("GET", f"/v2/images/{image_id}", token="bob:member")).status == 404
        added = await cloud.call("POST", place, {"member": "bob"})
        assert added.status == 200
        assert {**added.json, "created_at": "", "updated_at": ""} == {
            "member_id": "bob", "image_id": image_id, "status": "pending", "created_at": "", "updated_at": "",
            "schema": "/v2/schemas/member",
        }  # fmt: skip
        assert (await cloud.show(image_id, token="bob:member"))["id"] == image_id
        assert await listed(cloud, "bob:member") == []
        assert await listed(cloud, "bob:member", "?visibility=shared&member_status=pending") == [image_id]
        answered = await cloud.call("PUT", f"{place}/bob", {"status": "accepted"}, token="bob:member")
        assert (answered.status, answered.json["status"]) == (200, "accepted")
        assert await listed(cloud, "bob:member") == [image_id]
        assert (await cloud.call("GET", f"/v2/images/{image_id}/file", token="bob:member")).status == 200
        assert (await cloud.call("DELETE", f"{place}/bob")).status == 204
        assert (await cloud.call("GET", f"/v2/images/{image_id}", token="bob:member")).status == 404
        assert await listed(cloud, "bob:member") == []

    story(tmp_path, work)


def test_a_member_changes_nothing_of_the_image(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active()
        await cloud.call("POST", f"/v2/images/{image_id}/members", {"member": "bob"})
        assert (await cloud.call("DELETE", f"/v2/images/{image_id}", token="bob:member")).status == 403
        rename = {"op": "replace", "path": "/name", "value": "mine"}
        assert (await cloud.patch(image_id, rename, token="bob:member")).status == 403

    story(tmp_path, work)


def test_each_member_knows_only_of_itself(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active()
        place = f"/v2/images/{image_id}/members"
        for member in ("bob", "carol"):
            await cloud.call("POST", place, {"member": member})

        async def members(token: str) -> list[str]:
            found = (await cloud.call("GET", place, token=token)).json
            assert found["schema"] == "/v2/schemas/members"
            return [member["member_id"] for member in found["members"]]

        assert await members("alice:member") == ["bob", "carol"]
        assert await members("alice:reader") == ["bob", "carol"]
        assert await members("root:admin") == ["bob", "carol"]
        assert await members("bob:member") == ["bob"]
        assert (await cloud.call("GET", f"{place}/bob", token="bob:reader")).json["status"] == "pending"
        assert (await cloud.call("GET", f"{place}/carol", token="bob:member")).status == 404
        assert (await cloud.call("GET", place, token="dave:member")).status == 404

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("method", "path", "body", "token", "status"),
    [
        ("POST", "", {"member": "bob"}, "alice:member", 409),
        ("POST", "", {"member": ""}, "alice:member", 400),
        ("POST", "", {}, "alice:member", 400),
        ("POST", "", {"member": 5}, "alice:member", 400),
        ("POST", "", [], "alice:member", 400),
        ("POST", "", {"member": "dave"}, "alice:reader", 403),
        ("POST", "", {"member": "dave"}, "bob:member", 403),
        ("GET", "/dave", None, "alice:member", 404),
        ("PUT", "/bob", {"status": "nope"}, "bob:member", 400),
        ("PUT", "/bob", {}, "bob:member", 400),
        ("PUT", "/bob", {"status": "accepted"}, "alice:member", 403),
        ("PUT", "/bob", {"status": "accepted"}, "bob:reader", 403),
        ("PUT", "/carol", {"status": "accepted"}, "bob:member", 404),
        ("PUT", "/dave", {"status": "accepted"}, "alice:member", 404),
        ("PUT", "/bob", {"status": "rejected"}, "root:admin", 200),
        ("DELETE", "/dave", None, "alice:member", 404),
        ("DELETE", "/bob", None, "bob:member", 403),
        ("DELETE", "/bob", None, "alice:reader", 403),
        ("DELETE", "/bob", None, "root:admin", 204),
    ],
)
def test_who_may_say_what(tmp_path: Path, method: str, path: str, body: Any, token: str, status: int) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active()
        for member in ("bob", "carol"):
            await cloud.call("POST", f"/v2/images/{image_id}/members", {"member": member})
        answer = await cloud.call(method, f"/v2/images/{image_id}/members{path}", body, token=token)
        assert answer.status == status, answer.body

    story(tmp_path, work)


@pytest.mark.parametrize("visibility", ["private", "community", "public"])
def test_only_shared_images_have_members(tmp_path: Path, visibility: str) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active(token="root:admin", owner="alice", visibility=visibility)
        answer = await cloud.call("POST", f"/v2/images/{image_id}/members", {"member": "bob"})
        assert (answer.status, answer.text) == (403, "Only shared images have members.")

    story(tmp_path, work)


def test_a_member_of_an_image_that_is_no_longer_shared_sees_it_no_more(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active()
        await cloud.call("POST", f"/v2/images/{image_id}/members", {"member": "bob"})
        await cloud.patch(image_id, {"op": "replace", "path": "/visibility", "value": "private"})
        assert (await cloud.call("GET", f"/v2/images/{image_id}", token="bob:member")).status == 404

    story(tmp_path, work)


def test_an_image_has_only_so_many_members(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active()
        place = f"/v2/images/{image_id}/members"
        assert (await cloud.call("POST", place, {"member": "bob"})).status == 200
        assert (await cloud.call("POST", place, {"member": "carol"})).status == 413

    story(tmp_path, work, limits=Limits(members=1))
