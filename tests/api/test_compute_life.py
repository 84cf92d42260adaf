"""The life of a server through the public API alone, on a whole cloud over fakes: every command and its end."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import User, World

Story = Callable[[User, "Things"], Awaitable[None]]


class Things:
    """What a user needs before the first server."""

    def __init__(self, flavor: str, image: str, network: str):
        self.flavor, self.image, self.network = flavor, image, network

    def server(self, name: str, **facts: Any) -> dict[str, Any]:
        return {"name": name, "flavor": self.flavor, "image": self.image, "networks": [{"uuid": self.network}], **facts}


def tell(path: Path, story: Story) -> None:
    """Let a user of a project live through `story` on a fresh cloud, which must be clean afterwards."""

    async def whole() -> None:
        world = World(path / "cloud")
        await world.start()
        try:
            admin = await world.admin()
            user = await admin.create_user("alice", await admin.create_project("work"))
            flavor = await admin.create_flavor("small")
            image = await admin.create_image("disk", visibility="public")
            await story(user, Things(flavor, image, await user.create_network("net")))
            await world.settle()
            assert await world.audit() == []
        finally:
            await world.stop()

    asyncio.run(whole())


async def active(user: User, things: Things, name: str = "web", **facts: Any) -> str:
    server_id = await user.launch(**things.server(name, **facts))
    found = await user.at_rest(server_id)
    assert found["status"] == "ACTIVE", found
    return server_id


async def acted(user: User, server_id: str, action: str, args: Any = None, *, status: int = 202) -> Any:
    """The server at rest after an action."""
    answer = await user.act(server_id, action, args)
    assert answer.status == status, (action, answer.body)
    return await user.at_rest(server_id)


def test_a_server_is_launched_commanded_and_deleted(tmp_path: Path) -> None:
    async def story(user: User, things: Things) -> None:
        server_id = await active(user, things, metadata={"a": "b"}, tags=["t"])
        shown = await user.server(server_id)
        assert shown["addresses"]["net"][0]["addr"].startswith("10.0.0.")
        assert (shown["metadata"], shown["tags"], shown["OS-EXT-STS:power_state"]) == ({"a": "b"}, ["t"], 1)
        for action, status, power in (
            ("os-stop", "SHUTOFF", 4), ("os-start", "ACTIVE", 1), ("pause", "PAUSED", 3), ("unpause", "ACTIVE", 1),
            ("suspend", "SUSPENDED", 7), ("resume", "ACTIVE", 1),
        ):  # fmt: skip
            after = await acted(user, server_id, action)
            assert (after["status"], after["OS-EXT-STS:power_state"]) == (status, power), action
        for kind in ("SOFT", "HARD"):
            assert (await acted(user, server_id, "reboot", {"type": kind}))["status"] == "ACTIVE"
        rebuilt = await acted(user, server_id, "rebuild", {"imageRef": things.image, "name": "again"})
        assert (rebuilt["status"], rebuilt["name"], rebuilt["addresses"]) == ("ACTIVE", "again", shown["addresses"])
        output = (await user.act(server_id, "os-getConsoleOutput", {"length": 3})).json()["output"]
        assert output.count("\n") <= 3
        await user.delete("compute", f"/servers/{server_id}")
        assert await user.at_rest(server_id) is None
        found = (await user.get("compute", f"/servers/{server_id}/os-instance-actions"))["instanceActions"]
        assert [one["action"] for one in found] == [
            "delete", "rebuild", "reboot", "reboot", "resume", "suspend", "unpause", "pause", "start", "stop", "create",
        ]  # fmt: skip
        assert all(one["message"] is None for one in found)
        (deleted,) = (await user.get("compute", "/servers/detail", query={"changes-since": "2020-01-01"}))["servers"]
        assert (deleted["id"], deleted["status"]) == (server_id, "DELETED")

    tell(tmp_path, story)


def test_an_image_of_a_server_launches_another(tmp_path: Path) -> None:
    async def story(user: User, things: Things) -> None:
        server_id = await active(user, things)
        made = await user.act(server_id, "createImage", {"name": "snapshot", "metadata": {"role": "web"}})
        image_id = made.json()["image_id"]
        await user.at_rest(server_id)
        image = await user.get("image", f"/images/{image_id}")
        assert (image["status"], image["role"], image["image_type"]) == ("active", "web", "snapshot")
        things.image = image_id
        twin = await active(user, things, "twin")
        assert (await user.server(twin))["image"]["id"] == image_id
        for one in (server_id, twin):
            await user.delete("compute", f"/servers/{one}")
            await user.at_rest(one)

    tell(tmp_path, story)


def test_a_volume_comes_and_goes(tmp_path: Path) -> None:
    async def story(user: User, things: Things) -> None:
        server_id = await active(user, things)
        volume_id = await user.create_volume("data")
        await user.volume_at_rest(volume_id)
        path = f"/servers/{server_id}/os-volume_attachments"
        headers = {"openstack-api-version": "compute 2.89"}
        body = {"volumeAttachment": {"volumeId": volume_id, "delete_on_termination": True}}
        made = await user.post("compute", path, body, headers=headers)
        assert made["volumeAttachment"]["device"] == "/dev/vdb"

        async def in_use() -> tuple[bool, Any]:
            found = await user.volume(volume_id)
            return found is not None and found["status"] == "in-use", found

        await user.until(in_use, "the volume is attached", 30)
        (listed,) = (await user.get("compute", path))["volumeAttachments"]
        assert (listed["volumeId"], listed["delete_on_termination"]) == (volume_id, True)
        assert (await user.server(server_id))["os-extended-volumes:volumes_attached"] == [
            {"id": volume_id, "delete_on_termination": True}
        ]
        await user.delete("compute", f"{path}/{volume_id}")

        async def free() -> tuple[bool, Any]:
            found = await user.volume(volume_id)
            return found is not None and found["status"] == "available", found

        await user.until(free, "the volume is detached", 30)

        async def forgotten() -> tuple[bool, Any]:
            held = (await user.get("compute", path))["volumeAttachments"]
            return held == [], held

        await user.until(forgotten, "the server forgets the volume", 30)
        await user.delete("compute", f"/servers/{server_id}")
        await user.at_rest(server_id)
        await user.delete("volume", f"/volumes/{volume_id}")
        await user.volume_at_rest(volume_id)

    tell(tmp_path, story)


def test_an_interface_comes_and_goes(tmp_path: Path) -> None:
    async def story(user: User, things: Things) -> None:
        server_id = await active(user, things)
        path = f"/servers/{server_id}/os-interface"
        body = {"interfaceAttachment": {"net_id": things.network, "tag": "back"}}
        made = (await user.post("compute", path, body))["interfaceAttachment"]
        assert (made["net_id"], made["tag"]) == (things.network, "back")
        assert len((await user.server(server_id))["addresses"]["net"]) == 2
        assert len((await user.get("compute", path))["interfaceAttachments"]) == 2
        port_id = await user.create_port(things.network)
        brought = await user.post("compute", path, {"interfaceAttachment": {"port_id": port_id}})
        assert brought["interfaceAttachment"]["port_id"] == port_id
        for gone in (made["port_id"], port_id):
            await user.delete("compute", f"{path}/{gone}")

        async def one_left() -> tuple[bool, Any]:
            found = (await user.server(server_id))["addresses"]["net"]
            return len(found) == 1, found

        await user.until(one_left, "one interface is left", 30)
        assert (await user.get("network", f"/ports/{port_id}"))["port"]["device_id"] == ""  # the user's own stays
        assert (await user.request("network", "GET", f"/ports/{made['port_id']}")).status == 404
        await user.delete("network", f"/ports/{port_id}")
        await user.delete("compute", f"/servers/{server_id}")
        await user.at_rest(server_id)

    tell(tmp_path, story)


def test_security_groups_of_a_server_are_those_of_its_ports(tmp_path: Path) -> None:
    async def story(user: User, things: Things) -> None:
        server_id = await active(user, things)
        await user.post("network", "/security-groups", {"security_group": {"name": "web"}})
        await acted(user, server_id, "addSecurityGroup", {"name": "web"})
        found = (await user.get("compute", f"/servers/{server_id}/os-security-groups"))["security_groups"]
        assert sorted(one["name"] for one in found) == ["default", "web"]
        await acted(user, server_id, "removeSecurityGroup", {"name": "web"})
        (port,) = (await user.get("network", "/ports", query={"device_id": server_id}))["ports"]
        assert len(port["security_groups"]) == 1
        await user.delete("compute", f"/servers/{server_id}")
        await user.at_rest(server_id)

    tell(tmp_path, story)


def test_members_of_a_group_live_apart_and_are_listed(tmp_path: Path) -> None:
    async def story(user: User, things: Things) -> None:
        body = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
        group = (await user.post("compute", "/os-server-groups", body))["server_group"]["id"]
        ids = []
        for number in range(2):
            server = things.server(f"s{number}")
            facts = {"flavorRef": server.pop("flavor"), "imageRef": server.pop("image"), **server}
            launch = {"server": facts, "os:scheduler_hints": {"group": group}}
            ids.append((await user.post("compute", "/servers", launch))["server"]["id"])
        shown = [await user.at_rest(one) for one in ids]
        assert [one["status"] for one in shown] == ["ACTIVE", "ACTIVE"]
        assert shown[0]["hostId"] != shown[1]["hostId"]
        assert shown[0]["server_groups"] == [group]
        assert shown[0]["scheduler_hints"] == {"group": group}
        found = (await user.get("compute", f"/os-server-groups/{group}"))["server_group"]
        assert sorted(found["members"]) == sorted(ids)
        third = things.server("s2")
        facts = {"flavorRef": third.pop("flavor"), "imageRef": third.pop("image"), **third}
        launch = {"server": facts, "os:scheduler_hints": {"group": group}}
        lost = (await user.post("compute", "/servers", launch))["server"]["id"]
        failed = await user.at_rest(lost)
        assert failed["status"] == "ERROR"
        assert failed["fault"]["message"].startswith("No valid host was found.")
        assert "details" not in failed["fault"]
        for one in (*ids, lost):
            await user.delete("compute", f"/servers/{one}")
            await user.at_rest(one)

    tell(tmp_path, story)


@pytest.mark.parametrize("bring_back", ["active", "error"])
def test_a_reset_server_can_be_used_and_deleted(tmp_path: Path, bring_back: str) -> None:
    async def story(user: User, things: Things) -> None:
        server_id = await active(user, things)
        admin = await user.world.admin()
        await acted(admin, server_id, "os-resetState", {"state": bring_back})
        assert (await acted(user, server_id, "reboot", {"type": "HARD"}))["status"] == "ACTIVE"
        await user.delete("compute", f"/servers/{server_id}")
        assert await user.at_rest(server_id) is None

    tell(tmp_path, story)


def test_a_quota_is_counted_not_stored(tmp_path: Path) -> None:
    async def story(user: User, things: Things) -> None:
        admin = await user.world.admin()
        await admin.need("compute", "PUT", f"/os-quota-sets/{user.project_id}", {"quota_set": {"instances": 1}})
        server_id = await active(user, things)
        server = {"name": "x", "flavorRef": things.flavor, "imageRef": things.image, "networks": "none"}
        refused = await user.request("compute", "POST", "/servers", {"server": server})
        assert refused.status == 403
        await user.delete("compute", f"/servers/{server_id}")
        await user.at_rest(server_id)
        absolute = (await user.get("compute", "/limits"))["limits"]["absolute"]
        assert absolute["totalInstancesUsed"] == 0
        server_id = await active(user, things)
        await user.delete("compute", f"/servers/{server_id}")
        await user.at_rest(server_id)

    tell(tmp_path, story)
