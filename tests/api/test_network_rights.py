"""Who may do what: every operation, by every role, on one's own and on another project's things."""

from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.http.route import Route
from pileus.network.api.routes import ROUTES
from pileus.network.peers.service import BusNetworkService
from tests.api.network_cloud import NetworkCloud, play, project

STRANGERS = ("member@blue", "manager@blue")
MEMBERS = ("member@red", "manager@red", "admin@ops")
ROLES = ("nobody@red", "reader@red", *STRANGERS, *MEMBERS)
OWN_CREATES = {"create_network", "create_router", "create_security_group", "create_floatingip"}
OPERATIONS = tuple(route for route in ROUTES if route.policy is not None and "/security_group" not in route.path)


def is_list(route: Route) -> bool:
    return route.method == "GET" and "{" not in route.path


def expected(route: Route, who: str) -> int:
    """The status that OpenStack's default roles make of a request about things of project red."""
    rule = route.policy or ""
    if rule == "":
        return route.success
    if rule == "get_availability_zone":
        return 403 if who == "nobody@red" else 200
    if rule.endswith("_quota"):
        return quota_status(route, who)
    if rule.endswith("_agent") and not is_list(route):
        return route.success if who == "admin@ops" else 404
    if is_list(route):
        return 200  # with nothing in it for those who may see nothing
    if who in STRANGERS:
        return 201 if rule in OWN_CREATES else 404
    if who == "nobody@red":
        return 403 if rule in OWN_CREATES else 404
    if who == "reader@red" and not rule.startswith("get_"):
        return 403
    return route.success


def quota_status(route: Route, who: str) -> int:
    if who == "admin@ops":
        return route.success
    if is_list(route):
        return 200 if who.startswith("manager") else 403
    return 200 if route.method == "GET" and who.endswith("@red") else 403


async def things(cloud: NetworkCloud, route: Route) -> dict[str, str]:
    """One of each in project red, ready for the operation: parameter name -> id."""
    external, _ = await cloud.external()
    network = await cloud.network(name="own", tags=["t"])
    subnet = await cloud.subnet(network, tags=["t"])
    port = await cloud.port(network, tags=["t"])
    router = (await cloud.post("/routers", {"router": {"tags": ["t"]}}))["router"]
    asked = {"floatingip": {"floating_network_id": external["id"], "tags": ["t"]}}
    floating = (await cloud.post("/floatingips", asked))["floatingip"]
    group = (await cloud.post("/security-groups", {"security_group": {"name": "g", "tags": ["t"]}}))["security_group"]
    await BusNetworkService(cloud.service.bus).host_plan("h1")
    (agent,) = (await cloud.get("/agents", as_="admin@ops"))["agents"]
    await cloud.put(f"/quotas/{project('red')}", {"quota": {"port": 300}}, as_="admin@ops")
    interface = {"subnet_id": subnet["id"]}
    if route.path.endswith("remove_router_interface"):
        await cloud.put(f"/routers/{router['id']}/add_router_interface", interface)
    if route.method == "DELETE" and route.path.endswith(("{network_id}", "{subnet_id}")):
        await cloud.delete(f"/ports/{port['id']}")
    return {
        "network_id": network["id"], "subnet_id": subnet["id"], "port_id": port["id"], "router_id": router["id"],
        "floatingip_id": floating["id"], "security_group_id": group["id"],
        "security_group_rule_id": group["security_group_rules"][0]["id"], "alias": "router",
        "project_id": project("red"), "external": external["id"], "tag": "t",
        "agent_id": agent["id"],
    }  # fmt: skip


def body(route: Route, ids: dict[str, str], who: str) -> Any:
    """A request that succeeds for whoever may make it."""
    if route.body is None:
        return None
    if route.path.endswith("/tags"):
        return {"tags": ["a"]}
    if route.path.endswith("_router_interface"):
        return {"subnet_id": ids["subnet_id"]}
    one = (route.policy or "").partition("_")[2]
    if route.method == "PUT":
        return {one: {"port": 400} if one == "quota" else {"description": "x"}}
    inner: dict[str, Any] = {
        "subnet": {"network_id": ids["network_id"], "cidr": "10.77.0.0/24", "ip_version": 4},
        "port": {"network_id": ids["network_id"]},
        "floatingip": {"floating_network_id": ids["external"]},
        "security_group_rule": {
            "security_group_id": ids["security_group_id"],
            "direction": "egress",
            "protocol": "tcp",
        },
    }.get(one, {})
    return {one: inner}


