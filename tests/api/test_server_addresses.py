"""A server's addresses follow its ports: by news of the network service, and by looking when news were lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.http.client import Answer
from pileus.foundation.simulation import simulate
from tests.cloud import User, World

Story = Callable[[World, User, User, str, str], Awaitable[None]]
CIDR = "10.0.0.0/24"


async def begin(world: World, story: Story) -> None:
    """Let `story` have an administrator, a user, the user's server, and a network outside that leads to it."""
    await world.start()
    admin = await world.admin()
    user = await admin.create_user("alice", await admin.create_project("work"))
    made = await admin.post("network", "/networks", {"network": {"name": "outside", "router:external": True}})
    outside = made["network"]["id"]
    subnet = {"network_id": outside, "ip_version": 4, "cidr": "172.24.4.0/24", "enable_dhcp": False}
    await admin.post("network", "/subnets", {"subnet": subnet})
    network = await user.create_network("net", CIDR)
    gateway = {"name": "router", "external_gateway_info": {"network_id": outside}}
    router = (await user.post("network", "/routers", {"router": gateway}))["router"]["id"]
    inside = (await user.get("network", "/subnets", query={"network_id": network}))["subnets"][0]["id"]
    await user.need("network", "PUT", f"/routers/{router}/add_router_interface", {"subnet_id": inside})
    flavor, image = await admin.create_flavor("small"), await admin.create_image("disk", visibility="public")
    server = await user.launch("web", flavor=flavor, image=image, networks=[{"uuid": network}])
    await user.at_rest(server)
    await story(world, admin, user, server, outside)
    await world.settle()
    assert await world.audit() == []
    await world.stop()


def tell(path: Path, story: Story) -> None:
    asyncio.run(begin(World(path / "cloud"), story))


def tell_simulated(path: Path, story: Story) -> None:
    async def history(chance: random.Random) -> None:
        await begin(World(path / "cloud", chance), story)

    simulate(7, history)


async def port_of(user: User, server: str) -> Any:
    return (await user.get("network", "/ports", query={"device_id": server}))["ports"][0]


async def point(user: User, floating: str, port_id: str | None) -> None:
    await user.need("network", "PUT", f"/floatingips/{floating}", {"floatingip": {"port_id": port_id}})


async def floating_ip(user: User, outside: str, **facts: Any) -> tuple[str, str]:
    """A floating IP: its id and its address."""
    body = {"floatingip": {"floating_network_id": outside, **facts}}
    made = (await user.post("network", "/floatingips", body))["floatingip"]
    return made["id"], made["floating_ip_address"]


async def shown(user: User, server: str) -> list[tuple[str, str]]:
    """What the server shows of its addresses: kind and address."""
    found = (await user.server(server))["addresses"].get("net", [])
    return [(one["OS-EXT-IPS:type"], one["addr"]) for one in found]


async def comes_to_show(user: User, server: str, wanted: list[tuple[str, str]]) -> None:
    async def look() -> tuple[bool, Any]:
        found = await shown(user, server)
        return found == wanted, found

    await user.until(look, f"{server} shows {wanted}", timeout_s=5.0)


def test_a_floating_ip_is_seen_at_its_server_as_long_as_it_points_there(tmp_path: Path) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        port = await port_of(user, server)
        fixed = ("fixed", port["fixed_ips"][0]["ip_address"])
        floating, address = await floating_ip(user, outside)
        assert await shown(user, server) == [fixed]
        await point(user, floating, port["id"])
        await comes_to_show(user, server, [fixed, ("floating", address)])
        mac = (await user.server(server))["addresses"]["net"][1]["OS-EXT-IPS-MAC:mac_addr"]
        assert mac == port["mac_address"]
        await point(user, floating, None)
        await comes_to_show(user, server, [fixed])
        other, other_address = await floating_ip(user, outside, port_id=port["id"])
        await comes_to_show(user, server, [fixed, ("floating", other_address)])
        await user.delete("network", f"/floatingips/{other}")
        await comes_to_show(user, server, [fixed])

    tell(tmp_path, story)


