"""Logging in: what is accepted, and that every refusal looks the same."""

from pathlib import Path
from typing import Any

import pytest

from pileus.identity.app import passwords as app_passwords
from pileus.identity.app.settings import Settings
from pileus.identity.domain.password_rules import DAY, MICROSECONDS, PasswordRules
from pileus.identity.store import users
from tests.unit.identity.cloud import ADMIN_PASSWORD, Cloud, in_project, with_cloud

LOCKING = Settings(passwords=PasswordRules(lockout_attempts=2, lockout_seconds=5))
REFUSAL = {
    "error": {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}
}


def test_a_password_login_gives_a_token_for_the_project(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.log_in("admin", ADMIN_PASSWORD, in_project("admin"))
        assert answer.status == 201
        token = answer.json()["token"]
        assert token["methods"] == ["password"]
        assert token["project"]["name"] == "admin"
        assert token["is_domain"] is False
        assert {role["name"] for role in token["roles"]} == {"admin", "manager", "member", "reader"}
        assert len(token["audit_ids"]) == 1
        assert "catalog" in token
        assert answer.headers["vary"] == "X-Auth-Token"
        assert len(answer.headers["x-subject-token"]) < 200

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    ("scope", "shows", "hides"),
    [
        (None, (), ("project", "roles", "catalog", "system", "domain")),
        ("unscoped", (), ("project", "roles", "catalog")),
        ({"unscoped": {}}, (), ("project", "roles")),
        ({"system": {"all": True}}, ("system", "roles", "catalog"), ("project", "domain")),
        (in_project("admin"), ("project", "roles", "catalog"), ("system", "domain")),
    ],
)
def test_a_token_says_its_scope(tmp_path: Path, scope: Any, shows: tuple[str, ...], hides: tuple[str, ...]) -> None:
    async def scenario(cloud: Cloud) -> None:
        token = (await cloud.log_in("admin", ADMIN_PASSWORD, scope)).json()["token"]
        assert set(shows) <= token.keys()
        assert not set(hides) & token.keys()

    with_cloud(tmp_path, scenario)


