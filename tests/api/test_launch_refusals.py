"""What a launch refuses before it promises anything, and a rebuild that remembers that the server was stopped."""

import random
from pathlib import Path
from typing import Any

from pileus.foundation.simulation import simulate
from tests.cloud import World


def play(path: Path, story: Any) -> None:
    async def history(chance: random.Random) -> None:
        world = World(path / "cloud", chance)
        await world.start()
        await story(world, await world.admin())
        await world.stop()

    simulate(9, history)


async def refused(user: Any, status: int, **server: Any) -> str:
    answer = await user.request("compute", "POST", "/servers", {"server": {"name": "s", "networks": "none", **server}})
    assert answer.status == status, answer.body
    return str(next(iter(answer.json().values()))["message"])


def test_another_projects_private_flavor_is_unknown(tmp_path: Path) -> None:
    async def story(world: World, admin: Any) -> None:
        theirs = await admin.create_project("theirs")
        user = await admin.create_user("somebody", theirs)
        image = await admin.create_image("disk", visibility="public")
        body = {"flavor": {"name": "secret", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}}
        flavor = (await admin.post("compute", "/flavors", body))["flavor"]["id"]
        assert flavor in await refused(user, 400, flavorRef=flavor, imageRef=image)
        access = {"addTenantAccess": {"tenant": theirs}}
        await admin.post("compute", f"/flavors/{flavor}/action", access)
        assert await user.at_rest(await user.launch("s", flavor=flavor, image=image))

    play(tmp_path, story)


def test_what_is_not_there_or_cannot_boot_is_refused_at_once(tmp_path: Path) -> None:
    async def story(world: World, admin: Any) -> None:
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        assert "none-such" in await refused(
            admin, 400, flavorRef=flavor, imageRef=image, security_groups=[{"name": "none-such"}]
        )
        volume = await admin.create_volume("blank")
        await admin.volume_at_rest(volume)
        device = {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": 0}
        assert "bootable" in await refused(admin, 400, flavorRef=flavor, block_device_mapping_v2=[device])
        assert world.rows("SELECT 1 FROM compute_servers") == []

    play(tmp_path, story)


def test_a_stopped_server_is_stopped_again_after_its_rebuild(tmp_path: Path) -> None:
    async def story(world: World, admin: Any) -> None:
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        server = await admin.launch("s", flavor=flavor, image=image)
        await admin.at_rest(server)
        await admin.act(server, "os-stop")
        await admin.at_rest(server)
        assert (await admin.act(server, "rebuild", {"imageRef": image})).status == 202
        found = await admin.at_rest(server)
        assert (found["status"], found["OS-EXT-STS:power_state"]) == ("SHUTOFF", 4)
        assert await world.audit() == []

    play(tmp_path, story)
