"""Who asks is what identity says of the token, at this moment: never what the request says of itself."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import SERVICES, Refused, User, World
from tests.conftest import Run

LOOKS = {
    "identity": "/identity/v3/auth/projects", "compute": "/compute/v2.1/servers", "image": "/image/v2/images",
    "networking": "/networking/v2.0/networks", "volume": "/volume/v3/volumes", "placement": "/placement/usages",
    "pileus": "/pileus/v1/traces/00000000-0000-4000-8000-000000000000",
}  # fmt: skip
"""What any member may ask, of every service; whatever the answer is, it is no 401."""
FOR_ADMINS = {
    "identity": "/identity/v3/services", "compute": "/compute/v2.1/os-services",
    "networking": "/networking/v2.0/agents", "volume": "/volume/v3/os-services",
    "placement": "/placement/resource_providers", "pileus": "/pileus/v1/flows",
    "image": "/image/v2/images?visibility=all",
}  # fmt: skip
HOSTILE_HOSTS = ('evil.example"><script>alert(1)</script>', "evil.example", "evil.example:1@good", "//evil.example")


def forged(admin: User) -> dict[str, str]:
    """Every header in which a front end tells a service who was let in."""
    return {
        "x-roles": "admin,service", "x-role": "admin", "x-user-id": admin.user_id, "x-user": "admin",
        "x-user-name": "admin", "x-project-id": admin.project_id, "x-tenant-id": admin.project_id,
        "x-tenant": "admin", "x-project-name": "admin", "x-is-admin-project": "True", "x-is-admin": "true",
        "x-identity-status": "Confirmed", "x-service-identity-status": "Confirmed", "x-service-roles": "service,admin",
        "x-service-user-id": admin.user_id, "x-system-scope": "all", "openstack-system-scope": "all",
        "x-domain-id": "default", "x-authorization": f"Proxy {admin.user_id}", "remote-user": "admin",
        "remote_user": "admin", "x-remote-user": "admin", "x-pileus-trace": "1",
        "authorization": "Basic YWRtaW46YWRtaW4=", "pileus.inside": "1", "x-forwarded-user": "admin",
    }  # fmt: skip


def play(run: Run, state: Path, story: Callable[[World, User, User], Awaitable[None]]) -> None:
    """A cloud with an administrator and a member of a project, in real time."""

    async def scenario() -> None:
        world = World(state, hosts=1)
        await world.start()
        admin = await world.admin()
        await story(world, admin, await admin.create_user("weak", await admin.create_project("small")))
        await world.stop()

    run(scenario)


def test_headers_that_tell_who_asks_are_not_believed(run: Run, tmp_path: Path) -> None:
    """OSSA-2026-001."""

    async def story(world: World, admin: User, weak: User) -> None:
        for service in SERVICES:
            for path in (LOOKS[service], FOR_ADMINS[service]):
                honest = await world.ask("GET", path, None, {"x-auth-token": weak.token})
                lying = await world.ask("GET", path, None, {"x-auth-token": weak.token} | forged(admin))
                assert honest.status == lying.status, path
                assert "x-pileus-trace" not in lying.headers
                assert admin.project_id.encode() not in lying.body
                assert (await world.ask("GET", path, None, forged(admin))).status == 401, path
            assert (await world.ask("GET", FOR_ADMINS[service], None,
                                    {"x-auth-token": weak.token} | forged(admin))).status in (403, 200)  # fmt: skip
        for service in ("identity", "compute", "networking", "volume", "placement", "pileus"):
            found = await world.ask("GET", FOR_ADMINS[service], None, {"x-auth-token": weak.token} | forged(admin))
            assert found.status == (404 if service == "networking" else 403) or b'"agents":[]' in found.body, service

    play(run, tmp_path / "cloud", story)


def test_a_users_own_token_is_no_service_token(run: Run, tmp_path: Path) -> None:
    async def story(world: World, admin: User, weak: User) -> None:
        for service in SERVICES:
            twice = {"x-auth-token": weak.token, "x-service-token": weak.token}
            found = await world.ask("GET", FOR_ADMINS[service], None, twice)
            assert found.status in (200, 403)
            assert found.status == (await world.ask("GET", FOR_ADMINS[service], None, twice | forged(admin))).status
        garbage = {"x-auth-token": weak.token, "x-service-token": "garbage"}
        assert (await world.ask("GET", LOOKS["compute"], None, garbage)).status == 401

    play(run, tmp_path / "cloud", story)


# -- tokens that have ended -------------------------------------------------------------------------------------------
async def log_out(admin: User, weak: User) -> None:
    answer = await weak.world.ask("DELETE", "/identity/v3/auth/tokens", None,
                                  {"x-auth-token": weak.token, "x-subject-token": weak.token})  # fmt: skip
    assert answer.status == 204


async def disable_user(admin: User, weak: User) -> None:
    await admin.need("identity", "PATCH", f"/users/{weak.user_id}", {"user": {"enabled": False}})


async def delete_user(admin: User, weak: User) -> None:
    await admin.delete("identity", f"/users/{weak.user_id}")


async def disable_project(admin: User, weak: User) -> None:
    await admin.need("identity", "PATCH", f"/projects/{weak.project_id}", {"project": {"enabled": False}})


async def remove_role(admin: User, weak: User) -> None:
    (role,) = (await admin.get("identity", "/roles", query={"name": "member"}))["roles"]
    await admin.delete("identity", f"/projects/{weak.project_id}/users/{weak.user_id}/roles/{role['id']}")


async def change_password(admin: User, weak: User) -> None:
    body = {"user": {"original_password": weak.password, "password": "another password"}}
    answer = await weak.world.ask("POST", f"/identity/v3/users/{weak.user_id}/password", body)
    assert answer.status == 204, answer.body


async def reset_password(admin: User, weak: User) -> None:
    await admin.need("identity", "PATCH", f"/users/{weak.user_id}", {"user": {"password": "another password"}})


DEEDS = (log_out, disable_user, delete_user, disable_project, remove_role, change_password, reset_password)


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_every_service_refuses_an_ended_token_at_once_and_after_a_restart(
    run: Run, tmp_path: Path, deed: Callable[[User, User], Awaitable[None]]
) -> None:
    async def statuses(world: World, token: str) -> dict[str, int]:
        found = [await world.ask("GET", LOOKS[name], None, {"x-auth-token": token}) for name in SERVICES]
        return dict(zip(SERVICES, [answer.status for answer in found], strict=True))

    async def story(world: World, admin: User, weak: User) -> None:
        assert 401 not in (await statuses(world, weak.token)).values()  # and every cache knows it now
        await deed(admin, weak)
        refused = dict.fromkeys(SERVICES, 401)
        assert await statuses(world, weak.token) == refused
        await world.stop()
        await world.start()
        assert await statuses(world, weak.token) == refused
        assert (await world.ask("GET", LOOKS["compute"], None, {"x-auth-token": admin.token})).status == 200

    play(run, tmp_path / "cloud", story)


@pytest.mark.parametrize("enabled", ["FALSE", "false", "no", "0", 0, "", None, [], {}])
def test_what_looks_like_no_disables_or_is_refused(run: Run, tmp_path: Path, enabled: Any) -> None:
    """OSSA-2026-007: a user whose `enabled` was the text "FALSE" could log in."""

    async def story(world: World, admin: User, weak: User) -> None:
        answer = await admin.request("identity", "PATCH", f"/users/{weak.user_id}", {"user": {"enabled": enabled}})
        shown = (await admin.get("identity", f"/users/{weak.user_id}"))["user"]
        if answer.status == 400:
            assert shown["enabled"] is True
            return
        assert (answer.status, shown["enabled"]) == (200, False)
        assert (await world.ask("GET", LOOKS["compute"], None, {"x-auth-token": weak.token})).status == 401
        with pytest.raises(Refused):
            await weak.login()

    play(run, tmp_path / "cloud", story)


# -- the host header --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_a_host_header_reaches_only_the_answer_to_its_own_request(run: Run, tmp_path: Path, host: str) -> None:
    async def story(world: World, admin: User, weak: User) -> None:
        server = await admin.create_flavor("small")
        for headers in ({"host": host}, {"x-forwarded-host": host}, {"host": host, "x-forwarded-proto": "javascript"}):
            page = await world.ask("GET", "/", None, headers)
            assert page.status == 200
            assert b"<script>" not in page.body
            for path in ("/identity/v3", "/compute/v2.1/", "/image/", "/networking/", "/volume/", "/placement/"):
                found = await world.ask("GET", path, None, {"x-auth-token": weak.token} | headers)
                assert found.headers["content-type"].startswith("application/json"), path
                found.json()
            shown = await world.ask("GET", f"/compute/v2.1/flavors/{server}", None,
                                    {"x-auth-token": weak.token} | headers)  # fmt: skip
            assert shown.status == 200
        again = await world.ask("GET", f"/compute/v2.1/flavors/{server}", None, {"x-auth-token": weak.token})
        assert b"evil" not in again.body
        assert b"http://cloud.test/" in again.body
        catalog = await world.ask("GET", "/identity/v3/auth/catalog", None, {"x-auth-token": weak.token})
        assert b"evil" not in catalog.body

    play(run, tmp_path / "cloud", story)


def test_what_a_path_says_is_never_markup_in_an_answer(run: Run, tmp_path: Path) -> None:
    async def story(world: World, admin: User, weak: User) -> None:
        for service, path in LOOKS.items():
            found = await world.ask("GET", f"/{service}/v2/<script>x</script>", None, {"x-auth-token": weak.token})
            below = await world.ask("GET", f"{path.split('?')[0]}/<script>x", None, {"x-auth-token": weak.token})
            for answer in (found, below):
                is_html = answer.headers.get("content-type", "").startswith("text/html")
                assert not is_html or b"<script>" not in answer.body, (service, answer.body)

    play(run, tmp_path / "cloud", story)
