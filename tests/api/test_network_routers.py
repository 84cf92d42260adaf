"""Routers, their interfaces, and floating IPs over the API."""

from pathlib import Path
from typing import Any

from pileus.network.app.service import NetworkSettings
from pileus.network.domain.quota import DEFAULTS
from tests.api.network_cloud import NetworkCloud, fault, play, project

ROUTER_KEYS = {
    "id", "name", "project_id", "admin_state_up", "status", "external_gateway_info", "description",
    "availability_zones", "availability_zone_hints", "routes", "tags", "created_at", "updated_at", "revision_number",
    "tenant_id",
}  # fmt: skip
FLOATING_IP_KEYS = {
    "id", "tenant_id", "project_id", "floating_ip_address", "floating_network_id", "router_id", "port_id",
    "fixed_ip_address", "status", "description", "port_details", "tags", "created_at", "updated_at", "revision_number",
}  # fmt: skip


async def router(cloud: NetworkCloud, gateway: Any = None, *, as_: str = "member@red") -> Any:
    info = {"external_gateway_info": {"network_id": gateway["id"]}} if gateway else {}
    return (await cloud.post("/routers", {"router": {"name": "r", **info}}, as_=as_))["router"]


async def plug(cloud: NetworkCloud, made: Any, expect: int = 200, **what: Any) -> Any:
    return await cloud.put(f"/routers/{made['id']}/add_router_interface", what, expect=expect)


async def pull(cloud: NetworkCloud, made: Any, expect: int = 200, **what: Any) -> Any:
    return await cloud.put(f"/routers/{made['id']}/remove_router_interface", what, expect=expect)


async def joined(cloud: NetworkCloud) -> tuple[Any, Any, Any, Any]:
    """An external network, a router with its gateway there, a subnet joined to it, and a port in that."""
    external, _ = await cloud.external()
    network = await cloud.network()
    subnet = await cloud.subnet(network, "10.0.0.0/24")
    made = await router(cloud, external)
    await plug(cloud, made, subnet_id=subnet["id"])
    return external, made, subnet, await cloud.port(network)


async def floating(cloud: NetworkCloud, external: Any, expect: int = 201, **fields: Any) -> Any:
    body = {"floatingip": {"floating_network_id": external["id"], **fields}}
    found = await cloud.post("/floatingips", body, expect=expect)
    return found.get("floatingip", found)


def test_a_router_is_active_and_has_the_known_shape(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await router(cloud)
        assert (set(made), made["status"], made["external_gateway_info"]) == (ROUTER_KEYS, "ACTIVE", None)

    play(tmp_path, story)


def test_a_gateway_is_an_address_in_an_external_network(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, subnet = await cloud.external()
        made = await router(cloud, external)
        assert made["external_gateway_info"] == {
            "network_id": external["id"],
            "external_fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "203.0.113.2"}],
            "enable_snat": True,
        }
        path = f"/routers/{made['id']}"
        gateway = (await cloud.get(f"/ports?device_id={made['id']}", as_="admin@ops"))["ports"]
        assert [(port["device_owner"], port["project_id"]) for port in gateway] == [("network:router_gateway", "")]
        assert (await cloud.get(f"/ports?device_id={made['id']}"))["ports"] == []
        cleared = await cloud.put(path, {"router": {"external_gateway_info": {}}})
        assert cleared["router"]["external_gateway_info"] is None
        inside = await cloud.network()
        body = {"router": {"external_gateway_info": {"network_id": inside["id"]}}}
        assert fault(await cloud.put(path, body, expect=400))[0] == "BadRequest"
        body = {"router": {"external_gateway_info": {"network_id": external["id"], "enable_snat": False}}}
        assert fault(await cloud.put(path, body, expect=403))[0] == "PolicyNotAuthorized"
        tuned = (await cloud.put(path, body, as_="admin@ops"))["router"]["external_gateway_info"]
        assert tuned["enable_snat"] is False
        body["router"]["external_gateway_info"] = {
            "network_id": external["id"], "external_fixed_ips": [{"ip_address": "203.0.113.77"}],
        }  # fmt: skip
        tuned = (await cloud.put(path, body, as_="admin@ops"))["router"]["external_gateway_info"]
        assert (tuned["external_fixed_ips"][0]["ip_address"], tuned["enable_snat"]) == ("203.0.113.77", False)
        await cloud.delete(path)
        assert (await cloud.get(f"/ports?device_id={made['id']}", as_="admin@ops"))["ports"] == []

    play(tmp_path, story)


def test_an_interface_takes_the_subnets_gateway_address(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network, "10.0.0.0/24")
        made = await router(cloud)
        interface = await plug(cloud, made, subnet_id=subnet["id"])
        assert {key: interface[key] for key in ("id", "project_id", "network_id", "subnet_id", "subnet_ids")} == {
            "id": made["id"], "project_id": project("red"), "network_id": network["id"], "subnet_id": subnet["id"],
            "subnet_ids": [subnet["id"]],
        }  # fmt: skip
        port = (await cloud.get(f"/ports/{interface['port_id']}"))["port"]
        assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}]
        assert (port["device_id"], port["device_owner"]) == (made["id"], "network:router_interface")
        assert (port["security_groups"], port["port_security_enabled"]) == ([], False)
        kind, text = fault(await cloud.delete(f"/ports/{port['id']}", expect=409))
        assert (kind, "network:router_interface" in text) == ("ServicePortInUse", True)
        await cloud.put(f"/ports/{port['id']}", {"port": {"device_id": ""}}, expect=400)
        assert fault(await cloud.delete(f"/routers/{made['id']}", expect=409))[0] == "RouterInUse"
        assert fault(await cloud.delete(f"/subnets/{subnet['id']}", expect=409))[0] == "SubnetInUse"
        body = {"subnet": {"gateway_ip": None}}
        assert fault(await cloud.put(f"/subnets/{subnet['id']}", body, expect=409))[0] == "GatewayIpInUse"
        assert fault(await plug(cloud, made, 400, subnet_id=subnet["id"]))[0] == "BadRequest"
        shown = (await cloud.get(f"/routers/{made['id']}"))["router"]
        assert shown["revision_number"] == 2
        gone = await pull(cloud, made, subnet_id=subnet["id"])
        assert gone["port_id"] == interface["port_id"]
        await cloud.get(f"/ports/{interface['port_id']}", expect=404)
        await cloud.delete(f"/routers/{made['id']}")

    play(tmp_path, story)


