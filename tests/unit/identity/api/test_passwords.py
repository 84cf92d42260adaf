"""Changing passwords, and the rules that an operator may set for them."""

from pathlib import Path

from pileus.identity.app.settings import Settings
from pileus.identity.domain.password_rules import PasswordRules
from tests.unit.identity.cloud import Cloud, with_cloud


async def change(cloud: Cloud, user_id: str, original: str, password: str) -> int:
    body = {"user": {"original_password": original, "password": password}}
    return (await cloud.ask("POST", f"/v3/users/{user_id}/password", body, token="")).status


def test_the_current_password_is_the_proof(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="one")
        assert await change(cloud, user["id"], "wrong", "two") == 401
        assert await change(cloud, "no-such-user", "one", "two") == 401
        assert await change(cloud, user["id"], "one", "two") == 204
        assert (await cloud.log_in("ann", "one")).status == 401
        assert (await cloud.log_in("ann", "two")).status == 201

    with_cloud(tmp_path, scenario)


def test_the_last_two_passwords_are_refused_but_not_to_an_administrator(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="one")
        id = user["id"]
        assert await change(cloud, id, "one", "one") == 400
        assert await change(cloud, id, "one", "two") == 204
        assert await change(cloud, id, "two", "one") == 400
        assert await change(cloud, id, "two", "three") == 204
        assert await change(cloud, id, "three", "one") == 204
        answer = await cloud.ask("PATCH", f"/v3/users/{id}", {"user": {"password": "one"}})
        assert answer.status == 200

    with_cloud(tmp_path, scenario, Settings(passwords=PasswordRules(unique_count=2)))


def test_history_is_off_unless_it_is_set(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="one")
        assert await change(cloud, user["id"], "one", "one") == 204

    with_cloud(tmp_path, scenario)


def test_a_locked_password_is_the_administrators_to_change(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="one", options={"lock_password": True})
        assert await change(cloud, user["id"], "one", "two") == 400
        path = f"/v3/users/{user['id']}"
        assert (await cloud.ask("PATCH", path, {"user": {"password": "two"}})).status == 200
        assert (await cloud.log_in("ann", "two")).status == 201

    with_cloud(tmp_path, scenario)


def test_a_pattern_holds_for_everybody(tmp_path: Path) -> None:
    rules = PasswordRules(pattern=r"^.{8,}$", pattern_description="8 characters or more")

    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.ask("POST", "/v3/users", {"user": {"name": "ann", "password": "short"}})
        assert answer.status == 400
        assert "8 characters or more" in answer.json()["error"]["message"]
        user = await cloud.make("user", name="ann", password="long enough")
        assert await change(cloud, user["id"], "long enough", "short") == 400
        answer = await cloud.ask("PATCH", f"/v3/users/{user['id']}", {"user": {"password": "short"}})
        assert answer.status == 400

    with_cloud(tmp_path, scenario, Settings(passwords=rules))


def test_several_factors_are_refused_because_they_would_not_be_enforced(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        for options in ({"multi_factor_auth_enabled": True}, {"multi_factor_auth_rules": [["password", "totp"]]}):
            answer = await cloud.ask("POST", "/v3/users", {"user": {"name": "ann", "options": options}})
            assert answer.status == 400

    with_cloud(tmp_path, scenario)
