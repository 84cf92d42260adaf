"""Whoever races in the network service: nobody has an address twice, nothing points to what is gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pileus.network.app.audit import findings as audit
from pileus.network.peers.service import PortReport
from tests.api.network_cloud import NetworkCloud, network_cloud, project
from tests.contract.databases.races import MANY, ROUNDS, at_once, statuses, warm

Story = Callable[[NetworkCloud, NetworkCloud], Awaitable[None]]


@pytest.fixture
def race(kind: str, tmp_path: Path) -> Callable[[Story], None]:
    """Runs a story with two processes of one service, and lets the auditor look at what is left."""

    @asynccontextmanager
    async def doors() -> AsyncIterator[tuple[NetworkCloud, NetworkCloud]]:
        async with network_cloud(tmp_path) as one, network_cloud(tmp_path) as two:
            yield one, two

    def play(story: Story) -> None:
        async def whole() -> None:
            async with doors() as (one, two):
                await warm(one.service.database, two.service.database)
                await story(one, two)
                assert await audit(one.service) == []

        asyncio.run(whole())

    return play


def turns(one: NetworkCloud, two: NetworkCloud, number: int) -> NetworkCloud:
    return (one, two)[number % 2]


async def raced(one: NetworkCloud, two: NetworkCloud, method: str, path: str, *bodies: Any, **options: Any) -> Any:
    """One request for each body, all at once, by turns through both doors."""
    asked = (turns(one, two, n).ask(method, f"/v2.0{path}", body, **options) for n, body in enumerate(bodies))
    return await at_once(asked)


def test_no_address_is_given_twice_and_a_pool_is_used_up_to_the_last(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        await one.subnet(network, "10.1.0.0/28", enable_dhcp=False)  # 13 addresses besides the gateway's
        body = {"port": {"network_id": network["id"]}}
        answers = await raced(one, two, "POST", "/ports", *[body] * 20)
        assert statuses(answers) == {201: 13, 409: 7}
        made = [answer.json()["port"] for answer in answers if answer.status == 201]
        assert len({port["fixed_ips"][0]["ip_address"] for port in made}) == 13
        goes, comes = made[:6], [body] * 6
        await at_once(
            [turns(one, two, n).ask("DELETE", f"/v2.0/ports/{port['id']}") for n, port in enumerate(goes)]
            + [turns(two, one, n).ask("POST", "/v2.0/ports", port) for n, port in enumerate(comes)]
        )
        ports = (await one.get("/ports"))["ports"]
        held = [port["fixed_ips"][0]["ip_address"] for port in ports]
        assert len(held) == len(set(held)) <= 13

    race(story)


def test_an_address_that_is_asked_for_by_name_goes_to_one(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        await one.subnet(network)
        body = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.1.0.77"}]}}
        assert statuses(await raced(one, two, "POST", "/ports", *[body] * MANY)) == {201: 1, 409: MANY - 1}

    race(story)


def test_a_mac_in_a_network_is_one_ports(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        body = {"port": {"network_id": network["id"], "mac_address": "fa:16:3e:00:00:01"}}
        assert statuses(await raced(one, two, "POST", "/ports", *[body] * MANY)) == {201: 1, 409: MANY - 1}

    race(story)


def test_a_segment_is_one_networks(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        body = {"network": {"provider:network_type": "vxlan", "provider:segmentation_id": 77}}
        answers = await raced(one, two, "POST", "/networks", *[body] * MANY, as_="admin@ops")
        assert statuses(answers) == {201: 1, 409: MANY - 1}

    race(story)


def test_subnets_of_a_network_never_overlap(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        cidrs = ["10.1.0.0/24", "10.1.0.0/25", "10.1.0.128/25", "10.1.0.0/23"]
        bodies = [{"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": cidr}} for cidr in cidrs]
        answers = await raced(one, two, "POST", "/subnets", *bodies)
        made = {answer.json()["subnet"]["cidr"] for answer in answers if answer.status == 201}
        assert made in ({"10.1.0.0/24"}, {"10.1.0.0/25", "10.1.0.128/25"}, {"10.1.0.0/23"})
        shown = (await one.get(f"/networks/{network['id']}"))["network"]["subnets"]
        assert len(shown) == len(made)

    race(story)


def test_a_quota_is_used_up_and_no_further(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        limit = {"quota": {"network": 5, "port": 6, "security_group": 4}}
        await one.put(f"/quotas/{project('red')}", limit, as_="admin@ops")
        answers = await raced(one, two, "POST", "/networks", *[{"network": {}}] * MANY)
        assert statuses(answers) == {201: 5, 409: MANY - 5}
        (network, *_) = (await one.get("/networks"))["networks"]
        body = {"port": {"network_id": network["id"]}}
        assert statuses(await raced(one, two, "POST", "/ports", *[body] * MANY)) == {201: 6, 409: MANY - 6}
        group = {"security_group": {"name": "g"}}
        answers = await raced(one, two, "POST", "/security-groups", *[group] * MANY)
        assert statuses(answers) == {201: 3, 409: MANY - 3}  # and the default one

    race(story)


def test_a_project_gets_one_default_group_whoever_needs_it_first(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network(as_="admin@ops", shared=True)
        body = {"port": {"network_id": network["id"]}}
        answers = await raced(one, two, "POST", "/ports", *[body] * MANY)
        assert statuses(answers) == {201: MANY}
        groups = {tuple(answer.json()["port"]["security_groups"]) for answer in answers}
        (group,) = (await one.get("/security-groups"))["security_groups"]
        assert (groups, group["name"]) == ({(group["id"],)}, "default")

    race(story)


def test_a_host_gets_one_dhcp_port_with_an_address_in_every_subnet(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        for number in range(ROUNDS):
            network = await one.network()
            await one.subnet(network, "10.1.0.0/24")
            bound = {"port": {"network_id": network["id"], "binding:host_id": "h1"}}
            more = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.2.0.0/24"}}
            asked = [turns(one, two, n).ask("POST", "/v2.0/ports", bound, as_="admin@red") for n in range(6)]
            asked.insert(number, two.ask("POST", "/v2.0/subnets", more))
            assert statuses(await at_once(asked)) == {201: 7}
            query = f"/ports?network_id={network['id']}&device_owner=network:dhcp"
            (dhcp,) = (await one.get(query, as_="admin@red"))["ports"]
            assert len({item["subnet_id"] for item in dhcp["fixed_ips"]}) == 2

    race(story)


def test_a_subnet_that_goes_takes_no_ports_address_with_it(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        for number in range(ROUNDS):
            network = await one.network()
            subnet = await one.subnet(network)
            body = {"port": {"network_id": network["id"], "fixed_ips": [{"subnet_id": subnet["id"]}]}}
            asked = [turns(one, two, n).ask("POST", "/v2.0/ports", body) for n in range(3)]
            asked.insert(number, two.ask("DELETE", f"/v2.0/subnets/{subnet['id']}"))
            answers = await at_once(asked)
            gone = answers[number].status == 204
            assert gone or answers[number].status == 409
            assert [answer.status == 201 for n, answer in enumerate(answers) if n != number].count(True) == (
                0 if gone else 3
            )
            assert await audit(one.service) == []

    race(story)


def test_a_network_goes_only_when_nothing_comes_into_it(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        for number in range(ROUNDS):
            network = await one.network()
            await one.subnet(network)
            port = {"port": {"network_id": network["id"], "binding:host_id": "h1"}}
            more = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.2.0.0/24"}}
            asked = [
                one.ask("POST", "/v2.0/ports", port, as_="admin@red"), two.ask("POST", "/v2.0/subnets", more),
                one.ask("POST", "/v2.0/ports", port, as_="admin@red"),
            ]  # fmt: skip
            asked.insert(number % 4, two.ask("DELETE", f"/v2.0/networks/{network['id']}"))
            answers = await at_once(asked)
            assert all(answer.status in (201, 204, 404, 409) for answer in answers), statuses(answers)
            is_gone = answers[number % 4].status == 204
            assert (await one.ask("GET", f"/v2.0/networks/{network['id']}")).status == (404 if is_gone else 200)
            assert await audit(one.service) == []

    race(story)


async def routed(one: NetworkCloud) -> tuple[Any, Any, Any, Any, Any]:
    external, _ = await one.external()
    network = await one.network()
    subnet = await one.subnet(network)
    body = {"router": {"external_gateway_info": {"network_id": external["id"]}}}
    router = (await one.post("/routers", body))["router"]
    return external, network, subnet, router, await one.port(network)


def test_a_router_goes_only_without_interfaces(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        for _ in range(ROUNDS):
            network = await one.network()
            subnet = await one.subnet(network)
            router = (await one.post("/routers", {"router": {}}))["router"]
            plug = {"subnet_id": subnet["id"]}
            plugged, gone = await at_once([
                one.ask("PUT", f"/v2.0/routers/{router['id']}/add_router_interface", plug),
                two.ask("DELETE", f"/v2.0/routers/{router['id']}"),
            ])  # fmt: skip
            assert (plugged.status, gone.status) in ((200, 409), (404, 204))
            assert await audit(one.service) == []

    race(story)


def test_a_floating_ip_never_points_over_a_way_that_is_gone(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        external, _network, subnet, router, port = await routed(one)
        way = f"/v2.0/routers/{router['id']}"
        plug = {"subnet_id": subnet["id"]}
        closes: list[tuple[str, str, Any]] = [
            ("PUT", f"{way}/remove_router_interface", plug),
            ("PUT", way, {"router": {"external_gateway_info": {}}}),
            ("DELETE", f"/v2.0/ports/{port['id']}", None),
        ]
        for method, path, body in closes:
            await one.ask("PUT", f"{way}/add_router_interface", plug)
            floating = await one.post("/floatingips", {"floatingip": {"floating_network_id": external["id"]}})
            ours = f"/v2.0/floatingips/{floating['floatingip']['id']}"
            pointed, closed = await at_once([
                one.ask("PUT", ours, {"floatingip": {"port_id": port["id"]}}), two.ask(method, path, body),
            ])  # fmt: skip
            assert 200 in (pointed.status, closed.status) or 204 in (pointed.status, closed.status)
            assert await audit(one.service) == []
            shown = (await one.get(ours.removeprefix("/v2.0")))["floatingip"]
            if closed.status in (200, 204) and shown["port_id"] is not None:
                raise AssertionError(f"{shown} points over a way that {path} closed")
            await one.ask("PUT", ours, {"floatingip": {"port_id": None}})
            await one.ask("DELETE", ours)

    race(story)


def test_a_group_goes_only_when_no_port_has_it(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        for _ in range(ROUNDS):
            group = (await one.post("/security-groups", {"security_group": {"name": "g"}}))["security_group"]
            body = {"port": {"network_id": network["id"], "security_groups": [group["id"]]}}
            made, gone = await at_once([
                one.ask("POST", "/v2.0/ports", body), two.ask("DELETE", f"/v2.0/security-groups/{group['id']}"),
            ])  # fmt: skip
            assert (made.status, gone.status) in ((201, 409), (404, 204))

    race(story)


def test_a_port_that_goes_leaves_no_group_in_use(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        group = (await one.post("/security-groups", {"security_group": {"name": "g"}}))["security_group"]
        for _ in range(ROUNDS):
            port = await one.port(network)
            await at_once([
                one.ask("PUT", f"/v2.0/ports/{port['id']}", {"port": {"security_groups": [group["id"]]}}),
                two.ask("DELETE", f"/v2.0/ports/{port['id']}"),
            ])  # fmt: skip
        await one.delete(f"/security-groups/{group['id']}")

    race(story)


def test_every_change_of_a_port_is_there(race: Callable[[Story], None]) -> None:
    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        port = await one.port(network, tags=[])
        paths = [f"/v2.0/ports/{port['id']}/tags/t{number}" for number in range(MANY)]
        answers = await at_once(turns(one, two, n).ask("PUT", path) for n, path in enumerate(paths))
        assert statuses(answers) == {201: MANY}
        assert len((await one.get(f"/ports/{port['id']}"))["port"]["tags"]) == MANY

    race(story)


def test_who_binds_last_is_believed(race: Callable[[Story], None]) -> None:
    from pileus.network.app import wiring_reports

    async def story(one: NetworkCloud, two: NetworkCloud) -> None:
        network = await one.network()
        port = await one.port(network)
        bodies = [{"port": {"binding:host_id": f"h{number}"}} for number in range(6)]
        answers = await raced(one, two, "PUT", f"/ports/{port['id']}", *bodies, as_="admin@red")
        assert statuses(answers) == {200: 6}
        shown = (await one.get(f"/ports/{port['id']}", as_="admin@red"))["port"]
        others = [f"h{number}" for number in range(6) if f"h{number}" != shown["binding:host_id"]]
        for host in others:
            report = PortReport(port_id=port["id"], is_wired=True, epoch=0)
            assert await wiring_reports.take(two.service, host, [report]) == []

    race(story)
