"""Keypairs, server groups, quotas and limits over HTTP."""

from typing import Any

import pytest

from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import ALICE, MALLORY, ROOT, Cloud

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDgrdM5qGkXW+7zZ9g1bqQe0xSOqfvH3n6mQ2mGd7kQk ref"


# -- keypairs ---------------------------------------------------------------------------------------------------------
async def add_key(cloud: Cloud, name: str = "k", version: str = "2.1", **facts: Any) -> Any:
    return await cloud.ask("POST", "/os-keypairs", {"keypair": {"name": name, "public_key": KEY, **facts}},
                           version=version)  # fmt: skip


@pytest.mark.parametrize(("version", "made", "gone"), [("2.1", 200, 202), ("2.2", 201, 204), ("2.104", 201, 204)])
def test_a_keypair_comes_and_goes(talk: Talk, version: str, made: int, gone: int) -> None:
    async def work(cloud: Cloud) -> None:
        answer = await add_key(cloud, version=version)
        assert answer.status == made
        assert ("type" in answer.json()["keypair"]) == (version != "2.1")
        assert "private_key" not in answer.json()["keypair"]
        assert (await add_key(cloud, version=version)).status == 409
        assert (await cloud.get("/os-keypairs", version=version))["keypairs"][0]["keypair"]["name"] == "k"
        assert (await cloud.ask("DELETE", "/os-keypairs/k", version=version)).status == gone
        assert (await cloud.ask("GET", "/os-keypairs/k", version=version)).status == 404
        assert (await cloud.ask("DELETE", "/os-keypairs/k", version=version)).status == 404

    talk(work)


@pytest.mark.parametrize("key_type", ["ssh", "x509"])
def test_a_pair_is_made_before_2_92_and_its_private_half_is_kept_nowhere(talk: Talk, key_type: str) -> None:
    async def work(cloud: Cloud) -> None:
        body = {"keypair": {"name": "k", "type": key_type}}
        made = (await cloud.ask("POST", "/os-keypairs", body, version="2.91")).json()["keypair"]
        assert "PRIVATE KEY" in made["private_key"]
        shown = (await cloud.get("/os-keypairs/k", version="2.91"))["keypair"]
        assert (shown["public_key"], shown["type"]) == (made["public_key"], key_type)
        assert "private_key" not in shown
        assert (await cloud.ask("POST", "/os-keypairs", body, version="2.92")).status == 400

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "status"),
    [
        ("2.1", {"name": "a@b"}, 400),
        ("2.91", {"name": "a.b"}, 400),
        ("2.92", {"name": "a@b.c"}, 201),
        ("2.92", {"name": "a/b"}, 400),
        ("2.1", {"name": ""}, 400),
        ("2.1", {"name": "x" * 256}, 400),
        ("2.1", {"public_key": "ssh-rsa AAAA"}, 400),
        ("2.1", {"public_key": "nonsense"}, 400),
        ("2.1", {"type": "ssh"}, 400),
        ("2.2", {"type": "dsa"}, 400),
        ("2.9", {"user_id": "u-alice"}, 400),
        ("2.10", {"user_id": "u-alice"}, 201),
        ("2.10", {"user_id": "u-admin"}, 403),
    ],
)
def test_what_a_keypair_can_be(talk: Talk, version: str, facts: dict[str, Any], status: int) -> None:
    async def work(cloud: Cloud) -> Any:
        return await add_key(cloud, version=version, **{"name": "k", **facts})

    found = talk(work)
    assert found.status == status, found.body


