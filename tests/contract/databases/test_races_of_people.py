"""Whoever races in identity: names are given once, nothing belongs to what is gone, every guess is counted."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.identity.app.settings import Settings
from pileus.identity.domain.password_rules import PasswordRules
from pileus.identity.store import revocations, users
from tests.contract.databases.races import MANY, ROUNDS, at_once, statuses, warm
from tests.unit.identity.cloud import ADMIN_PASSWORD, Cloud, close_cloud, in_project, open_cloud

Story = Callable[[Cloud, Cloud], Awaitable[None]]


@pytest.fixture
def race(kind: str, tmp_path: Path) -> Callable[..., None]:
    """Runs a story with two processes of identity; they begin at once on an empty database."""

    def play(story: Story, **settings: Any) -> None:
        async def whole() -> None:
            chosen = Settings(shares_database=True, **settings)
            one, two = await asyncio.gather(open_cloud(tmp_path, chosen), open_cloud(tmp_path, chosen))
            for cloud in (one, two):
                cloud.admin = await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))
            await warm(one.identity.database, two.identity.database)
            try:
                await story(one, two)
            finally:
                await close_cloud(one)
                await close_cloud(two)

        asyncio.run(whole())

    return play


async def raced(one: Cloud, two: Cloud, method: str, path: str, *bodies: Any) -> Any:
    return await at_once((one, two)[n % 2].ask(method, f"/v3{path}", body) for n, body in enumerate(bodies))


def test_processes_that_start_at_once_make_the_first_rows_once(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        for plural in ("users", "projects", "roles", "services"):
            found = (await two.get(f"/v3/{plural}"))[plural]
            names = [(each["name"], each.get("type")) for each in found]
            assert len(names) == len(set(names)), names

    race(story)


@pytest.mark.parametrize("what", ["project", "user", "group", "role"])
def test_a_name_is_given_once(race: Callable[..., None], what: str) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        answers = await raced(one, two, "POST", f"/{what}s", *[{what: {"name": "same"}}] * MANY)
        assert statuses(answers) == {201: 1, 409: MANY - 1}

    race(story)


def test_nothing_comes_into_a_domain_that_goes(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        for number in range(ROUNDS):
            domain = (await one.make("domain", name=f"d{number}", enabled=True))["id"]
            await one.ask("PATCH", f"/v3/domains/{domain}", {"domain": {"enabled": False}})
            asked = [
                one.ask("POST", "/v3/users", {"user": {"name": "u", "domain_id": domain}}),
                one.ask("POST", "/v3/groups", {"group": {"name": "g", "domain_id": domain}}),
                one.ask("POST", "/v3/projects", {"project": {"name": "p", "domain_id": domain}}),
            ]
            asked.insert(number % 4, two.ask("DELETE", f"/v3/domains/{domain}"))
            assert set(statuses(await at_once(asked))) <= {201, 204, 400, 404}
            for plural in ("users", "groups", "projects"):
                assert (await one.get(f"/v3/{plural}?domain_id={domain}"))[plural] == []

    race(story)


def test_a_project_below_one_that_goes_is_not_made(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        for number in range(ROUNDS):
            parent = (await one.make("project", name=f"p{number}"))["id"]
            asked = [one.ask("POST", "/v3/projects", {"project": {"name": f"c{number}", "parent_id": parent}})]
            asked.insert(number % 2, two.ask("DELETE", f"/v3/projects/{parent}"))
            answers = await at_once(asked)
            made, gone = answers[1 - number % 2], answers[number % 2]
            if number % 2:
                made, gone = answers[0], answers[1]
            assert (made.status, gone.status) in ((201, 403), (400, 204), (404, 204)), (made.body, gone.body)

    race(story)


def test_a_role_is_not_granted_on_what_goes(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        user = (await one.make("user", name="ann"))["id"]
        role = await one.role_id("member")
        for number in range(ROUNDS):
            project = (await one.make("project", name=f"p{number}"))["id"]
            await at_once([
                one.ask("PUT", f"/v3/projects/{project}/users/{user}/roles/{role}"),
                two.ask("DELETE", f"/v3/projects/{project}"),
            ])  # fmt: skip
            found = await one.get(f"/v3/role_assignments?user.id={user}")
            assert found["role_assignments"] == []

    race(story)


def test_every_change_is_an_epoch_of_its_own(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        made = [await one.make("user", name=f"u{number}") for number in range(MANY)]
        before = await revocations.read_epoch(one.identity.database)
        answers = await at_once(
            (one, two)[n % 2].ask("PATCH", f"/v3/users/{user['id']}", {"user": {"enabled": False}})
            for n, user in enumerate(made)
        )
        assert statuses(answers) == {200: MANY}
        assert await revocations.read_epoch(two.identity.database) == before + MANY

    race(story)


def test_what_one_process_revoked_the_other_refuses_at_once(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        _, user, token = await one.member("ann")
        assert (await two.validate(token)).status == 200
        await one.ask("PATCH", f"/v3/users/{user['id']}", {"user": {"enabled": False}})
        assert (await two.validate(token)).status == 404

    race(story)


def test_guesses_at_once_are_all_counted(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        user = await one.make("user", name="ann", password="right")
        await at_once((one, two)[n % 2].log_in("ann", "wrong") for n in range(6))
        who = await users.find_credentials(one.identity.database, user["id"])
        assert who is not None and who.failed_logins == 6
        assert (await two.log_in("ann", "right")).status == 401

    race(story, passwords=PasswordRules(lockout_attempts=6))


def test_every_tag_of_a_project_is_there(race: Callable[..., None]) -> None:
    async def story(one: Cloud, two: Cloud) -> None:
        project = (await one.make("project", name="p"))["id"]
        asked = [(one, two)[n % 2].ask("PUT", f"/v3/projects/{project}/tags/t{n}") for n in range(MANY)]
        assert statuses(await at_once(asked)) == {201: MANY}
        assert len((await one.get(f"/v3/projects/{project}/tags"))["tags"]) == MANY
        bodies = [{"tags": [f"a{number}", "same"]} for number in range(6)]
        assert statuses(await raced(one, two, "PUT", f"/projects/{project}/tags", *bodies)) == {200: 6}
        assert len((await one.get(f"/v3/projects/{project}/tags"))["tags"]) == 2

    race(story)
