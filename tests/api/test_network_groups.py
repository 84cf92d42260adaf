"""Security groups and their rules over the API."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pileus.network.app.service import NetworkSettings
from pileus.network.domain.quota import DEFAULTS
from tests.api.network_cloud import NetworkCloud, fault, play, project

GROUP_KEYS = {
    "id", "name", "stateful", "tenant_id", "project_id", "description", "shared", "security_group_rules", "tags",
    "created_at", "updated_at", "revision_number",
}  # fmt: skip
RULE_KEYS = {
    "id", "project_id", "security_group_id", "ethertype", "direction", "protocol", "port_range_min", "port_range_max",
    "remote_ip_prefix", "remote_address_group_id", "normalized_cidr", "remote_group_id", "belongs_to_default_sg",
    "description", "tags", "created_at", "updated_at", "revision_number", "tenant_id",
}  # fmt: skip


async def group(cloud: NetworkCloud, name: str = "g", *, as_: str = "member@red") -> Any:
    return (await cloud.post("/security-groups", {"security_group": {"name": name}}, as_=as_))["security_group"]


async def rule(cloud: NetworkCloud, made: Any, expect: int = 201, *, as_: str = "member@red", **fields: Any) -> Any:
    body = {"security_group_id": made["id"], "direction": "ingress", **fields}
    found = await cloud.post("/security-group-rules", {"security_group_rule": body}, as_=as_, expect=expect)
    return found.get("security_group_rule", found)


def test_a_project_has_its_default_group_when_it_first_looks(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        (found,) = (await cloud.get("/security-groups", as_="reader@red"))["security_groups"]
        assert (found["name"], found["description"]) == ("default", "Default security group")
        assert set(found) == GROUP_KEYS
        assert all(set(item) == RULE_KEYS for item in found["security_group_rules"])
        assert sorted((item["direction"], item["ethertype"]) for item in found["security_group_rules"]) == [
            ("egress", "IPv4"), ("egress", "IPv6"), ("ingress", "IPv4"), ("ingress", "IPv6"),
        ]  # fmt: skip
        again = (await cloud.get("/security-groups"))["security_groups"]
        assert [item["id"] for item in again] == [found["id"]]

    play(tmp_path, story)


def test_racing_looks_find_one_default_group(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        found = await asyncio.gather(*[cloud.get("/security-groups") for _ in range(10)])
        assert len({item["id"] for answer in found for item in answer["security_groups"]}) == 1

    play(tmp_path, story)


def test_the_default_group_keeps_its_name_and_stays(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        (default,) = (await cloud.get("/security-groups"))["security_groups"]
        path = f"/security-groups/{default['id']}"
        found = await cloud.put(path, {"security_group": {"name": "other"}}, expect=409)
        assert fault(found)[0] == "SecurityGroupCannotUpdateDefault"
        assert fault(await cloud.delete(path, expect=409))[0] == "SecurityGroupCannotRemoveDefault"
        changed = await cloud.put(path, {"security_group": {"description": "mine"}})
        assert changed["security_group"]["description"] == "mine"
        body = {"security_group": {"name": "default"}}
        assert fault(await cloud.post("/security-groups", body, expect=409))[0] == "SecurityGroupDefaultAlreadyExists"
        await cloud.delete(path, as_="admin@ops")
        (fresh,) = (await cloud.get("/security-groups"))["security_groups"]
        assert fresh["id"] != default["id"]

    play(tmp_path, story)


def test_a_group_is_made_changed_and_deleted(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await group(cloud)
        assert set(made) == GROUP_KEYS
        assert [item["direction"] for item in made["security_group_rules"]] == ["egress", "egress"]
        path = f"/security-groups/{made['id']}"
        body = {"security_group": {"name": "h", "description": "d"}}
        changed = (await cloud.put(path, body))["security_group"]
        assert (changed["name"], changed["description"], changed["revision_number"]) == ("h", "d", 2)
        assert len(changed["security_group_rules"]) == 2
        await cloud.put(path, {"security_group": {"name": "x"}}, if_match="revision_number=1", expect=412)
        await cloud.delete(path)
        await cloud.get(path, expect=404)

    play(tmp_path, story)


def test_rules_are_the_groups_and_change_it(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await group(cloud)
        fields = {"protocol": "tcp", "port_range_min": "22", "port_range_max": 22, "remote_ip_prefix": "0.0.0.0/0"}
        first = await rule(cloud, made, **fields)
        assert set(first) == RULE_KEYS
        assert (first["port_range_min"], first["normalized_cidr"]) == (22, "0.0.0.0/0")
        kind, text = fault(await rule(cloud, made, 409, **fields))
        assert (kind, first["id"] in text) == ("SecurityGroupRuleExists", True)
        assert (await rule(cloud, made, protocol=17))["protocol"] == "17"
        shown = (await cloud.get(f"/security-groups/{made['id']}"))["security_group"]
        assert (len(shown["security_group_rules"]), shown["revision_number"]) == (4, 3)
        listed = await cloud.get(f"/security-group-rules?security_group_id={made['id']}&direction=ingress")
        assert len(listed["security_group_rules"]) == 2
        assert (await cloud.get(f"/security-group-rules/{first['id']}"))["security_group_rule"] == first
        await cloud.delete(f"/security-group-rules/{first['id']}")
        await rule(cloud, made, **fields)

    play(tmp_path, story)


def test_a_group_that_others_speak_of_takes_their_rules_along(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two = await group(cloud, "one"), await group(cloud, "two")
        spoken = await rule(cloud, one, remote_group_id=two["id"])
        await cloud.delete(f"/security-groups/{two['id']}")
        await cloud.get(f"/security-group-rules/{spoken['id']}", expect=404)
        foreign = await group(cloud, as_="member@blue")
        for unknown in (foreign["id"], "bad_group_id"):
            assert fault(await rule(cloud, one, 404, remote_group_id=unknown))[0] == "SecurityGroupNotFound"

    play(tmp_path, story)


def test_rules_in_bulk_go_to_one_group_or_nowhere(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two = await group(cloud, "one"), await group(cloud, "two")

        def lines(*groups: Any, **fields: Any) -> dict[str, Any]:
            return {
                "security_group_rules": [
                    {"security_group_id": item["id"], "direction": "ingress", "protocol": protocol, **fields}
                    for item, protocol in zip(groups, ("tcp", "udp"), strict=True)
                ]
            }

        made = await cloud.post("/security-group-rules", lines(one, one))
        assert [item["protocol"] for item in made["security_group_rules"]] == ["tcp", "udp"]
        found = await cloud.post("/security-group-rules", lines(one, two), expect=400)
        assert fault(found)[0] == "SecurityGroupNotSingleGroupRules"
        same = lines(two, two)
        same["security_group_rules"][1]["protocol"] = "6"
        found = await cloud.post("/security-group-rules", same, expect=409)
        assert fault(found)[0] == "DuplicateSecurityGroupRuleInPost"
        left = await cloud.get(f"/security-group-rules?security_group_id={two['id']}")
        assert len(left["security_group_rules"]) == 2

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"direction": "sideways"}, "HTTPBadRequest"),
        ({"ethertype": "IPv5"}, "HTTPBadRequest"),
        ({"protocol": "nope"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 1.5}, "HTTPBadRequest"),
        ({"port_range_min": 1, "port_range_max": 2}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "tcp", "port_range_min": 5, "port_range_max": 70000}, "SecurityGroupInvalidPortValue"),
        ({"remote_ip_prefix": "x"}, "InvalidCIDR"),
        ({"remote_address_group_id": "00000000-0000-0000-0000-000000000000"}, "HTTPBadRequest"),
        ({"nope": 1}, "HTTPBadRequest"),
        ({"id": "x"}, "HTTPBadRequest"),
    ],
)
def test_rules_that_could_not_be_enforced_are_refused(tmp_path: Path, fields: dict[str, Any], kind: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        assert fault(await rule(cloud, await group(cloud), 400, **fields))[0] == kind

    play(tmp_path, story)


def test_a_stateless_group_is_refused_rather_than_ignored(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.post("/security-groups", {"security_group": {"name": "g", "stateful": False}}, expect=400)
        await cloud.post("/security-groups", {"security_group": {"name": "g", "stateful": True}})

    play(tmp_path, story)


def test_groups_and_rules_have_quotas_that_the_default_group_counts_for(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await group(cloud)
        assert fault(await cloud.post("/security-groups", {"security_group": {}}, expect=409))[0] == "OverQuota"
        await rule(cloud, made, protocol="tcp")
        assert fault(await rule(cloud, made, 409, protocol="udp"))[0] == "OverQuota"
        details = (await cloud.get(f"/quotas/{project('red')}/details.json"))["quota"]
        assert (details["security_group"]["used"], details["security_group_rule"]["used"]) == (2, 7)

    play(tmp_path, story, NetworkSettings(quotas={**DEFAULTS, "security_group": 2, "security_group_rule": 7}))


def test_names_with_underscores_are_the_same_collections(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        made = await group(cloud)
        assert (await cloud.get(f"/security_groups/{made['id']}"))["security_group"]["id"] == made["id"]
        assert len((await cloud.get("/security_group_rules"))["security_group_rules"]) == 6

    play(tmp_path, story)