def test_keypairs_belong_to_users_and_administrators_reach_all(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await add_key(cloud)
        assert (await cloud.ask("GET", "/os-keypairs/k", token="mallory")).status == 404
        other = "/os-keypairs/k?user_id=u-alice"
        assert (await cloud.ask("GET", other, version="2.10", token="mallory")).status == 403
        assert (await cloud.get(other, version="2.10", token="admin"))["keypair"]["user_id"] == "u-alice"
        assert (await cloud.ask("GET", other, version="2.9", token="admin")).status == 404
        assert (await cloud.ask("DELETE", other, version="2.10", token="admin")).status == 204

    talk(work)


def test_keypairs_come_in_pages_from_2_35(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        for name in ("b", "c", "a"):
            await add_key(cloud, name)
        seen: list[str] = []
        query = "?limit=2"
        while query:
            found = await cloud.get(f"/os-keypairs{query}", version="2.35")
            seen += [one["keypair"]["name"] for one in found["keypairs"]]
            query = "?" + found["keypairs_links"][0]["href"].rpartition("?")[2] if "keypairs_links" in found else ""
        assert seen == ["a", "b", "c"]
        assert (await cloud.ask("GET", "/os-keypairs?marker=x", version="2.35")).status == 400
        assert len((await cloud.get("/os-keypairs?marker=x", version="2.34"))["keypairs"]) == 3

    talk(work)


def test_keypairs_have_a_quota(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.ask("PUT", f"/os-quota-sets/{ALICE}", {"quota_set": {"key_pairs": 1}}, token="admin")
        await add_key(cloud)
        for facts in ({}, {"public_key": KEY}):
            body = {"keypair": {"name": "k2", **facts}}
            refused = await cloud.ask("POST", "/os-keypairs", body)
            assert (refused.status, refused.json()["forbidden"]["message"]) == (
                403, "Quota exceeded, too many key pairs.",
            )  # fmt: skip

    talk(work)


# -- server groups ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("version", "body", "expected"),
    [
        ("2.1", {"policies": ["affinity"]}, {"id", "name", "policies", "metadata", "members"}),
        ("2.13", {"policies": ["affinity"]},
         {"id", "name", "policies", "metadata", "members", "project_id", "user_id"}),
        ("2.15", {"policies": ["soft-affinity"]},
         {"id", "name", "policies", "metadata", "members", "project_id", "user_id"}),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": "3"}},
         {"id", "name", "policy", "rules", "members", "project_id", "user_id"}),
    ],
)  # fmt: skip
def test_a_server_group_has_the_shape_of_its_version(
    talk: Talk, version: str, body: dict[str, Any], expected: set[str]
) -> None:
    async def work(cloud: Cloud) -> None:
        made = await cloud.ask("POST", "/os-server-groups", {"server_group": {"name": "g", **body}}, version=version)
        assert made.status == 200, made.body
        group = made.json()["server_group"]
        assert set(group) == expected
        assert group.get("rules", {}) == ({"max_server_per_host": 3} if version == "2.64" else {})
        member = await cloud.server(1, server_group_id=group["id"])
        path = f"/os-server-groups/{group['id']}"
        assert (await cloud.get(path, version=version))["server_group"] == group | {"members": [member.id]}
        assert (await cloud.get("/os-server-groups", version=version))["server_groups"] == [
            group | {"members": [member.id]}
        ]
        for token in ("mallory",):
            assert (await cloud.ask("GET", path, version=version, token=token)).status == 404
            assert (await cloud.ask("DELETE", path, version=version, token=token)).status == 404
        assert (await cloud.ask("DELETE", path, version=version)).status == 204
        assert (await cloud.ask("DELETE", path, version=version)).status == 404

    talk(work)


@pytest.mark.parametrize(
    ("version", "body", "status"),
    [
        ("2.14", {"policies": ["soft-affinity"]}, 400),
        ("2.1", {"policies": []}, 400),
        ("2.1", {"policies": ["affinity", "anti-affinity"]}, 400),
        ("2.1", {"policy": "affinity"}, 400),
        ("2.64", {"policies": ["affinity"]}, 400),
        ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 2}}, 400),
        ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}, 400),
        ("2.64", {"policy": "anti-affinity", "rules": {"min": 1}}, 400),
        ("2.64", {"policy": "anti-affinity", "rules": {}}, 200),
    ],
)
def test_what_a_server_group_can_be(talk: Talk, version: str, body: dict[str, Any], status: int) -> None:
    async def work(cloud: Cloud) -> Any:
        return await cloud.ask("POST", "/os-server-groups", {"server_group": {"name": "g", **body}}, version=version)

    found = talk(work)
    assert found.status == status, found.body


@pytest.mark.parametrize("offset", ["-1", "x", "9" * 30])
def test_an_offset_is_a_number_of_moderate_size(talk: Talk, offset: str) -> None:
    async def work(cloud: Cloud) -> int:
        return (await cloud.ask("GET", f"/os-server-groups?offset={offset}")).status

    assert talk(work) == 400


def test_server_groups_are_counted_paged_and_shown_to_administrators(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.ask("PUT", f"/os-quota-sets/{ALICE}", {"quota_set": {"server_groups": 2}}, token="admin")
        body = {"server_group": {"name": "g", "policies": ["affinity"]}}
        statuses = [(await cloud.ask("POST", "/os-server-groups", body)).status for _ in range(3)]
        assert statuses == [200, 200, 403]
        assert len((await cloud.get("/os-server-groups?limit=1&offset=1"))["server_groups"]) == 1
        assert (await cloud.get("/os-server-groups", token="admin"))["server_groups"] == []
        assert len((await cloud.get("/os-server-groups?all_projects=1", token="admin"))["server_groups"]) == 2
        assert (await cloud.get("/os-server-groups?all_projects=1", token="mallory"))["server_groups"] == []

    talk(work)


# -- quotas -----------------------------------------------------------------------------------------------------------
ALWAYS = {"cores", "instances", "key_pairs", "metadata_items", "ram"}
GROUPS = {"server_groups", "server_group_members"}
NETWORK = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}