async def ask(cloud: NetworkCloud, route: Route, ids: dict[str, str], who: str) -> None:
    """Make the request, and compare."""
    path = route.path
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    answer = await cloud.ask(route.method, path, body(route, ids, who), as_=who)
    told = f"{who}: {answer.status} {answer.body[:300]!r}"
    assert answer.status == expected(route, who), told
    if is_list(route) and who in (*STRANGERS, "nobody@red"):
        assert project("red").encode() not in answer.body, told
        assert ids["network_id"].encode() not in answer.body, told
        assert ids["agent_id"].encode() not in answer.body, told


@pytest.mark.parametrize("route", OPERATIONS, ids=[f"{route.method} {route.path}" for route in OPERATIONS])
def test_each_role_may_do_what_it_should_and_no_more(tmp_path: Path, route: Route) -> None:
    refused = [who for who in ROLES if expected(route, who) >= 400]
    granted = [who for who in ROLES if who not in refused]

    async def together(cloud: NetworkCloud) -> None:
        ids = await things(cloud, route)
        for who in refused:
            await ask(cloud, route, ids, who)
        for who in granted if route.method == "GET" else granted[:1]:
            await ask(cloud, route, ids, who)

    play(tmp_path, together)
    for who in [] if route.method == "GET" else granted[1:]:  # each finds things as they were

        async def alone(cloud: NetworkCloud, who: str = who) -> None:
            await ask(cloud, route, await things(cloud, route), who)

        own = tmp_path / who
        own.mkdir()
        play(own, alone)


FOREIGN_FILTERS = ("?project_id=", "?tenant_id=")
COLLECTIONS = ("networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules")


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_naming_a_foreign_project_shows_nothing_of_it(tmp_path: Path, collection: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await things(cloud, OPERATIONS[0])
        for query in FOREIGN_FILTERS:
            answer = await cloud.get(f"/{collection}{query}{project('red')}", as_="member@blue")
            assert list(answer.values()) == [[]]

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("fields", "who", "status"),
    [
        ({"shared": True}, "member@red", 403),
        ({"shared": False}, "member@red", 201),
        ({"router:external": True}, "manager@red", 403),
        ({"port_security_enabled": False}, "member@red", 201),
        ({"provider:physical_network": "public"}, "member@red", 403),
        ({"provider:segmentation_id": 5}, "member@red", 403),
        ({"project_id": project("blue")}, "member@red", 400),
        ({"project_id": project("blue")}, "admin@ops", 201),
        ({"tenant_id": project("blue"), "project_id": project("blue")}, "service", 201),
    ],
)
def test_attributes_of_networks_have_rules_of_their_own(
    tmp_path: Path, fields: dict[str, Any], who: str, status: int
) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.post("/networks", {"network": fields}, as_=who, expect=status)

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("fields", "on_shared", "on_own"),
    [
        ({}, 201, 201),
        ({"mac_address": "fa:16:3e:00:00:09"}, 403, 201),
        ({"fixed_ips": [{"ip_address": "10.1.0.99"}]}, 403, 201),
        ({"port_security_enabled": False}, 403, 201),
        ({"allowed_address_pairs": [{"ip_address": "10.1.0.98"}]}, 403, 201),
        ({"device_owner": "network:dhcp"}, 403, 201),
        ({"device_owner": "compute:nova", "device_id": "x"}, 201, 201),
        ({"binding:host_id": "h"}, 403, 403),
        ({"binding:profile": {"pileus_epoch": 1}}, 403, 403),
        ({"binding:vnic_type": "normal"}, 201, 201),
    ],
)
def test_attributes_of_ports_have_rules_of_their_own(
    tmp_path: Path, fields: dict[str, Any], on_shared: int, on_own: int
) -> None:
    async def story(cloud: NetworkCloud) -> None:
        own = await cloud.network()
        shared = await cloud.network(as_="admin@ops", shared=True)
        await cloud.subnet(own)
        await cloud.subnet(shared, as_="admin@ops")
        await cloud.port(own, expect=on_own, **fields)
        await cloud.port(shared, expect=on_shared, **fields)

    play(tmp_path, story)


def test_a_port_cannot_pretend_to_be_another_projects_router(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        router = (await cloud.post("/routers", {"router": {}}, as_="member@blue"))["router"]
        fields = {"device_owner": "network:router_interface", "device_id": router["id"]}
        await cloud.port(await cloud.network(), expect=409, **fields)

    play(tmp_path, story)


def test_a_service_sees_and_touches_what_it_must(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        port = await cloud.port(network, device_id="vm")
        found = (await cloud.get("/ports?device_id=vm", as_="service"))["ports"]
        assert [item["id"] for item in found] == [port["id"]]
        assert "binding:profile" in found[0]
        assert await cloud.get(f"/networks/{network['id']}", as_="service")
        await cloud.delete(f"/ports/{port['id']}", as_="service")

    play(tmp_path, story)