def test_the_default_project_is_the_scope_when_none_is_asked_for(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project = await cloud.make("project", name="home")
        user = await cloud.make("user", name="ann", password="x", default_project_id=project["id"])
        assert "project" not in (await cloud.log_in("ann", "x")).json()["token"]  # no role there yet
        await cloud.grant(user["id"], project["id"], "member")
        assert (await cloud.log_in("ann", "x")).json()["token"]["project"]["id"] == project["id"]
        assert "project" not in (await cloud.log_in("ann", "x", "unscoped")).json()["token"]

    with_cloud(tmp_path, scenario)


def test_a_domain_is_found_by_name_too_whatever_its_case(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        for spelled in ("Default", "default", "DEFAULT"):
            user = {"name": "ADMIN", "domain": {"name": spelled}, "password": ADMIN_PASSWORD}
            auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
            assert (await cloud.ask("POST", "/v3/auth/tokens", {"auth": auth}, token="")).status == 201

    with_cloud(tmp_path, scenario)


def test_unknown_disabled_locked_and_wrong_look_alike_and_cost_the_same(tmp_path: Path) -> None:
    """OSSA-2021-003: a refusal must not reveal that a user exists."""

    async def scenario(cloud: Cloud) -> None:
        await cloud.make("user", name="known", password="right")
        await cloud.make("user", name="off", password="right", enabled=False)
        await cloud.make("user", name="without")
        domain = await cloud.make("domain", name="closed")
        await cloud.make("user", name="inside", password="right", domain_id=domain["id"])
        await cloud.ask("PATCH", f"/v3/domains/{domain['id']}", {"domain": {"enabled": False}})
        checks = count_checks(cloud)
        refused = [
            await cloud.log_in("known", "wrong"),
            await cloud.log_in("known", "wrong"),
            await cloud.log_in("known", "right"),  # locked by now
            await cloud.log_in("nobody", "right"),
            await cloud.log_in("off", "right"),
            await cloud.log_in("without", ""),
            await cloud.log_in("inside", "right", domain=domain["id"]),
            await cloud.log_in("known", "right", domain="no-such-domain"),
            await cloud.log_in("compute", "wrong"),  # a service account, whose key has a fast hash
            await cloud.log_in("known", "x" * 100_000),
        ]
        assert [answer.status for answer in refused] == [401] * len(refused)
        assert all(answer.json() == REFUSAL for answer in refused)
        headers = [{k: v for k, v in each.headers.items() if k != "x-openstack-request-id"} for each in refused]
        assert all(each == headers[0] for each in headers)
        assert len(checks) == len(refused), "each refusal takes one slow check, no more and no fewer"

    with_cloud(tmp_path, scenario, LOCKING)


def count_checks(cloud: Cloud) -> list[str]:
    """Every password check done in a thread from now on."""
    done: list[str] = []
    in_thread = cloud.clock.in_thread

    async def counting(work: Any, *args: Any, pool: str = "work") -> Any:
        if pool == app_passwords.POOL:
            done.append(work.__name__)
        return await in_thread(work, *args, pool=pool)

    cloud.clock.in_thread = counting  # type: ignore[method-assign, assignment]
    return done


def test_a_lock_runs_out_and_a_good_login_forgets_failures(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        await cloud.make("user", name="ann", password="right")
        for expected in (401, 401):
            assert (await cloud.log_in("ann", "wrong")).status == expected
        assert (await cloud.log_in("ann", "right")).status == 401
        cloud.clock.pass_time(5)
        assert (await cloud.log_in("ann", "right")).status == 201
        assert (await cloud.log_in("ann", "wrong")).status == 401
        assert (await cloud.log_in("ann", "right")).status == 201, "one failure does not lock"

    with_cloud(tmp_path, scenario, LOCKING)


def test_an_expired_password_only_serves_to_change_it(tmp_path: Path) -> None:
    settings = Settings(passwords=PasswordRules(expires_days=1))

    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="old")
        assert user["password_expires_at"] is not None
        cloud.clock.pass_time(DAY / MICROSECONDS)
        assert (await cloud.log_in("ann", "old")).status == 401
        change = {"user": {"original_password": "old", "password": "new"}}
        path = f"/v3/users/{user['id']}/password"
        assert (await cloud.ask("POST", path, change, token="")).status == 204
        assert (await cloud.log_in("ann", "new")).status == 201

    with_cloud(tmp_path, scenario, settings)


def test_a_scope_without_a_role_is_refused_like_a_wrong_password(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        await cloud.make("user", name="ann", password="x")
        for scope in (
            in_project("admin"),
            in_project("nope"),
            {"system": {"all": True}},
            {"domain": {"id": "default"}},
        ):
            answer = await cloud.log_in("ann", "x", scope)
            assert (answer.status, answer.json()) == (401, REFUSAL)

    with_cloud(tmp_path, scenario)


def test_a_token_can_be_exchanged_for_another_scope_and_never_lives_longer(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        first = (await cloud.log_in("admin", ADMIN_PASSWORD)).json()["token"]
        text = await cloud.token("admin", ADMIN_PASSWORD)
        cloud.clock.pass_time(100)
        auth = {"identity": {"methods": ["token"], "token": {"id": text}}, "scope": in_project("admin")}
        second = (await cloud.ask("POST", "/v3/auth/tokens", {"auth": auth}, token="")).json()["token"]
        assert second["methods"] == ["password", "token"]
        assert second["project"]["name"] == "admin"
        assert second["expires_at"] == first["expires_at"]
        assert second["issued_at"] != first["issued_at"]
        assert len(second["audit_ids"]) == 2

    with_cloud(tmp_path, scenario)


def test_a_token_ends(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        text = await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))
        cloud.clock.pass_time(3599.999999)
        assert (await cloud.ask("GET", "/v3/users", token=text)).status == 200
        cloud.clock.pass_time(0.000001)
        assert (await cloud.ask("GET", "/v3/users", token=text)).status == 401

    with_cloud(tmp_path, scenario)


def test_two_methods_must_prove_the_same_user(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        await cloud.make("user", name="ann", password="x")
        own = await cloud.token("ann", "x")
        user = {"name": "ann", "domain": {"id": "default"}, "password": "x"}
        for text, status in ((own, 201), (cloud.admin, 401)):
            identity = {"methods": ["password", "token"], "password": {"user": user}, "token": {"id": text}}
            answer = await cloud.ask("POST", "/v3/auth/tokens", {"auth": {"identity": identity}}, token="")
            assert answer.status == status

    with_cloud(tmp_path, scenario)


def test_an_unknown_method_is_told_which_there_are(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        auth = {"identity": {"methods": ["palmistry"], "palmistry": {}}}
        answer = await cloud.ask("POST", "/v3/auth/tokens", {"auth": auth}, token="")
        assert answer.status == 401
        assert answer.json()["error"]["identity"] == {"methods": ["password", "token", "application_credential"]}
        assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test:8800/identity/v3"'

    with_cloud(tmp_path, scenario)


def test_logins_beyond_the_queue_are_told_to_come_back(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        waiting = cloud.identity.passwords
        waiting._under_way = waiting._most
        answer = await cloud.log_in("admin", ADMIN_PASSWORD)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        waiting._under_way = 0
        assert (await cloud.log_in("admin", ADMIN_PASSWORD)).status == 201
        assert waiting._under_way == 0

    with_cloud(tmp_path, scenario)


def test_an_imported_hash_is_renewed_at_the_first_login(tmp_path: Path) -> None:
    pytest.importorskip("bcrypt")
    import bcrypt

    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="x")
        old = bcrypt.hashpw(b"imported", bcrypt.gensalt(4)).decode()
        db = cloud.identity.database
        await db.transact(lambda tx: users.set_password(tx, user["id"], old, 0, None, 0))
        for _ in range(2):
            assert (await cloud.log_in("ann", "imported")).status == 201
        who = await users.find_credentials(db, user["id"])
        assert who is not None and who.password_hash.startswith("$argon2id$")

    with_cloud(tmp_path, scenario)
