"""Credentials for other doors: sealed at rest, seen by their owner, bound to what they were made with."""

from pathlib import Path
from typing import Any

import pytest

from tests.databases import everything_at
from tests.unit.identity.cloud import Cloud, with_cloud


def ec2(access: str, **more: Any) -> str:
    import json

    return json.dumps({"access": access, "secret": "s", **more})


async def keep(cloud: Cloud, token: str, **facts: Any) -> Any:
    answer = await cloud.ask("POST", "/v3/credentials", {"credential": facts}, token=token)
    assert answer.status == 201, answer.body
    return answer.json()["credential"]


def test_a_credential_is_kept_shown_changed_and_deleted(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, user, token = await cloud.member("ann")
        made = await keep(cloud, token, type="cert", blob="-----BEGIN", user_id=user["id"], note="mine")
        path = f"/v3/credentials/{made['id']}"
        assert made["project_id"] is None and made["note"] == "mine"
        assert (await cloud.get(path, token))["credential"] == made
        answer = await cloud.ask("PATCH", path, {"credential": {"blob": "other"}}, token=token)
        assert answer.json()["credential"] == made | {"blob": "other"}
        for fixed in ({"user_id": "x"}, {"project_id": "x"}, {"type": "ec2"}):
            assert (await cloud.ask("PATCH", path, {"credential": fixed}, token=token)).status == 400
        assert (await cloud.ask("DELETE", path, token=token)).status == 204
        assert (await cloud.ask("GET", path)).status == 404

    with_cloud(tmp_path, scenario)


def test_everybody_sees_only_what_is_theirs(tmp_path: Path) -> None:
    """OSSA-2019-006: any user could list all credentials."""

    async def scenario(cloud: Cloud) -> None:
        _, ann, token = await cloud.member("ann")
        _, bob, other = await cloud.member("bob")
        made = await keep(cloud, token, type="cert", blob="secret of ann", user_id=ann["id"])
        path = f"/v3/credentials/{made['id']}"
        for query in ("", "?type=cert", f"?user_id={ann['id']}"):
            assert (await cloud.get(f"/v3/credentials{query}", other))["credentials"] == []
            assert len((await cloud.get(f"/v3/credentials{query}", token))["credentials"]) == 1
            assert len((await cloud.get(f"/v3/credentials{query}"))["credentials"]) == 1
        assert (await cloud.get(f"/v3/credentials?user_id={bob['id']}", token))["credentials"] == []
        for method, body in (("GET", None), ("PATCH", {"credential": {"blob": "x"}}), ("DELETE", None)):
            assert (await cloud.ask(method, path, body, token=other)).status == 403
        theirs = {"credential": {"type": "cert", "blob": "x", "user_id": ann["id"]}}
        assert (await cloud.ask("POST", "/v3/credentials", theirs, token=other)).status == 403

    with_cloud(tmp_path, scenario)


def test_what_is_kept_is_not_in_the_files(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, user, token = await cloud.member("ann")
        await keep(cloud, token, type="cert", blob="unmistakable blob", user_id=user["id"])
        await cloud.identity.database.durable()
        stored = everything_at(tmp_path / "identity.sqlite")
        assert user["id"].encode() in stored
        assert b"unmistakable" not in stored

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"blob": "no json"}, 400),
        ({"blob": '{"access": "", "secret": "s"}'}, 400),
        ({"blob": "[]"}, 400),
        ({"project_id": None}, 400),
        ({"project_id": "nope"}, 400),
        ({}, 201),
    ],
)
def test_an_ec2_credential_needs_a_key_and_a_project(tmp_path: Path, facts: Any, status: int) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        good = {"type": "ec2", "blob": ec2("a1"), "user_id": user["id"], "project_id": project["id"]}
        body = {"credential": good | facts}
        answer = await cloud.ask("POST", "/v3/credentials", body, token=token)
        assert answer.status == status, answer.body
        if status == 201:
            assert (await cloud.ask("POST", "/v3/credentials", body, token=token)).status == 409
            path = f"/v3/credentials/{answer.json()['credential']['id']}"
            for blob, expected in ((ec2("a2"), 200), (ec2("a1", trust_id="t"), 400), ("x", 400), (ec2("a1"), 200)):
                changed = await cloud.ask("PATCH", path, {"credential": {"blob": blob}}, token=token)
                assert changed.status == expected

    with_cloud(tmp_path, scenario)