def test_a_port_of_ones_own_can_be_the_interface(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network, "10.0.0.0/24")
        made = await router(cloud)
        port = await cloud.port(network, fixed_ips=[{"ip_address": "10.0.0.77"}])
        interface = await plug(cloud, made, port_id=port["id"])
        assert (interface["port_id"], interface["subnet_id"]) == (port["id"], subnet["id"])
        assert fault(await plug(cloud, await router(cloud), 409, port_id=port["id"]))[0] == "PortInUse"
        assert fault(await pull(cloud, made, 400, port_id=port["id"], subnet_id=made["id"]))[0] == (
            "SubnetMismatchForPort"
        )
        await pull(cloud, made, port_id=port["id"])
        assert fault(await pull(cloud, made, 404, port_id=port["id"]))[0] == "RouterInterfaceNotFound"
        assert fault(await pull(cloud, made, 404, subnet_id=subnet["id"]))[0] == "RouterInterfaceNotFoundForSubnet"
        bare = await cloud.port(await cloud.network())
        assert fault(await plug(cloud, made, 400, port_id=bare["id"]))[0] == "BadRequest"

    play(tmp_path, story)


def test_an_interface_is_asked_for_clearly(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await router(cloud)
        missing = "00000000-0000-0000-0000-000000000000"
        await plug(cloud, made, 400)
        await pull(cloud, made, 400)
        await plug(cloud, made, 400, subnet_id=missing, port_id=missing)
        assert fault(await plug(cloud, made, 404, subnet_id=missing))[0] == "SubnetNotFound"
        assert fault(await plug(cloud, made, 404, port_id=missing))[0] == "PortNotFound"
        await plug(cloud, made, 400, subnet_id="nope")
        closed = await cloud.subnet(await cloud.network(), gateway_ip=None)
        assert fault(await plug(cloud, made, 400, subnet_id=closed["id"]))[0] == "BadRequest"
        blue = await cloud.subnet(await cloud.network(as_="member@blue"), as_="member@blue")
        await plug(cloud, made, 404, subnet_id=blue["id"])
        shared = await cloud.network(as_="admin@ops", shared=True)
        foreign = await cloud.subnet(shared, "10.44.0.0/24", as_="admin@ops")
        assert fault(await plug(cloud, made, 403, subnet_id=foreign["id"]))[0] == "NotAuthorized"

    play(tmp_path, story)


def test_a_router_joins_no_overlapping_subnets(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await router(cloud)
        first = await cloud.subnet(await cloud.network(), "10.0.0.0/24")
        second = await cloud.subnet(await cloud.network(), "10.0.0.0/25")
        await plug(cloud, made, subnet_id=first["id"])
        assert "overlaps" in fault(await plug(cloud, made, 400, subnet_id=second["id"]))[1]

    play(tmp_path, story)


def test_ipv6_subnets_of_a_network_share_one_router_port(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        first = await cloud.subnet(network, "2001:db8:1::/64")
        second = await cloud.subnet(network, "2001:db8:2::/64")
        made = await router(cloud)
        one = await plug(cloud, made, subnet_id=first["id"])
        two = await plug(cloud, made, subnet_id=second["id"])
        assert one["port_id"] == two["port_id"]
        await pull(cloud, made, subnet_id=first["id"])
        port = (await cloud.get(f"/ports/{one['port_id']}"))["port"]
        assert [fixed["ip_address"] for fixed in port["fixed_ips"]] == ["2001:db8:2::1"]
        await pull(cloud, made, subnet_id=second["id"])
        await cloud.get(f"/ports/{one['port_id']}", expect=404)

    play(tmp_path, story)


def test_routes_go_by_neighbours_and_hold_the_interface(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        subnet = await cloud.subnet(await cloud.network(), "10.0.0.0/24")
        made = await router(cloud)
        path = f"/routers/{made['id']}"
        routes = [{"destination": "10.9.0.0/24", "nexthop": "10.0.0.9"}]
        assert fault(await cloud.put(path, {"router": {"routes": routes}}, expect=400))[0] == "InvalidRoutes"
        await plug(cloud, made, subnet_id=subnet["id"])
        changed = await cloud.put(path, {"router": {"routes": routes}})
        assert changed["router"]["routes"] == routes
        assert fault(await pull(cloud, made, 409, subnet_id=subnet["id"]))[0] == "RouterInterfaceInUseByRoute"
        await cloud.put(path, {"router": {"routes": []}})
        await pull(cloud, made, subnet_id=subnet["id"])

    play(tmp_path, story)


def test_an_external_network_is_everybodys_to_see_and_nobodys_to_use_up(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, subnet = await cloud.external()
        found = (await cloud.get("/networks?router:external=true"))["networks"]
        assert [network["id"] for network in found] == [external["id"]]
        assert (await cloud.get(f"/subnets/{subnet['id']}"))["subnet"]["router:external"] is True
        await cloud.port(external, expect=403)
        await cloud.put(f"/networks/{external['id']}", {"network": {"name": "mine"}}, expect=403)
        await router(cloud, external)
        body = {"network": {"router:external": False}}
        found = await cloud.put(f"/networks/{external['id']}", body, as_="admin@ops", expect=409)
        assert fault(found)[0] == "ExternalNetworkInUse"

    play(tmp_path, story)


# -- floating IPs --------------------------------------------------------------------------------------------------
def test_a_floating_ip_points_and_is_active_then(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, made, _, port = await joined(cloud)
        loose = await floating(cloud, external)
        assert (set(loose), loose["status"], loose["port_details"]) == (FLOATING_IP_KEYS, "DOWN", None)
        path = f"/floatingips/{loose['id']}"
        pointing = (await cloud.put(path, {"floatingip": {"port_id": port["id"]}}))["floatingip"]
        assert (pointing["status"], pointing["fixed_ip_address"]) == ("ACTIVE", "10.0.0.2")
        assert pointing["router_id"] == made["id"]
        assert pointing["port_details"]["mac_address"] == port["mac_address"]
        await cloud.put(f"/ports/{port['id']}", {"port": {"name": "new"}})
        listed = (await cloud.get(f"/floatingips?port_id={port['id']}"))["floatingips"]
        assert [item["port_details"]["name"] for item in listed] == ["new"]
        await cloud.put(path, {"floatingip": {"description": "x"}})
        assert (await cloud.get(path))["floatingip"]["port_id"] == port["id"]
        away = (await cloud.put(path, {"floatingip": {"port_id": None}}))["floatingip"]
        assert (away["status"], away["port_id"], away["fixed_ip_address"], away["router_id"]) == (
            "DOWN", None, None, None,
        )  # fmt: skip
        await cloud.delete(path)
        await cloud.get(path, expect=404)

    play(tmp_path, story)


def test_a_floating_ip_outlives_the_port_it_pointed_to(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, _, _, port = await joined(cloud)
        made = await floating(cloud, external, port_id=port["id"])
        await cloud.delete(f"/ports/{port['id']}")
        shown = (await cloud.get(f"/floatingips/{made['id']}"))["floatingip"]
        assert (shown["port_id"], shown["fixed_ip_address"], shown["router_id"]) == (None, None, None)
        assert (shown["status"], shown["port_details"]) == ("DOWN", None)

    play(tmp_path, story)


def test_a_floating_ip_lets_go_of_an_address_its_port_gave_up(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, _, _, port = await joined(cloud)
        made = await floating(cloud, external, port_id=port["id"])
        await cloud.put(f"/ports/{port['id']}", {"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}})
        assert (await cloud.get(f"/floatingips/{made['id']}"))["floatingip"]["port_id"] is None

    play(tmp_path, story)


def test_floating_ips_hold_interface_and_gateway(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, made, subnet, port = await joined(cloud)
        await floating(cloud, external, port_id=port["id"])
        assert fault(await pull(cloud, made, 409, subnet_id=subnet["id"]))[0] == "RouterInterfaceInUseByFloatingIP"
        body = {"router": {"external_gateway_info": None}}
        kind, _ = fault(await cloud.put(f"/routers/{made['id']}", body, expect=409))
        assert kind == "RouterExternalGatewayInUseByFloatingIp"

    play(tmp_path, story)


def test_floating_ips_that_cannot_be_are_refused(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, _, _, port = await joined(cloud)
        await floating(cloud, external, port_id=port["id"])
        assert fault(await floating(cloud, external, 409, port_id=port["id"]))[0] == "FloatingIPPortAlreadyAssociated"
        inside = await cloud.network()
        assert fault(await floating(cloud, inside, 400))[0] == "BadRequest"
        lonely_net = await cloud.network()
        await cloud.subnet(lonely_net, "10.8.0.0/24")
        lonely = await cloud.port(lonely_net)
        found = await floating(cloud, external, 404, port_id=lonely["id"])
        assert fault(found)[0] == "ExternalGatewayForFloatingIPNotFound"
        assert fault(await floating(cloud, external, 400, fixed_ip_address="10.0.0.2"))[0] == "BadRequest"
        assert fault(await floating(cloud, external, 403, floating_ip_address="203.0.113.99"))[0] == (
            "PolicyNotAuthorized"
        )
        missing = "00000000-0000-0000-0000-000000000000"
        assert fault(await floating(cloud, external, 404, port_id=missing))[0] == "PortNotFound"
        before = len((await cloud.get("/ports?device_owner=network:floatingip", as_="admin@ops"))["ports"])
        assert before == 1

    play(tmp_path, story)


def test_the_same_fixed_address_may_be_chosen_again_after_it_moved(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, _, _, port = await joined(cloud)
        fixed = [{"ip_address": "10.0.0.50"}, {"ip_address": "10.0.0.51"}]
        await cloud.put(f"/ports/{port['id']}", {"port": {"fixed_ips": fixed}})
        assert fault(await floating(cloud, external, 400, port_id=port["id"]))[0] == "BadRequest"
        made = await floating(cloud, external, port_id=port["id"], fixed_ip_address="10.0.0.50")
        moved = await cloud.put(f"/floatingips/{made['id']}", {"floatingip": {"fixed_ip_address": "10.0.0.51"}})
        assert moved["floatingip"]["fixed_ip_address"] == "10.0.0.51"
        await floating(cloud, external, port_id=port["id"], fixed_ip_address="10.0.0.50")

    play(tmp_path, story)


def test_an_exhausted_external_network_says_so(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, _ = await cloud.external("203.0.113.0/30")
        first = await floating(cloud, external)
        assert fault(await floating(cloud, external, 400))[0] == "ExternalIpAddressExhausted"
        await cloud.delete(f"/floatingips/{first['id']}")
        await floating(cloud, external)

    play(tmp_path, story)


def test_an_external_network_goes_with_floating_ips_that_point_to_nothing(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, made, _, port = await joined(cloud)
        loose = await floating(cloud, external)
        path = f"/networks/{external['id']}"
        assert fault(await cloud.delete(path, as_="admin@ops", expect=409))[0] == "NetworkInUse"
        await cloud.get(f"/floatingips/{loose['id']}")
        body = {"router": {"external_gateway_info": {}}}
        await cloud.put(f"/routers/{made['id']}", body)
        await cloud.delete(path, as_="admin@ops")
        await cloud.get(f"/floatingips/{loose['id']}", expect=404)
        assert port["id"]

    play(tmp_path, story)


def test_an_interface_may_have_another_address_and_a_gateway_may_not(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, made, subnet, _ = await joined(cloud)
        ports = (await cloud.get(f"/ports?device_id={made['id']}", as_="admin@ops"))["ports"]
        by_owner = {port["device_owner"]: f"/ports/{port['id']}" for port in ports}
        wish = {"port": {"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.0.0.77"}]}}
        moved = await cloud.put(by_owner["network:router_interface"], wish, as_="admin@ops")
        assert moved["port"]["fixed_ips"][0]["ip_address"] == "10.0.0.77"
        wish = {"port": {"fixed_ips": [{"ip_address": "203.0.113.77"}]}}
        kind, _ = fault(await cloud.put(by_owner["network:router_gateway"], wish, as_="admin@ops", expect=400))
        assert kind == "BadRequest"
        assert external["id"]

    play(tmp_path, story)


def test_routers_and_floating_ips_have_quotas(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        external, _ = await cloud.external()
        await router(cloud)
        await cloud.post("/routers", {"router": {}}, expect=409)
        await floating(cloud, external)
        assert fault(await floating(cloud, external, 409))[0] == "OverQuota"

    play(tmp_path, story, NetworkSettings(quotas={**DEFAULTS, "router": 1, "floatingip": 1}))
