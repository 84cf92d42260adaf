"""Application credentials: their roles in their project, and no road to more (OSSA-2026-005, OSSA-2020-004, -005)."""

from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.http.client import Answer
from pileus.identity.domain import moments
from tests.unit.identity.cloud import Cloud, with_cloud


async def make(cloud: Cloud, user: Any, token: str, **facts: Any) -> Any:
    path = f"/v3/users/{user['id']}/application_credentials"
    answer = await cloud.ask("POST", path, {"application_credential": {"name": "ci"} | facts}, token=token)
    assert answer.status == 201, answer.body
    return answer.json()["application_credential"]


async def log_in(cloud: Cloud, made: Any, scope: Any = None, secret: str = "") -> Answer:
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": secret or made["secret"]},
    }
    auth = {"identity": identity} | ({"scope": scope} if scope else {})
    return await cloud.ask("POST", "/v3/auth/tokens", {"auth": auth}, token="")


def test_a_credential_logs_in_to_its_project_with_its_roles(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann", role="manager")
        made = await make(cloud, user, token, roles=[{"name": "reader"}])
        assert made["project_id"] == project["id"]
        assert [each["name"] for each in made["roles"]] == ["reader"]
        answer = await log_in(cloud, made)
        body = answer.json()["token"]
        assert body["methods"] == ["application_credential"]
        assert [each["name"] for each in body["roles"]] == ["reader"]
        assert body["application_credential"] == {"id": made["id"], "name": "ci", "restricted": True}
        by_name = {"name": "ci", "user": {"name": "ann", "domain": {"id": "default"}}, "secret": made["secret"]}
        auth = {"identity": {"methods": ["application_credential"], "application_credential": by_name}}
        assert (await cloud.ask("POST", "/v3/auth/tokens", {"auth": auth}, token="")).status == 201
        assert (await log_in(cloud, made, secret="wrong")).status == 401

    with_cloud(tmp_path, scenario)


def test_the_secret_is_shown_once_and_stored_nowhere(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, user, token = await cloud.member("ann")
        made = await make(cloud, user, token)
        own = await make(cloud, user, token, name="mine", secret="chosen by a person")
        assert own["secret"] == "chosen by a person"
        shown = await cloud.get(f"/v3/users/{user['id']}/application_credentials/{made['id']}", token)
        assert "secret" not in shown["application_credential"]
        await cloud.identity.database.durable()
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert made["secret"].encode() not in stored
        assert b"chosen by a person" not in stored
        assert (await log_in(cloud, own)).status == 201

    with_cloud(tmp_path, scenario)


def test_it_cannot_reach_another_scope_not_even_by_exchange(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        other = await cloud.make("project", name="other")
        await cloud.grant(user["id"], other["id"], "manager")
        made = await make(cloud, user, token)
        elsewhere = {"project": {"id": other["id"]}}
        assert (await log_in(cloud, made, elsewhere)).status == 401
        text = (await log_in(cloud, made)).headers["x-subject-token"]
        identity = {"methods": ["token"], "token": {"id": text}}
        for scope, status in ((elsewhere, 401), ("unscoped", 401), ({"project": {"id": project["id"]}}, 201)):
            answer = await cloud.ask(
                "POST", "/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}}, token=""
            )
            assert answer.status == status
        body = answer.json()["token"]
        assert body["application_credential"]["id"] == made["id"], "the derived token stays bound"

    with_cloud(tmp_path, scenario)


def test_a_restricted_one_makes_and_deletes_no_credentials(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, user, token = await cloud.member("ann")
        restricted = await make(cloud, user, token)
        free = await make(cloud, user, token, name="free", unrestricted=True)
        path = f"/v3/users/{user['id']}/application_credentials"
        for made, create, delete in ((restricted, 403, 403), (free, 201, 204)):
            text = (await log_in(cloud, made)).headers["x-subject-token"]
            body = {"application_credential": {"name": "next"}}
            assert (await cloud.ask("POST", path, body, token=text)).status == create
            assert (await cloud.ask("DELETE", f"{path}/{restricted['id']}", token=text)).status == delete

    with_cloud(tmp_path, scenario)


def test_a_derived_credential_has_no_more_roles_than_its_parent(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, user, token = await cloud.member("ann", role="manager")
        parent = await make(cloud, user, token, unrestricted=True, roles=[{"name": "reader"}])
        text = (await log_in(cloud, parent)).headers["x-subject-token"]
        path = f"/v3/users/{user['id']}/application_credentials"
        wish = {"application_credential": {"name": "more", "roles": [{"id": await cloud.role_id("manager")}]}}
        assert (await cloud.ask("POST", path, wish, token=text)).status == 400
        child = await make(cloud, user, text, name="child")
        assert [each["name"] for each in child["roles"]] == ["reader"]

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize("deed", ["delete it", "take the role", "let it end", "disable the user"])
def test_its_tokens_end_with_it(tmp_path: Path, deed: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        ends = moments.as_bare_text(cloud.clock.now() + 60_000_000)
        made = await make(cloud, user, token, expires_at=ends)
        assert made["expires_at"] == ends
        text = (await log_in(cloud, made)).headers["x-subject-token"]
        assert (await cloud.validate(text)).status == 200
        if deed == "delete it":
            path = f"/v3/users/{user['id']}/application_credentials/{made['id']}"
            assert (await cloud.ask("DELETE", path, token=token)).status == 204
        elif deed == "take the role":
            role = await cloud.role_id("member")
            await cloud.ask("DELETE", f"/v3/projects/{project['id']}/users/{user['id']}/roles/{role}")
        elif deed == "let it end":
            cloud.clock.pass_time(60)
        else:
            await cloud.ask("PATCH", f"/v3/users/{user['id']}", {"user": {"enabled": False}})
        assert (await cloud.validate(text)).status == 404
        assert (await log_in(cloud, made)).status == 401

    with_cloud(tmp_path, scenario)


def test_nobody_makes_or_sees_one_of_another(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, ann, token = await cloud.member("ann")
        _, bob, other = await cloud.member("bob")
        made = await make(cloud, ann, token)
        body = {"application_credential": {"name": "x"}}
        for asker in (other, cloud.admin):
            path = f"/v3/users/{ann['id']}/application_credentials"
            assert (await cloud.ask("POST", path, body, token=asker)).status == 403
        foreign_child = f"/v3/users/{bob['id']}/application_credentials/{made['id']}"
        assert (await cloud.ask("GET", foreign_child, token=other)).status == 404
        assert (await cloud.ask("DELETE", foreign_child, token=other)).status == 404

    with_cloud(tmp_path, scenario)


def test_one_with_access_rules_is_only_good_where_they_are_enforced(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, user, token = await cloud.member("ann")
        rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
        made = await make(cloud, user, token, access_rules=[rule])
        text = (await log_in(cloud, made)).headers["x-subject-token"]
        assert (await cloud.validate(text)).status == 404
        assert (await cloud.validate(text, openstack_identity_access_rules="1")).status == 200
        assert (await cloud.ask("GET", "/v3/auth/projects", token=text)).status == 401
        rules = (await cloud.get(f"/v3/users/{user['id']}/access_rules", token))["access_rules"]
        path = f"/v3/users/{user['id']}/access_rules/{rules[0]['id']}"
        assert (await cloud.ask("DELETE", path, token=token)).status == 403
        await cloud.ask("DELETE", f"/v3/users/{user['id']}/application_credentials/{made['id']}", token=token)
        assert (await cloud.ask("DELETE", path, token=token)).status == 204

    with_cloud(tmp_path, scenario)
