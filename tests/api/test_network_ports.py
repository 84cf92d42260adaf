"""Ports: addresses that nobody gets twice, bindings that latecomers cannot steal, what hosts are told and tell."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus.network.domain.agent import Agent, heard, is_alive, stamp
from pileus.network.domain.data_plane import HostPlan
from pileus.network.peers.hosts import host_topic
from pileus.network.peers.service import BusNetworkService, PortReport
from tests.api.network_cloud import NetworkCloud, fault, play

SERVICE = {"x_service_token": "service"}


def texts(port: Any) -> list[str]:
    return [fixed["ip_address"] for fixed in port["fixed_ips"]]


# -- addresses -----------------------------------------------------------------------------------------------------
def test_a_port_gets_one_address_of_each_family(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        assert (await cloud.port(network))["fixed_ips"] == []
        await cloud.subnet(network, "10.0.0.0/24")
        await cloud.subnet(network, "10.0.1.0/24")
        await cloud.subnet(network, "2001:db8::/64")
        assert texts(await cloud.port(network)) == ["10.0.0.2", "2001:db8::2"]

    play(tmp_path, story)


def test_when_a_subnet_is_full_the_next_one_serves(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        await cloud.subnet(network, "10.0.0.0/30")
        await cloud.subnet(network, "10.0.1.0/30")
        assert [texts(await cloud.port(network)) for _ in range(2)] == [["10.0.0.2"], ["10.0.1.2"]]
        kind, text = fault(await cloud.port(network, expect=409))
        assert (kind, network["id"] in text) == ("IpAddressGenerationFailure", True)

    play(tmp_path, story)


def test_guests_that_compute_their_address_get_that_one(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        early = await cloud.port(network, mac_address="fa:16:3e:00:00:01")
        slaac = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        subnet = await cloud.subnet(network, "2001:db8::/64", **slaac)
        shown = (await cloud.get(f"/ports/{early['id']}"))["port"]
        assert texts(shown) == ["2001:db8::f816:3eff:fe00:1"]
        late = await cloud.port(network, mac_address="fa:16:3e:00:00:02")
        assert texts(late) == ["2001:db8::f816:3eff:fe00:2"]
        wish = [{"subnet_id": subnet["id"], "ip_address": "2001:db8::9"}]
        kind, _ = fault(await cloud.port(network, fixed_ips=wish, expect=400))
        assert kind == "AllocationOnAutoAddressSubnet"
        changed = await cloud.put(
            f"/ports/{late['id']}", {"port": {"mac_address": "fa:16:3e:00:00:03"}}, as_="manager@red"
        )
        assert texts(changed["port"]) == ["2001:db8::f816:3eff:fe00:3"]
        await cloud.delete(f"/subnets/{subnet['id']}")
        assert (await cloud.get(f"/ports/{early['id']}"))["port"]["fixed_ips"] == []

    play(tmp_path, story)


def test_wishes_are_granted_or_named(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network, "10.0.0.0/24")
        port = await cloud.port(network, fixed_ips=[{"ip_address": "10.0.0.50"}])
        assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.50"}]
        several = await cloud.port(network, fixed_ips=[{"subnet_id": subnet["id"]}, {"ip_address": "10.0.0.60"}])
        assert texts(several) == ["10.0.0.2", "10.0.0.60"]
        assert (await cloud.port(network, fixed_ips=[]))["fixed_ips"] == []

        async def refused(status: int, **wish: str) -> str:
            return fault(await cloud.port(network, fixed_ips=[wish], expect=status))[0]

        assert await refused(409, ip_address="10.0.0.50") == "IpAddressAlreadyAllocated"
        assert await refused(400, ip_address="192.0.2.1") == "InvalidIpForNetwork"
        assert await refused(400, ip_address="10.0.0.255", subnet_id=subnet["id"]) == "InvalidIpForSubnet"
        assert await refused(400, ip_address="nope") == "HTTPBadRequest"
        other = await cloud.subnet(await cloud.network(), "10.9.0.0/24")
        assert await refused(400, subnet_id=other["id"]) == "InvalidInput"
        twice = [{"ip_address": "10.0.0.70"}] * 2
        assert "Duplicate IP" in fault(await cloud.port(network, fixed_ips=twice, expect=400))[1]

    play(tmp_path, story)


def test_racing_ports_never_share_an_address(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        await cloud.subnet(network, "10.0.0.0/26")
        body = {"port": {"network_id": network["id"]}}
        asked = [cloud.ask("POST", "/v2.0/ports", body) for _ in range(80)]
        answers = await asyncio.gather(*asked)
        given = [texts(answer.json()["port"])[0] for answer in answers if answer.status == 201]
        assert len(given) == len(set(given)) == 61
        assert {answer.status for answer in answers} == {201, 409}

    play(tmp_path, story)


def test_racing_wishes_for_one_address_have_one_winner(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        await cloud.subnet(network, "10.0.0.0/24")
        body = {"port": {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.9"}]}}
        answers = await asyncio.gather(*[cloud.ask("POST", "/v2.0/ports", body) for _ in range(10)])
        assert sorted(answer.status for answer in answers) == [201] + [409] * 9

    play(tmp_path, story)


def test_changing_addresses_keeps_those_that_stay(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network, "10.0.0.0/24")
        port = await cloud.port(network, fixed_ips=[{"ip_address": "10.0.0.5"}, {"ip_address": "10.0.0.6"}])
        wishes = [{"ip_address": "10.0.0.6"}, {"ip_address": "10.0.0.7"}]
        changed = await cloud.put(f"/ports/{port['id']}", {"port": {"fixed_ips": wishes}})
        assert texts(changed["port"]) == ["10.0.0.6", "10.0.0.7"]
        assert texts(await cloud.port(network, fixed_ips=[{"ip_address": "10.0.0.5"}])) == ["10.0.0.5"]
        same = await cloud.put(f"/ports/{port['id']}", {"port": {"fixed_ips": [{"subnet_id": subnet["id"]}]}})
        assert texts(same["port"]) == ["10.0.0.6"]
        refused = await cloud.put(
            f"/ports/{port['id']}", {"port": {"fixed_ips": [{"ip_address": "10.0.0.5"}]}}, expect=409
        )
        assert fault(refused)[0] == "IpAddressAlreadyAllocated"
        assert texts((await cloud.get(f"/ports/{port['id']}"))["port"]) == ["10.0.0.6"]

    play(tmp_path, story)


def test_new_pools_leave_addresses_where_they_are(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network, "10.0.0.0/24")
        await cloud.port(network, fixed_ips=[{"ip_address": "10.0.0.100"}])
        pools = [{"start": "10.0.0.100", "end": "10.0.0.101"}]
        await cloud.put(f"/subnets/{subnet['id']}", {"subnet": {"allocation_pools": pools}})
        assert texts(await cloud.port(network)) == ["10.0.0.101"]
        await cloud.port(network, expect=409)

    play(tmp_path, story)


# -- MACs ----------------------------------------------------------------------------------------------------------
def test_macs_are_unique_in_a_network_and_no_further(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network, other = await cloud.network(), await cloud.network()
        port = await cloud.port(network, mac_address="FA:16:3E:00:00:01")
        assert port["mac_address"] == "fa:16:3e:00:00:01"
        kind, _ = fault(await cloud.port(network, mac_address="fa:16:3e:00:00:01", expect=409))
        assert kind == "MacAddressInUse"
        await cloud.port(other, mac_address="fa:16:3e:00:00:01")
        await cloud.port(network, mac_address="01:00:5e:00:00:01", expect=400)
        made = await cloud.post("/ports", {"ports": [{"network_id": network["id"]}] * 30})
        assert len({item["mac_address"] for item in made["ports"]}) == 30
        assert all(item["mac_address"].startswith("fa:16:3e:") for item in made["ports"])
        fresh = await cloud.put(f"/ports/{port['id']}", {"port": {"mac_address": None}}, as_="manager@red")
        assert fresh["port"]["mac_address"] != port["mac_address"]

    play(tmp_path, story)


# -- groups and security -------------------------------------------------------------------------------------------
def test_a_port_has_its_projects_default_group_unless_it_says_otherwise(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        port = await cloud.port(network)
        groups = (await cloud.get("/security-groups"))["security_groups"]
        assert port["security_groups"] == [group["id"] for group in groups if group["name"] == "default"]
        assert (await cloud.port(network, security_groups=[]))["security_groups"] == []
        missing = "00000000-0000-0000-0000-000000000000"
        kind, _ = fault(await cloud.port(network, security_groups=[missing], expect=404))
        assert kind == "SecurityGroupNotFound"
        foreign = await cloud.post("/security-groups", {"security_group": {"name": "b"}}, as_="member@blue")
        await cloud.port(network, security_groups=[foreign["security_group"]["id"]], expect=404)
        open_port = await cloud.port(network, port_security_enabled=False)
        assert open_port["security_groups"] == []
        refused = await cloud.put(f"/ports/{port['id']}", {"port": {"port_security_enabled": False}}, expect=409)
        assert fault(refused)[0] == "PortSecurityPortHasSecurityGroup"
        both = {"port_security_enabled": False, "security_groups": []}
        assert (await cloud.put(f"/ports/{port['id']}", {"port": both}))["port"]["security_groups"] == []

    play(tmp_path, story)


def test_a_group_in_use_stays(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        group = (await cloud.post("/security-groups", {"security_group": {"name": "g"}}))["security_group"]
        port = await cloud.port(await cloud.network(), security_groups=[group["id"]])
        kind, _ = fault(await cloud.delete(f"/security-groups/{group['id']}", expect=409))
        assert kind == "SecurityGroupInUse"
        await cloud.put(f"/ports/{port['id']}", {"port": {"security_groups": []}})
        await cloud.delete(f"/security-groups/{group['id']}")

    play(tmp_path, story)


@pytest.mark.parametrize("value", ["a\nb", 'a"', "\u2028"])
def test_a_dhcp_option_with_an_instruction_in_it_is_refused(tmp_path: Path, value: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        opts = [{"opt_name": "bootfile-name", "opt_value": value}]
        assert fault(await cloud.port(network, extra_dhcp_opts=opts, expect=400))[0] == "InvalidInput"

    play(tmp_path, story)


# -- binding -------------------------------------------------------------------------------------------------------
def binding(host: str, epoch: int | None = None, device: str = "vm") -> dict[str, Any]:
    profile = {} if epoch is None else {"pileus_epoch": epoch}
    return {"port": {"binding:host_id": host, "binding:profile": profile, "device_id": device}}


def test_only_a_service_binds_a_users_port(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        port = await cloud.port(network)
        path = f"/ports/{port['id']}"
        await cloud.put(path, binding("h1", 1), expect=403)
        await cloud.put(path, binding("h1", 1), as_="member@blue", expect=404, **SERVICE)
        await cloud.put(path, binding("h1", 1), as_="reader@red", expect=403, **SERVICE)
        bound = (await cloud.put(path, binding("h1", 1), **SERVICE))["port"]
        assert (bound["binding:host_id"], bound["binding:vif_type"]) == ("h1", "bridge")
        assert bound["binding:vif_details"]["tap_name"] == "tap" + port["id"][:11]
        shown = (await cloud.get(path))["port"]
        assert "binding:host_id" not in shown
        await cloud.put(path, binding("h2", 2), as_="service")

    play(tmp_path, story)


def test_a_port_can_be_made_and_bound_at_once(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        await cloud.subnet(network)
        body = {"network_id": network["id"], "device_owner": "compute:nova", **binding("h1", 1)["port"]}
        port = (await cloud.post("/ports", {"port": body}, **SERVICE))["port"]
        assert (port["binding:host_id"], port["status"], port["device_id"]) == ("h1", "DOWN", "vm")
        await cloud.delete(f"/ports/{port['id']}", expect=403)  # a server's port is the server's business
        await cloud.delete(f"/ports/{port['id']}", **SERVICE)

    play(tmp_path, story)


def test_a_stale_epoch_is_refused(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        port = await cloud.port(await cloud.network())
        path = f"/ports/{port['id']}"
        await cloud.put(path, binding("h1", 1), as_="service")
        await cloud.put(path, binding("h2", 2), as_="service")
        found = await cloud.put(path, binding("h1", 1), as_="service", expect=409)
        assert fault(found)[0] == "StaleBinding"
        assert (await cloud.get(path, as_="service"))["port"]["binding:host_id"] == "h2"
        await cloud.put(path, binding("h2", 2), as_="service")

    play(tmp_path, story)


def test_racing_attempts_end_with_the_newest(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        port = await cloud.port(await cloud.network())
        path = f"/v2.0/ports/{port['id']}"
        asked = [cloud.ask("PUT", path, binding(f"h{epoch}", epoch), as_="service") for epoch in (3, 1, 5, 2, 4)]
        answers = await asyncio.gather(*asked)
        assert {answer.status for answer in answers} == {200, 409}
        assert (await cloud.get(f"/ports/{port['id']}", as_="service"))["port"]["binding:host_id"] == "h5"

    play(tmp_path, story)


def test_the_first_bound_port_brings_a_dhcp_port_that_blocks_nothing(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        await cloud.subnet(network, "10.0.0.0/24")
        await cloud.subnet(network, "10.0.1.0/24", enable_dhcp=False)
        ports = [await cloud.port(network) for _ in range(2)]
        for port in ports:
            await cloud.put(f"/ports/{port['id']}", binding("h1", 1, port["id"]), as_="service")
        query = f"/ports?network_id={network['id']}&device_owner=network:dhcp"
        dhcp = (await cloud.get(query, as_="service"))["ports"]
        assert [texts(port) for port in dhcp] == [["10.0.0.4"]]
        assert dhcp[0]["project_id"] == network["project_id"]
        await cloud.subnet(network, "10.0.2.0/24")
        assert texts((await cloud.get(query, as_="service"))["ports"][0]) == ["10.0.0.4", "10.0.2.2"]
        for port in ports:
            await cloud.delete(f"/ports/{port['id']}")
        await cloud.delete(f"/networks/{network['id']}")

    play(tmp_path, story)


def test_dhcp_follows_its_subnet(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network, "10.0.0.0/24")
        port = await cloud.port(network)
        await cloud.put(f"/ports/{port['id']}", binding("h1", 1), as_="service")
        host = BusNetworkService(cloud.service.bus)

        async def dhcp_address() -> str:
            return (await host.host_plan("h1")).networks[0].subnets[0].dhcp_address

        assert await dhcp_address() == "10.0.0.3"
        await cloud.put(f"/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": False}})
        assert await dhcp_address() == ""
        await cloud.put(f"/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": True}})
        assert await dhcp_address() == "10.0.0.4"

    play(tmp_path, story)


# -- the bus -------------------------------------------------------------------------------------------------------
def test_a_host_is_told_what_it_should_have(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network(mtu=1400)
        route = {"destination": "10.9.0.0/24", "nexthop": "10.0.0.9"}
        subnet = await cloud.subnet(network, "10.0.0.0/24", dns_nameservers=["9.9.9.9"], host_routes=[route])
        opts = [{"opt_name": "bootfile-name", "opt_value": "pxe.0"}]
        port = await cloud.port(network, extra_dhcp_opts=opts)
        await cloud.port(network)
        host = BusNetworkService(cloud.service.bus)
        assert await host.host_plan("h1") == HostPlan()
        await cloud.put(f"/ports/{port['id']}", binding("h1", 1), as_="service")
        plan = await host.host_plan("h1")
        assert await host.port_plan("h1", port["id"]) == plan
        assert await host.port_plan("h2", port["id"]) == await host.host_plan("h2") == HostPlan()
        (wire,), (plug,) = plan.networks, plan.ports
        assert (wire.id, wire.mtu, wire.segment > 0) == (network["id"], 1400, True)
        assert wire.dhcp_mac.startswith("fa:16:3e:")
        assert (wire.subnets[0].id, wire.subnets[0].gateway) == (subnet["id"], "10.0.0.1")
        assert (wire.subnets[0].dns_servers, wire.subnets[0].dhcp_address) == (("9.9.9.9",), "10.0.0.4")
        assert msgspec.to_builtins(wire.subnets[0].host_routes) == (route,)
        assert (plug.id, plug.mac, plug.epoch) == (port["id"], port["mac_address"], 1)
        assert [fixed.address for fixed in plug.fixed_ips] == texts(port)
        assert plug.dhcp_options[0].value == "pxe.0"

    play(tmp_path, story)


def test_a_port_is_active_when_its_host_says_so_and_no_other(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        port = await cloud.port(await cloud.network())
        path = f"/ports/{port['id']}"
        host = BusNetworkService(cloud.service.bus)

        async def told(by: str, epoch: int, *, is_wired: bool = True) -> str:
            await host.report(by, [PortReport(port_id=port["id"], epoch=epoch, is_wired=is_wired)])
            return str((await cloud.get(path))["port"]["status"])

        await cloud.put(path, binding("h1", 1), as_="service")
        assert await told("h2", 1) == "DOWN"
        assert await told("h1", 1) == "ACTIVE"
        assert await told("h1", 1) == "ACTIVE"
        await cloud.put(path, binding("h1", 2), as_="service")
        assert (await cloud.get(path))["port"]["status"] == "DOWN"
        assert await told("h1", 1) == "DOWN"
        assert await told("h1", 2) == "ACTIVE"
        assert await told("h1", 2, is_wired=False) == "DOWN"
        await cloud.put(path, {"port": {"admin_state_up": False}})
        assert await told("h1", 2) == "DOWN"

    play(tmp_path, story)


AGENT_KEYS = {
    "id", "agent_type", "binary", "topic", "host", "admin_state_up", "created_at", "started_at",
    "heartbeat_timestamp", "description", "resources_synced", "availability_zone", "alive", "configurations",
}  # fmt: skip


def test_an_agent_is_known_when_it_first_asks_and_alive_while_it_does(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        host = BusNetworkService(cloud.service.bus)
        assert (await cloud.get("/agents", as_="admin@ops"))["agents"] == []
        for name in ("h1", "h1", "h2"):
            await host.host_plan(name)
        found = (await cloud.get("/agents?host=h1", as_="admin@ops"))["agents"]
        assert [(set(agent), agent["alive"]) for agent in found] == [(AGENT_KEYS, True)]
        path = f"/agents/{found[0]['id']}"
        assert (await cloud.get(path, as_="admin@ops"))["agent"] == found[0]
        changed = await cloud.put(path, {"agent": {"description": "x"}}, as_="admin@ops")
        assert changed["agent"]["description"] == "x"
        await cloud.put(path, {"agent": {"admin_state_up": False}}, as_="admin@ops", expect=400)
        await cloud.delete(path, as_="admin@ops")
        assert [agent["host"] for agent in (await cloud.get("/agents", as_="admin@ops"))["agents"]] == ["h2"]

    play(tmp_path, story)


def test_an_agent_that_is_silent_is_dead_and_starts_anew() -> None:
    agent = Agent(id="a", host="h", created_at=stamp(0), started_at=stamp(0), heartbeat_timestamp=stamp(0))
    minute = 60_000_000
    assert is_alive(0, minute)
    assert not is_alive(0, 2 * minute)
    assert heard(agent, heartbeat_us=0, now_us=minute).started_at == stamp(0)
    assert heard(agent, heartbeat_us=0, now_us=2 * minute).started_at == "1970-01-01 00:02:00"


def test_hosts_are_nudged_when_something_of_theirs_changes(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        heard: list[tuple[str, str]] = []

        def listen(host: str) -> None:
            async def note(delivery: Any) -> None:
                heard.append((host, delivery.method))

            methods = dict.fromkeys(("port_changed", "network_changed"), note)
            cloud.service.bus.serve(host_topic(host), methods)

        async def since() -> list[tuple[str, str]]:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            found = sorted(heard)
            heard.clear()
            return found

        listen("h1")
        listen("h2")
        network = await cloud.network()
        subnet = await cloud.subnet(network)
        port = await cloud.port(network)
        path = f"/ports/{port['id']}"
        assert await since() == []
        await cloud.put(path, binding("h1", 1), as_="service")
        assert await since() == [("h1", "port_changed")]
        await cloud.put(path, binding("h2", 2), as_="service")
        assert await since() == [("h1", "port_changed"), ("h2", "port_changed")]
        await cloud.put(f"/subnets/{subnet['id']}", {"subnet": {"dns_nameservers": ["9.9.9.9"]}})
        assert await since() == [("h1", "network_changed"), ("h2", "network_changed")]
        await cloud.delete(path)
        assert await since() == [("h2", "port_changed")]
        await cloud.delete(f"/networks/{network['id']}")
        assert await since() == [("h1", "network_changed"), ("h2", "network_changed")]

    play(tmp_path, story)