@pytest.mark.parametrize(
    ("version", "of_project", "of_class"),
    [
        ("2.1", ALWAYS | GROUPS | NETWORK | FILES, ALWAYS | NETWORK | FILES),
        ("2.35", ALWAYS | GROUPS | NETWORK | FILES, ALWAYS | NETWORK | FILES),
        ("2.36", ALWAYS | GROUPS | FILES, ALWAYS | NETWORK | FILES),
        ("2.50", ALWAYS | GROUPS | FILES, ALWAYS | GROUPS | FILES),
        ("2.57", ALWAYS | GROUPS, ALWAYS | GROUPS),
    ],
)
def test_quotas_name_what_their_version_knows(
    talk: Talk, version: str, of_project: set[str], of_class: set[str]
) -> None:
    async def work(cloud: Cloud) -> None:
        for path in ("", "/defaults", "/detail"):
            found = (await cloud.get(f"/os-quota-sets/{ALICE}{path}", version=version))["quota_set"]
            assert set(found) == of_project | {"id"}
        found = (await cloud.get("/os-quota-class-sets/default", version=version, token="admin"))["quota_class_set"]
        assert set(found) == of_class | {"id"}

    talk(work)


def test_quotas_are_set_and_forgotten(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        path = f"/os-quota-sets/{ALICE}"
        changed = await cloud.ask("PUT", path, {"quota_set": {"cores": "7", "ram": -1}}, token="admin")
        assert (changed.status, changed.json()["quota_set"]["cores"]) == (200, 7)
        assert "id" not in changed.json()["quota_set"]
        assert (await cloud.get(path))["quota_set"]["cores"] == 7
        assert (await cloud.get("/limits"))["limits"]["absolute"]["maxTotalRAMSize"] == -1
        assert (await cloud.get(f"/os-quota-sets/{MALLORY}", token="mallory"))["quota_set"]["cores"] == 20
        assert (await cloud.ask("DELETE", path, token="admin")).status == 202
        assert (await cloud.get(path))["quota_set"]["cores"] == 20

    talk(work)


def test_the_default_class_is_for_all_who_have_no_limits_of_their_own(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.ask("PUT", f"/os-quota-sets/{ALICE}", {"quota_set": {"cores": 7}}, token="admin")
        path = "/os-quota-class-sets/default"
        changed = await cloud.ask("PUT", path, {"quota_class_set": {"cores": 5}}, token="admin")
        assert (changed.status, changed.json()["quota_class_set"]["cores"]) == (200, 5)
        assert (await cloud.get(f"/os-quota-sets/{ALICE}"))["quota_set"]["cores"] == 7
        assert (await cloud.get(f"/os-quota-sets/{MALLORY}", token="mallory"))["quota_set"]["cores"] == 5
        assert (await cloud.get(f"/os-quota-sets/{ALICE}/defaults"))["quota_set"]["cores"] == 5
        other = await cloud.get("/os-quota-class-sets/gold", token="admin")
        assert other["quota_class_set"]["cores"] == 20

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "status"),
    [
        ("2.1", {"cores": -2}, 400),
        ("2.1", {"cores": "many"}, 400),
        ("2.1", {"widgets": 1}, 400),
        ("2.36", {"floating_ips": 1}, 400),
        ("2.57", {"injected_files": 1}, 400),
        ("2.1", {"instances": 1}, 400),  # two are there
        ("2.1", {"instances": 1, "force": True}, 200),
        ("2.1", {}, 200),
    ],
)
def test_what_a_quota_can_be(talk: Talk, version: str, facts: dict[str, Any], status: int) -> None:
    async def work(cloud: Cloud) -> Any:
        await cloud.server(1)
        await cloud.server(2)
        body = {"quota_set": facts}
        return await cloud.ask("PUT", f"/os-quota-sets/{ALICE}", body, version=version, token="admin")

    found = talk(work)
    assert found.status == status, found.body


def test_other_projects_quotas_and_limits_are_for_administrators(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        for path in (f"/os-quota-sets/{ROOT}", f"/os-quota-sets/{ROOT}/detail", f"/limits?tenant_id={ROOT}"):
            assert (await cloud.ask("GET", path)).status == 403
        await cloud.server(1)
        assert (await cloud.get(f"/os-quota-sets/{ROOT}/defaults"))["quota_set"]["cores"] == 20
        used = (await cloud.get(f"/os-quota-sets/{ALICE}/detail", token="admin"))["quota_set"]
        assert (used["cores"]["in_use"], used["ram"]["in_use"], used["instances"]["in_use"]) == (1, 64, 1)
        limits = (await cloud.get(f"/limits?tenant_id={ALICE}", token="admin"))["limits"]["absolute"]
        assert (limits["totalCoresUsed"], limits["totalInstancesUsed"]) == (1, 1)

    talk(work)


@pytest.mark.parametrize(
    ("version", "gone"),
    [
        ("2.36", {"maxTotalFloatingIps", "maxSecurityGroups", "maxSecurityGroupRules", "totalFloatingIpsUsed",
                  "totalSecurityGroupsUsed"}),
        ("2.39", {"maxImageMeta"}),
        ("2.57", {"maxPersonality", "maxPersonalitySize"}),
    ],
)  # fmt: skip
def test_limits_lose_names(talk: Talk, version: str, gone: set[str]) -> None:
    async def work(cloud: Cloud) -> None:
        before = f"2.{int(version[2:]) - 1}"
        earlier = set((await cloud.get("/limits", version=before))["limits"]["absolute"])
        later = set((await cloud.get("/limits", version=version))["limits"]["absolute"])
        assert earlier - later == gone
        assert not later - earlier

    talk(work)
