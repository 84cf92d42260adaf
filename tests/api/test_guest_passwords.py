"""The password that a guest leaves: from its metadata service to its owner, once, until it is cleared or rebuilt."""

import asyncio
from pathlib import Path
from typing import Any

from tests.cloud import User, World


async def password_of(user: User, server: str) -> str:
    return str((await user.get("compute", f"/servers/{server}/os-server-password"))["password"])


async def told(world: World, network: str, address: str, path: str) -> bytes:
    """What the guest behind an address is told by the metadata service of its host."""
    found = await world.cloud.agents[0]._host.documents.documents(network, address)
    assert found is not None
    return found[path]


async def whole(path: Path) -> None:
    world = World(path / "cloud", hosts=1)
    await world.start()
    admin = await world.admin()
    project = await admin.create_project("work")
    user, reader = await admin.create_user("alice", project), await admin.create_user("bob", project, "reader")
    stranger = await admin.create_user("eve", await admin.create_project("theirs"))
    flavor, image = await admin.create_flavor("small"), await admin.create_image("disk", visibility="public")
    network = await user.create_network("net")
    server = await user.launch("web", flavor=flavor, image=image, networks=[{"uuid": network}])
    shown: Any = await user.at_rest(server)
    address = shown["addresses"]["net"][0]["addr"]
    documents = world.cloud.agents[0]._host.documents

    assert await password_of(user, server) == ""
    assert await documents.keep_password(network, address, "sealed")
    assert not await documents.keep_password(network, address, "another")
    assert await password_of(user, server) == await password_of(reader, server) == "sealed"
    assert await told(world, network, address, "openstack/latest/password") == b"sealed"
    assert not await documents.keep_password(network, "10.0.0.250", "nobody's")

    gone = f"/servers/{server}/os-server-password"
    assert (await stranger.request("compute", "GET", gone)).status == 404
    assert (await reader.request("compute", "DELETE", gone)).status == 403
    assert (await user.request("compute", "DELETE", gone)).status == 204
    assert await password_of(user, server) == ""
    await world.settle()
    assert await told(world, network, address, "openstack/latest/password") == b""

    assert await documents.keep_password(network, address, "sealed again")
    await world.stop()
    await world.start()
    assert await password_of(user, server) == "sealed again"
    assert await told(world, network, address, "openstack/latest/password") == b"sealed again"
    assert (await user.act(server, "rebuild", {"imageRef": image})).status == 202
    await user.at_rest(server)
    assert await password_of(user, server) == ""
    await world.stop()


def test_a_guests_password_reaches_its_owner(tmp_path: Path) -> None:
    asyncio.run(whole(tmp_path))
