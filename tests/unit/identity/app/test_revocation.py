"""What ends a token, at once, on every service, and also after a restart."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus.foundation.runtime import Crashed
from pileus.identity.app import sessions
from pileus.identity.store import revocations
from tests.unit.identity.cloud import ADMIN_PASSWORD, Cloud, close_cloud, in_project, open_cloud, with_cloud

Deed = Callable[[Cloud, dict[str, Any], dict[str, Any], str], Awaitable[Any]]


async def _patch(cloud: Cloud, kind: str, id: str, **changes: Any) -> None:
    answer = await cloud.ask("PATCH", f"/v3/{kind}s/{id}", {kind: changes})
    assert answer.status == 200, answer.body


async def _delete(cloud: Cloud, path: str, **headers: str) -> None:
    answer = await cloud.ask("DELETE", path, **headers)
    assert answer.status == 204, answer.body


async def disable_user(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "user", user["id"], enabled=False)


async def disable_user_and_enable_again(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "user", user["id"], enabled=False)
    await _patch(cloud, "user", user["id"], enabled=True)


async def disable_user_by_a_word(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "user", user["id"], enabled="FALSE")


async def delete_user(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _delete(cloud, f"/v3/users/{user['id']}")


async def disable_project(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "project", project["id"], enabled=False)


async def disable_project_and_enable_again(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "project", project["id"], enabled=False)
    await _patch(cloud, "project", project["id"], enabled=True)


async def delete_project(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _delete(cloud, f"/v3/projects/{project['id']}")


async def disable_domain_and_enable_again(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "domain", user["domain_id"], enabled=False)
    await _patch(cloud, "domain", user["domain_id"], enabled=True)


async def delete_domain(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "domain", user["domain_id"], enabled=False)
    await _delete(cloud, f"/v3/domains/{user['domain_id']}")


async def set_password(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _patch(cloud, "user", user["id"], password="other")


async def change_own_password(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    change = {"user": {"original_password": "secret", "password": "other"}}
    answer = await cloud.ask("POST", f"/v3/users/{user['id']}/password", change, token=token)
    assert answer.status == 204


async def take_the_role(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _delete(cloud, f"/v3/projects/{project['id']}/users/{user['id']}/roles/{await cloud.role_id('member')}")


async def take_one_of_two_roles(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await cloud.grant(user["id"], project["id"], "manager")
    await _delete(cloud, f"/v3/projects/{project['id']}/users/{user['id']}/roles/{await cloud.role_id('manager')}")


async def take_and_give_the_role(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await take_the_role(cloud, user, project, token)
    await cloud.grant(user["id"], project["id"], "member")


async def log_out(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await _delete(cloud, "/v3/auth/tokens", x_subject_token=token)


async def log_out_oneself(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    assert (await cloud.ask("DELETE", "/v3/auth/tokens", token=token, x_subject_token=token)).status == 204


async def restore(cloud: Cloud, user: Any, project: Any, token: str) -> None:
    await sessions.end_everything(cloud.identity)


DEEDS: list[Deed] = [
    disable_user, disable_user_and_enable_again, disable_user_by_a_word, delete_user, disable_project,
    disable_project_and_enable_again, delete_project, disable_domain_and_enable_again, delete_domain, set_password,
    change_own_password, take_the_role, take_one_of_two_roles, take_and_give_the_role, log_out,
    log_out_oneself, restore,
]  # fmt: skip


async def inhabitant(cloud: Cloud) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A user with a role in a project, both in a domain of their own, and the user's token."""
    domain = await cloud.make("domain", name="own")
    project = await cloud.make("project", name="work", domain_id=domain["id"])
    user = await cloud.make("user", name="ann", password="secret", domain_id=domain["id"])
    await cloud.grant(user["id"], project["id"], "member")
    token = await cloud.token("ann", "secret", {"project": {"id": project["id"]}}, domain=domain["id"])
    return user, project, token


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_the_token_is_refused_at_once_and_after_a_restart(tmp_path: Path, deed: Deed) -> None:
    async def scenario() -> None:
        cloud = await open_cloud(tmp_path)
        cloud.admin = await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))
        user, project, token = await inhabitant(cloud)
        service = await cloud.service_token()
        assert (await cloud.validate(token, service)).status == 200
        epoch = cloud.identity.epoch.value
        await deed(cloud, user, project, token)
        assert cloud.identity.epoch.value > epoch, "whoever remembers the validation must hear of it"
        service = await cloud.service_token()
        assert (await cloud.validate(token, service)).status == 404
        assert (await cloud.ask("GET", "/v3/auth/projects", token=token)).status == 401
        keys = cloud.keys
        await close_cloud(cloud)

        again = await open_cloud(tmp_path, keys=keys)
        assert again.identity.epoch.value > epoch
        service = await again.service_token()
        assert (await again.validate(token, service)).status == 404
        assert (await again.ask("GET", "/v3/auth/projects", token=token)).status == 401
        await close_cloud(again)

    asyncio.run(scenario())


