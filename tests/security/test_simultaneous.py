"""Sixty-four identical requests at one moment: each is judged alone, and what can be had once is had once."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from pileus.foundation.http.client import Answer
from tests.cloud import User, World
from tests.conftest import Run
from tests.holdings import holdings, violations
from tests.security.stage import KEY

MANY = 64


async def at_once(user: User, service: str, method: str, path: str, body: Any = None) -> list[Answer]:
    return await asyncio.gather(*(user.request(service, method, path, body) for _ in range(MANY)))


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def test_identical_launches_make_servers_up_to_the_quota(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=2)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small", disk_gib=0), await admin.create_image("disk")
        network = await admin.create_network("net")
        server = {"name": "same", "flavorRef": flavor, "imageRef": image, "networks": [{"uuid": network}]}
        answers = await at_once(admin, "compute", "POST", "/servers", {"server": server})
        assert statuses(answers) == {202: 10, 403: MANY - 10}  # the quota of servers
        assert all(b"Quota exceeded" in answer.body for answer in answers if answer.status == 403)
        ids = {answer.json()["server"]["id"] for answer in answers if answer.status == 202}
        assert len(ids) == 10
        assert [(await admin.at_rest(one) or {}).get("status") for one in ids] == ["ACTIVE"] * 10
        await world.settle()
        assert await world.audit() == []
        await world.stop()
        return violations(holdings(world.state_dir))

    assert run(scenario) == []


def test_what_is_there_once_goes_to_one_of_them(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        admin = await world.admin()
        network = await admin.create_network("net")
        port = {"port": {"network_id": network, "fixed_ips": [{"ip_address": "10.0.0.77"}]}}
        assert statuses(await at_once(admin, "network", "POST", "/ports", port)) == {201: 1, 409: MANY - 1}
        key = {"keypair": {"name": "same", "public_key": KEY}}
        assert statuses(await at_once(admin, "compute", "POST", "/os-keypairs", key)) == {201: 1, 409: MANY - 1}
        project = {"project": {"name": "same"}}
        assert statuses(await at_once(admin, "identity", "POST", "/projects", project)) == {201: 1, 409: MANY - 1}
        flavor = {"flavor": {"name": "same", "ram": 64, "vcpus": 1, "disk": 1}}
        assert statuses(await at_once(admin, "compute", "POST", "/flavors", flavor)) == {200: 1, 409: MANY - 1}
        provider = {"name": "same"}
        found = await at_once(admin, "placement", "POST", "/resource_providers", provider)
        assert statuses(found) == {200: 1, 409: MANY - 1}
        await world.stop()

    run(scenario)


def test_ports_without_a_wish_get_addresses_that_differ(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        admin = await world.admin()
        network = await admin.create_network("net", "10.0.0.0/27")  # 29 addresses besides the gateway's
        answers = await at_once(admin, "network", "POST", "/ports", {"port": {"network_id": network}})
        given = [a.json()["port"]["fixed_ips"][0]["ip_address"] for a in answers if a.status == 201]
        assert len(given) == len(set(given)) == 29
        assert statuses(answers) == {201: 29, 409: MANY - 29}
        await world.stop()

    run(scenario)


def test_one_volume_is_attached_and_one_server_deleted_once(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        server = await admin.launch("one", flavor=flavor, image=image)
        assert (await admin.at_rest(server) or {}).get("status") == "ACTIVE"
        volume = await admin.create_volume("data")
        await admin.volume_at_rest(volume)
        body = {"volumeAttachment": {"volumeId": volume}}
        attached = await at_once(admin, "compute", "POST", f"/servers/{server}/os-volume_attachments", body)
        assert statuses(attached)[202] == 1, statuses(attached)
        assert set(statuses(attached)) <= {202, 400, 409}
        await world.finish_flows()
        assert len((await admin.get("volume", "/attachments"))["attachments"]) == 1
        gone = statuses(await at_once(admin, "compute", "DELETE", f"/servers/{server}"))
        assert set(gone) <= {204, 404}
        assert gone[204] >= 1
        assert await admin.at_rest(server) is None
        await world.settle()
        assert (await admin.volume(volume) or {}).get("status") == "available"
        assert await world.audit() == []
        await world.stop()
        return violations(holdings(world.state_dir))

    assert run(scenario) == []