def test_a_guest_is_told_its_floating_ip_and_its_new_addresses(tmp_path: Path) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        port = await port_of(admin, server)
        agent = next(one for one in world.cloud.agents if one._host.host == port["binding:host_id"])
        network, fixed = port["network_id"], port["fixed_ips"][0]["ip_address"]

        async def told(address: str) -> dict[str, bytes]:
            found = await agent._host.documents.documents(network, address)
            keys = ("public-ipv4", "local-ipv4")
            return {key: found[f"latest/meta-data/{key}"] for key in keys} if found is not None else {}

        assert await told(fixed) == {"public-ipv4": b"", "local-ipv4": fixed.encode()}
        _, floating = await floating_ip(user, outside, port_id=port["id"])
        await comes_to_show(user, server, [("fixed", fixed), ("floating", floating)])
        await world.settle()
        assert await told(fixed) == {"public-ipv4": floating.encode(), "local-ipv4": fixed.encode()}
        change = {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}}
        await user.need("network", "PUT", f"/ports/{port['id']}", change)
        await comes_to_show(user, server, [("fixed", "10.0.0.77")])
        await world.settle()
        assert await told("10.0.0.77") == {"public-ipv4": b"", "local-ipv4": b"10.0.0.77"}
        assert await told(fixed) == {}

    tell(tmp_path, story)


def test_a_server_is_not_found_by_its_floating_ip(tmp_path: Path) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        port = await port_of(user, server)
        _, address = await floating_ip(user, outside, port_id=port["id"])
        fixed = port["fixed_ips"][0]["ip_address"]
        await comes_to_show(user, server, [("fixed", fixed), ("floating", address)])
        for asked, found in ((fixed, [server]), (address, [])):
            listed = (await user.get("compute", "/servers", query={"ip": asked}))["servers"]
            assert [one["id"] for one in listed] == found

    tell(tmp_path, story)


def test_a_port_with_other_addresses_gives_its_server_other_addresses(tmp_path: Path) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        port = await port_of(user, server)
        before = (await user.server(server))["updated"]
        change = {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}}
        await user.need("network", "PUT", f"/ports/{port['id']}", change)
        await comes_to_show(user, server, [("fixed", "10.0.0.77")])
        assert (await user.server(server))["updated"] == before

    tell(tmp_path, story)


def test_lost_news_are_made_up_for(tmp_path: Path) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        class Deaf:
            async def addresses_changed(self, server_ids: Any) -> None:
                """The news are lost."""

        object.__setattr__(world.cloud.network, "servers", Deaf())
        port = await port_of(user, server)
        fixed = ("fixed", port["fixed_ips"][0]["ip_address"])
        _, address = await floating_ip(user, outside, port_id=port["id"])
        assert await shown(user, server) == [fixed]
        await world.settle()
        assert await shown(user, server) == [fixed, ("floating", address)]

    tell_simulated(tmp_path, story)


async def events(user: User, *wanted: dict[str, Any], version: str = "2.104") -> Answer:
    headers = {"openstack-api-version": f"compute {version}"}
    return await user.request(
        "compute", "POST", "/os-server-external-events", {"events": list(wanted)}, headers=headers
    )


def test_each_event_is_answered_for_itself(tmp_path: Path) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        news = {"name": "network-changed", "server_uuid": server}
        nobody = {"name": "network-changed", "server_uuid": "00000000-0000-4000-8000-000000000000", "tag": "x"}
        grown = {"name": "volume-extended", "server_uuid": server, "tag": "y"}
        answer = await events(admin, news)
        assert (answer.status, answer.json()) == (200, {"events": [{**news, "status": "completed", "code": 200}]})
        answer = await events(admin, news, nobody, grown)
        assert answer.status == 207
        assert [(one["status"], one["code"]) for one in answer.json()["events"]] == [
            ("completed", 200), ("failed", 404), ("failed", 400),
        ]  # fmt: skip
        answer = await events(admin, nobody)
        assert (answer.status, answer.json()["itemNotFound"]["message"]) == (404, "No instances found for any event")

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("version", "name", "status"),
    [("2.50", "volume-extended", 400), ("2.51", "volume-extended", 404), ("2.104", "nonsense", 400)],
)
def test_an_event_is_known_from_its_version_on(tmp_path: Path, version: str, name: str, status: int) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        answer = await events(admin, {"name": name, "server_uuid": server}, version=version)
        assert answer.status == status

    tell(tmp_path, story)


def test_events_are_for_services_and_administrators(tmp_path: Path) -> None:
    async def story(world: World, admin: User, user: User, server: str, outside: str) -> None:
        assert (await events(user, {"name": "network-changed", "server_uuid": server})).status == 403

    tell(tmp_path, story)