def test_a_token_from_after_the_deed_is_good(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user, project, old = await inhabitant(cloud)
        await change_own_password(cloud, user, project, old)
        scope = {"project": {"id": project["id"]}}
        new = await cloud.token("ann", "other", scope, domain=user["domain_id"])  # the clock did not move
        assert (await cloud.validate(new)).status == 200
        assert (await cloud.validate(old)).status == 404

    with_cloud(tmp_path, scenario)


def test_other_tokens_live_on(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, _, other = await cloud.member("bob")
        user, project, token = await inhabitant(cloud)
        twin = await cloud.token("ann", "secret", {"project": {"id": project["id"]}}, domain=user["domain_id"])
        await log_out(cloud, user, project, token)
        assert (await cloud.validate(twin)).status == 200
        await disable_user(cloud, user, project, token)
        assert (await cloud.validate(twin)).status == 404
        assert (await cloud.validate(other)).status == 200

    with_cloud(tmp_path, scenario)


def test_leaving_a_group_and_losing_an_inherited_role_end_tokens(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user, project, _ = await inhabitant(cloud)
        group = await cloud.make("group", name="crew", domain_id=user["domain_id"])
        member = f"/v3/groups/{group['id']}/users/{user['id']}"
        reader = await cloud.role_id("reader")
        by_group = f"/v3/projects/{project['id']}/groups/{group['id']}/roles/{reader}"
        by_domain = (
            f"/v3/OS-INHERIT/domains/{user['domain_id']}/users/{user['id']}/roles/{reader}/inherited_to_projects"
        )
        scope = {"project": {"id": project["id"]}}
        for give, take in ((by_group, by_group), (by_domain, by_domain), (by_group, member)):
            for path in (member, give):
                assert (await cloud.ask("PUT", path)).status == 204
            token = await cloud.token("ann", "secret", scope, domain=user["domain_id"])
            await _delete(cloud, take)
            assert (await cloud.validate(token)).status == 404

    with_cloud(tmp_path, scenario)


def test_deleting_a_role_ends_the_tokens_that_lived_on_it(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        role = await cloud.make("role", name="painter")
        _, user, token = await cloud.member("ann", role="painter")
        assert (await cloud.validate(token)).status == 200
        await _delete(cloud, f"/v3/roles/{role['id']}")
        assert (await cloud.validate(token)).status == 404
        assert (await cloud.get(f"/v3/role_assignments?user.id={user['id']}"))["role_assignments"] == []

    with_cloud(tmp_path, scenario)


def test_a_role_that_was_given_shows_in_the_token_one_already_has(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann", role="reader")
        await cloud.validate(token)
        await cloud.grant(user["id"], project["id"], "manager")
        roles = (await cloud.validate(token)).json()["token"]["roles"]
        assert {role["name"] for role in roles} == {"manager", "member", "reader"}

    with_cloud(tmp_path, scenario)


def test_a_service_may_finish_what_an_ended_or_logged_out_token_began(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user, project, token = await inhabitant(cloud)
        await log_out(cloud, user, project, token)
        cloud.clock.pass_time(3600)
        service = await cloud.service_token()
        allowed = "?allow_expired=1"
        assert (await cloud.validate(token, service)).status == 404
        assert (await cloud.validate(token, service, query=allowed)).status == 200
        beside = {"x_service_token": service}
        cloud.admin = await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))
        assert (await cloud.validate(token, query=allowed)).status == 404, "an administrator is no service"
        assert (await cloud.validate(token, query=allowed, **beside)).status == 200
        cloud.clock.pass_time(cloud.identity.settings.ended_window_s)
        service = await cloud.service_token()
        assert (await cloud.validate(token, service, query=allowed)).status == 404

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    "deed", [deed for deed in DEEDS if deed not in (log_out, log_out_oneself)], ids=lambda deed: deed.__name__
)
def test_a_service_may_not_go_on_for_who_lost_the_right(tmp_path: Path, deed: Deed) -> None:
    async def scenario(cloud: Cloud) -> None:
        user, project, token = await inhabitant(cloud)
        cloud.clock.pass_time(1800)
        await deed(cloud, user, project, token)
        cloud.clock.pass_time(3600)
        service = await cloud.service_token()
        assert (await cloud.validate(token, service, query="?allow_expired=1")).status == 404

    with_cloud(tmp_path, scenario)


def test_a_clock_that_jumps_back_revives_nothing(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user, project, token = await inhabitant(cloud)
        cloud.clock.pass_time(-7200)
        await set_password(cloud, user, project, token)
        assert (await cloud.validate(token)).status == 404
        cloud.clock.pass_time(7000)
        assert (await cloud.validate(token)).status == 404

    with_cloud(tmp_path, scenario)


def test_a_token_from_a_history_that_was_taken_back_is_refused(tmp_path: Path) -> None:
    """A backup was put back: its epoch is older than the token's."""

    async def scenario(cloud: Cloud) -> None:
        _, _, token = await inhabitant(cloud)
        worth, _, _ = await cloud.identity.tokens.look_up(token)
        later = msgspec.structs.replace(worth.token, epoch=worth.token.epoch + 100)
        text = cloud.identity.tokens.keyring.seal(later, bytes(12))
        assert (await cloud.validate(text)).status == 404

    with_cloud(tmp_path, scenario)


def test_revocations_are_forgotten_once_no_token_can_be_that_old(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        for _ in range(20):
            _, _, token = await cloud.member(cloud.clock.hex_id())
            await _delete(cloud, "/v3/auth/tokens", x_subject_token=token)
        assert await revocations.count(cloud.identity.database) == 20
        settings = cloud.identity.settings
        cloud.clock.pass_time(settings.token_lifetime_s + settings.ended_window_s + 1)
        cloud.admin = await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))
        _, _, token = await cloud.member("last")
        await _delete(cloud, "/v3/auth/tokens", x_subject_token=token)
        assert await revocations.count(cloud.identity.database) == 1

    with_cloud(tmp_path, scenario)


def test_a_crash_between_commit_and_answer_still_revokes(tmp_path: Path) -> None:
    async def scenario() -> None:
        cloud = await open_cloud(tmp_path)
        cloud.admin = await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))
        user, _, token = await inhabitant(cloud)
        transact = cloud.identity.database.transact

        async def commit_and_die(work: Any) -> Any:
            await transact(work)
            cloud.clock.crash()
            cloud.clock.check()

        cloud.identity.database.transact = commit_and_die  # type: ignore[method-assign]
        with pytest.raises(Crashed):
            await cloud.ask("PATCH", f"/v3/users/{user['id']}", {"user": {"enabled": False}})

        again = await open_cloud(tmp_path, keys=cloud.keys)
        assert (await again.ask("GET", "/v3/auth/projects", token=token)).status == 401
        await close_cloud(again)

    asyncio.run(scenario())


def test_a_login_that_began_before_the_password_changed_gives_no_token(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="old")
        verify = cloud.identity.passwords.verify

        async def change_meanwhile(stored: str, password: str) -> bool:
            right = await verify(stored, password)
            await set_password(cloud, user, {}, "")
            return right

        cloud.identity.passwords.verify = change_meanwhile  # type: ignore[method-assign]
        assert (await cloud.log_in("ann", "old")).status == 401

    with_cloud(tmp_path, scenario)