def test_ec2_keys_the_older_way(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        _, bob, other = await cloud.member("bob")
        base = f"/v3/users/{user['id']}/credentials/OS-EC2"
        answer = await cloud.ask("POST", base, {"tenant_id": project["id"]}, token=token)
        assert answer.status == 201
        made = answer.json()["credential"]
        assert (made["user_id"], made["tenant_id"], made["trust_id"]) == (user["id"], project["id"], None)
        assert (await cloud.get(f"{base}/{made['access']}", token))["credential"] == made
        assert (await cloud.get(base, token))["credentials"] == [made]
        assert (await cloud.ask("GET", base, token=other)).status == 403
        foreign = f"/v3/users/{bob['id']}/credentials/OS-EC2/{made['access']}"
        for method in ("GET", "DELETE"):
            assert (await cloud.ask(method, foreign, token=other)).status == 404
        assert (await cloud.ask("POST", base, {"tenant_id": "nope"}, token=token)).status == 404
        assert (await cloud.ask("DELETE", f"{base}/{made['access']}", token=token)).status == 204
        assert (await cloud.ask("GET", f"{base}/{made['access']}", token=token)).status == 404

    with_cloud(tmp_path, scenario)


def test_what_an_application_credential_made_goes_no_further_and_ends_with_it(tmp_path: Path) -> None:
    """OSSA-2026-005: a restricted application credential could make EC2 credentials with full rights."""

    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        elsewhere = await cloud.make("project", name="elsewhere")
        await cloud.grant(user["id"], elsewhere["id"], "member")
        base = f"/v3/users/{user['id']}"
        for unrestricted in (False, True):
            wish = {"application_credential": {"name": f"ac{unrestricted}", "unrestricted": unrestricted}}
            parent = (await cloud.ask("POST", f"{base}/application_credentials", wish, token=token)).json()
            proof = {"id": parent["application_credential"]["id"], "secret": parent["application_credential"]["secret"]}
            auth = {"identity": {"methods": ["application_credential"], "application_credential": proof}}
            text = (await cloud.ask("POST", "/v3/auth/tokens", {"auth": auth}, token="")).headers["x-subject-token"]
            here, there = {"tenant_id": project["id"]}, {"tenant_id": elsewhere["id"]}
            status = 201 if unrestricted else 403
            assert (await cloud.ask("POST", f"{base}/credentials/OS-EC2", here, token=text)).status == status
            assert (await cloud.ask("POST", f"{base}/credentials/OS-EC2", there, token=text)).status in (403, 404)
            wider = {"type": "ec2", "blob": ec2("a"), "user_id": user["id"], "project_id": elsewhere["id"]}
            answer = await cloud.ask("POST", "/v3/credentials", {"credential": wider}, token=text)
            assert answer.status in (403, 404)
        assert len((await cloud.get(f"{base}/credentials/OS-EC2", token))["credentials"]) == 1
        path = f"{base}/application_credentials/{proof['id']}"
        assert (await cloud.ask("DELETE", path, token=token)).status == 204
        assert (await cloud.get(f"{base}/credentials/OS-EC2", token))["credentials"] == []

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize("kind", ["user", "project"])
def test_credentials_go_with_their_user_or_project(tmp_path: Path, kind: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        await keep(cloud, token, type="ec2", blob=ec2("a"), user_id=user["id"], project_id=project["id"])
        gone = user if kind == "user" else project
        assert (await cloud.ask("DELETE", f"/v3/{kind}s/{gone['id']}")).status == 204
        assert (await cloud.get("/v3/credentials"))["credentials"] == []

    with_cloud(tmp_path, scenario)
