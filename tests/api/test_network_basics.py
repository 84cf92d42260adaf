"""Networks, subnets and ports over the API: what is made, shown, changed, refused and deleted."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pileus.network.app.service import NetworkSettings
from pileus.network.domain.quota import DEFAULTS
from tests.api.network_cloud import NetworkCloud, fault, play, project

# -- shapes, as the reference implementation shows them -------------------------------------------------------------
NETWORK_KEYS = {
    "id", "name", "tenant_id", "project_id", "admin_state_up", "mtu", "status", "subnets", "shared",
    "availability_zone_hints", "availability_zones", "ipv4_address_scope", "ipv6_address_scope", "router:external",
    "description", "port_security_enabled", "tags", "created_at", "updated_at", "revision_number",
}  # fmt: skip
PROVIDER_KEYS = {"provider:network_type", "provider:physical_network", "provider:segmentation_id"}
SUBNET_KEYS = {
    "id", "name", "project_id", "network_id", "ip_version", "subnetpool_id", "enable_dhcp", "ipv6_ra_mode",
    "ipv6_address_mode", "gateway_ip", "cidr", "allocation_pools", "host_routes", "dns_nameservers", "description",
    "router:external", "service_types", "tags", "created_at", "updated_at", "revision_number", "tenant_id",
}  # fmt: skip
PORT_KEYS = {
    "id", "name", "network_id", "project_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner",
    "fixed_ips", "allowed_address_pairs", "extra_dhcp_opts", "security_groups", "description", "binding:vnic_type",
    "port_security_enabled", "tags", "created_at", "updated_at", "revision_number", "tenant_id",
}  # fmt: skip
BINDING_KEYS = {"binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details"}


def test_answers_have_the_known_shape(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network(name="a")
        subnet = await cloud.subnet(network)
        port = await cloud.port(network)
        assert (set(network), set(subnet), set(port)) == (NETWORK_KEYS, SUBNET_KEYS, PORT_KEYS)
        for path, extra in (
            (f"/networks/{network['id']}", PROVIDER_KEYS),
            (f"/subnets/{subnet['id']}", set()),
            (f"/ports/{port['id']}", BINDING_KEYS),
        ):
            mine = next(iter((await cloud.get(path)).values()))
            all_of_it = next(iter((await cloud.get(path, as_="admin@ops")).values()))
            assert set(all_of_it) - set(mine) == extra

    play(tmp_path, story)


def test_a_new_network_is_active_and_its_owner_is_told_twice(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network(name="a")
        assert (network["status"], network["mtu"], network["revision_number"]) == ("ACTIVE", 1450, 1)
        assert network["tenant_id"] == network["project_id"] == project("red")

    play(tmp_path, story)


def test_subnets_are_listed_in_their_network_and_count_as_its_changes(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network)
        shown = (await cloud.get(f"/networks/{network['id']}"))["network"]
        assert (shown["subnets"], shown["revision_number"]) == ([subnet["id"]], 2)
        await cloud.delete(f"/subnets/{subnet['id']}")
        shown = (await cloud.get(f"/networks/{network['id']}"))["network"]
        assert (shown["subnets"], shown["revision_number"]) == ([], 3)

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"network": {"nope": 1}}, "Unrecognized attribute(s) 'nope'"),
        ({"nope": {}}, "Unable to find 'network' in request body"),
        ({"network": []}, "Invalid input"),
        ([], "Unable to find 'network' in request body"),
        ({"network": {"status": "ACTIVE"}}, "Attribute 'status' not allowed in POST"),
        ({"network": {"name": 1}}, "Invalid input for name"),
        ({"network": {"name": "x" * 256}}, "Invalid input for name"),
        ({"network": {"admin_state_up": "perhaps"}}, "Invalid input for admin_state_up"),
        ({"network": {"mtu": "big"}}, "Invalid input for mtu"),
        ({"network": {"tags": ["a"] * 51}}, "Invalid input for tags"),
        ({"network": {"project_id": "a", "tenant_id": "b"}}, "do not match"),
        ({"network": {"project_id": project("blue")}}, "Specifying 'project_id' other than"),
        ({"networks": []}, "Invalid input"),
    ],
)
def test_a_bad_body_is_refused_by_name(tmp_path: Path, body: Any, message: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        kind, text = fault(await cloud.post("/networks", body, expect=400))
        assert kind == "HTTPBadRequest"
        assert message in text

    play(tmp_path, story)


def test_read_only_attributes_cannot_be_changed(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        body = {"network": {"id": "x"}}
        found = await cloud.put(f"/networks/{network['id']}", body, expect=400)
        assert fault(found) == ("HTTPBadRequest", "Cannot update read-only attribute id")

    play(tmp_path, story)


def test_words_and_numbers_pass_for_true_and_false(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        for word, meaning in (("True", True), ("1", True), (1, True), ("false", False), (0, False), (False, False)):
            assert (await cloud.network(admin_state_up=word))["admin_state_up"] is meaning

    play(tmp_path, story)


def test_several_are_made_together_or_not_at_all(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await cloud.post("/networks", {"networks": [{"name": "a"}, {"name": "b"}]})
        assert [network["name"] for network in made["networks"]] == ["a", "b"]
        body = {"networks": [{"name": "c"}, {"name": "d", "availability_zone_hints": ["mars"]}]}
        kind, _ = fault(await cloud.post("/networks", body, expect=404))
        assert kind == "AvailabilityZoneNotFound"
        network = made["networks"][0]
        wanted = {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
        await cloud.post("/subnets", {"subnets": [wanted, wanted]}, expect=400)
        ports = [{"network_id": network["id"]}, {"network_id": "00000000-0000-0000-0000-000000000000"}]
        await cloud.post("/ports", {"ports": ports}, expect=404)
        assert len((await cloud.get("/networks"))["networks"]) == 2
        assert (await cloud.get("/subnets"))["subnets"] == (await cloud.get("/ports"))["ports"] == []

    play(tmp_path, story)


def test_a_change_is_a_revision_and_can_ask_for_one(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        path = f"/networks/{network['id']}"
        changed = (await cloud.put(path, {"network": {"name": "b"}}, if_match="revision_number=1"))["network"]
        assert (changed["name"], changed["revision_number"]) == ("b", 2)
        found = await cloud.put(path, {"network": {"name": "c"}}, if_match='"revision_number=1"', expect=412)
        assert fault(found) == (
            "RevisionNumberConstraintFailed", "Constrained to 1, but current revision is 2"
        )  # fmt: skip
        await cloud.put(path, {"network": {"name": "c"}}, if_match="revision_number=x", expect=400)
        await cloud.delete(path, if_match="revision_number=1", expect=412)
        await cloud.delete(path, if_match="revision_number=2")

    play(tmp_path, story)


def test_a_network_in_use_stays_and_says_who_uses_it(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network)
        port = await cloud.port(network)
        kind, text = fault(await cloud.delete(f"/networks/{network['id']}", expect=409))
        assert kind == "NetworkInUse"
        assert port["id"] in text
        kind, _ = fault(await cloud.delete(f"/subnets/{subnet['id']}", expect=409))
        assert kind == "SubnetInUse"
        await cloud.delete(f"/ports/{port['id']}")
        await cloud.delete(f"/networks/{network['id']}")
        await cloud.get(f"/subnets/{subnet['id']}", expect=404)

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/networks/nope", "NetworkNotFound"), ("/subnets/nope", "SubnetNotFound"), ("/ports/nope", "PortNotFound"),
        ("/routers/nope", "RouterNotFound"), ("/floatingips/nope", "FloatingIPNotFound"),
        ("/security-groups/nope", "SecurityGroupNotFound"),
        ("/security-group-rules/nope", "SecurityGroupRuleNotFound"), ("/extensions/nope", "ExtensionNotFound"),
        ("/nowhere", "HTTPNotFound"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_404_by_its_name(tmp_path: Path, path: str, kind: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        assert fault(await cloud.get(path, expect=404))[0] == kind

    play(tmp_path, story)


def test_the_wrong_method_says_which_are_right(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        answer = await cloud.ask("POST", f"/v2.0/networks/{network['id']}", {})
        assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, PUT")
        assert (await cloud.ask("DELETE", "/v2.0/networks")).status == 404

    play(tmp_path, story)


def test_without_a_token_nothing_but_the_version_is_told(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        answer = await cloud.ask("GET", "/v2.0/networks", as_="")
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith('Keystone uri="')
        assert answer.json() == {
            "error": {
                "code": 401,
                "title": "Unauthorized",
                "message": "The request you have made requires authentication.",
            }
        }
        versions = (await cloud.ask("GET", "/", as_="")).json()["versions"]
        assert [(version["id"], version["status"]) for version in versions] == [("v2.0", "CURRENT")]

    play(tmp_path, story)


# -- provider ------------------------------------------------------------------------------------------------------
def test_only_an_administrator_names_segments(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        body = {"network": {"name": "x", "provider:network_type": "vxlan"}}
        assert fault(await cloud.post("/networks", body, expect=403)) == (
            "PolicyNotAuthorized",
            "(rule:create_network and rule:create_network:provider:network_type) is disallowed by policy",
        )
        flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
        network = await cloud.network(as_="admin@ops", **flat)
        assert network["provider:segmentation_id"] is None
        assert network["mtu"] == 1500
        kind, _ = fault(await cloud.post("/networks", {"network": flat}, as_="admin@ops", expect=409))
        assert kind == "FlatNetworkInUse"
        numbered = {"provider:network_type": "vxlan", "provider:segmentation_id": 77}
        await cloud.network(as_="admin@ops", **numbered)
        kind, _ = fault(await cloud.post("/networks", {"network": numbered}, as_="admin@ops", expect=409))
        assert kind == "TunnelIdInUse"
        body = {"network": {"provider:segmentation_id": 78}}
        kind, _ = fault(await cloud.put(f"/networks/{network['id']}", body, as_="admin@ops", expect=400))
        assert kind == "InvalidInput"

    play(tmp_path, story)


def test_tenant_networks_never_share_a_segment(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.post("/networks", {"networks": [{"name": str(n)} for n in range(50)]})
        found = (await cloud.get("/networks", as_="admin@ops"))["networks"]
        assert len({network["provider:segmentation_id"] for network in found}) == 50

    play(tmp_path, story)


def test_an_mtu_that_a_subnet_could_not_live_with_is_refused(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network(mtu=1200)
        body = {"subnet": {"network_id": network["id"], "cidr": "2001:db8::/64", "ip_version": 6}}
        assert fault(await cloud.post("/subnets", body, expect=409))[0] == "NetworkMTUSubnetConflict"
        changed = await cloud.put(f"/networks/{network['id']}", {"network": {"mtu": "1280"}})
        assert changed["network"]["mtu"] == 1280

    play(tmp_path, story)


# -- quotas --------------------------------------------------------------------------------------------------------
def test_a_quota_holds_and_is_409(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.post("/networks", {"networks": [{}, {}]})
        found = await cloud.post("/networks", {"networks": [{}, {}]}, expect=409)
        assert fault(found) == ("OverQuota", "Quota exceeded for resources: ['network'].")
        network = await cloud.network()
        await cloud.delete(f"/networks/{network['id']}")
        await cloud.network()

    play(tmp_path, story, NetworkSettings(quotas={**DEFAULTS, "network": 3}))


def test_quotas_are_shown_changed_and_given_back(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        path = f"/quotas/{project('red')}"
        assert (await cloud.get(path))["quota"] == dict(DEFAULTS)
        network = await cloud.network()
        await cloud.port(network)
        await cloud.put(path, {"quota": {"port": 0}}, expect=403)
        found = await cloud.put(path, {"quota": {"port": 0}}, as_="admin@ops", expect=400)
        assert "must be greater than or equal to already used 1" in fault(found)[1]
        changed = await cloud.put(path, {"quota": {"port": 0, "force": True}}, as_="admin@ops")
        assert changed["quota"] == {**DEFAULTS, "port": 0}
        assert (await cloud.get(f"{path}/default"))["quota"] == dict(DEFAULTS)
        details = (await cloud.get(f"{path}/details.json"))["quota"]
        assert details["port"] == {"limit": 0, "used": 1, "reserved": 0}
        await cloud.port(network, expect=409)
        everybody = (await cloud.get("/quotas", as_="admin@ops"))["quotas"]
        assert [line["project_id"] for line in everybody] == [project("red")]
        await cloud.delete(path, as_="admin@ops")
        assert (await cloud.get(path))["quota"] == dict(DEFAULTS)
        await cloud.delete(path, as_="admin@ops", expect=404)
        await cloud.put(path, {"quota": {"ports": 1}}, as_="admin@ops", expect=400)
        await cloud.get(f"/quotas/{project('blue')}", expect=403)

    play(tmp_path, story)


def test_racing_requests_do_not_beat_a_quota(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        asked = [cloud.ask("POST", "/v2.0/networks", {"network": {}}) for _ in range(20)]
        statuses = [answer.status for answer in await asyncio.gather(*asked)]
        assert (statuses.count(201), statuses.count(409)) == (3, 17)

    play(tmp_path, story, NetworkSettings(quotas={**DEFAULTS, "network": 3}))


# -- extensions, zones, tags ---------------------------------------------------------------------------------------
def test_every_extension_can_be_shown_as_listed(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        listed = (await cloud.get("/extensions"))["extensions"]
        assert {"router", "security-group", "external-net", "binding", "quotas", "pagination"} <= {
            extension["alias"] for extension in listed
        }
        for extension in listed:
            shown = (await cloud.get(f"/extensions/{extension['alias']}"))["extension"]
            assert shown == extension
            assert set(shown) == {"name", "alias", "description", "updated", "links"}

    play(tmp_path, story)


def test_the_zones_are_one_for_networks_and_one_for_routers(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        zones = (await cloud.get("/availability_zones"))["availability_zones"]
        assert [(zone["name"], zone["resource"], zone["state"]) for zone in zones] == [
            ("nova", "network", "available"), ("nova", "router", "available"),
        ]  # fmt: skip
        only = (await cloud.get("/availability_zones?resource=router"))["availability_zones"]
        assert [zone["resource"] for zone in only] == ["router"]
        network = await cloud.network(availability_zone_hints=["nova"])
        assert network["availability_zone_hints"] == ["nova"]

    play(tmp_path, story)


def test_tags_come_and_go_one_by_one_and_together(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network(tags=["b", "a", "a"])
        assert network["tags"] == ["a", "b"]
        path = f"/networks/{network['id']}/tags"
        await cloud.put(f"{path}/c", None, expect=201)
        await cloud.put(f"{path}/c", None, expect=201)
        assert (await cloud.get(path))["tags"] == ["a", "b", "c"]
        await cloud.delete(f"{path}/a")
        assert fault(await cloud.delete(f"{path}/a", expect=404))[0] == "TagNotFound"
        assert await cloud.get(f"{path}/b", expect=204) is None
        await cloud.post(path, {"tags": ["z"]}, expect=200)
        assert (await cloud.put(path, {"tags": ["q", "r"]}))["tags"] == ["q", "r"]
        await cloud.delete(path)
        assert (await cloud.get(f"/networks/{network['id']}"))["network"]["tags"] == []
        await cloud.put(path, {"tags": [str(n) for n in range(51)]}, expect=400)
        await cloud.get(path, as_="member@blue", expect=404)
        await cloud.put(f"{path}/x", None, as_="reader@red", expect=403)

    play(tmp_path, story)
