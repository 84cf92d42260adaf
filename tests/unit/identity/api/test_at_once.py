"""Many requests at the same moment: exactly one wins where one can, and all are answered."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.identity.cloud import ADMIN_PASSWORD, Cloud, in_project, with_cloud


@pytest.mark.parametrize("kind", ["user", "project", "domain", "group", "role"])
def test_of_64_identical_creations_one_succeeds(tmp_path: Path, kind: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        asked = [cloud.ask("POST", f"/v3/{kind}s", {kind: {"name": "same"}}) for _ in range(64)]
        answers = await asyncio.gather(*asked)
        assert Counter(each.status for each in answers) == {201: 1, 409: 63}
        assert len((await cloud.get(f"/v3/{kind}s?name=same"))[f"{kind}s"]) == 1

    with_cloud(tmp_path, scenario)


def test_64_logins_at_once_all_get_tokens_of_their_own(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        logins = [cloud.log_in("admin", ADMIN_PASSWORD, in_project("admin")) for _ in range(64)]
        answers = await asyncio.gather(*logins)
        assert {each.status for each in answers} == {201}
        assert len({each.headers["x-subject-token"] for each in answers}) == 64
        await cloud.identity.tokens.issues.write()
        audit_ids = [each.json()["token"]["audit_ids"][0] for each in answers]
        issues = [await cloud.identity.tokens.find_issue(each) for each in audit_ids]
        assert len({issue.request_id for issue in issues if issue is not None}) == 64

    with_cloud(tmp_path, scenario)


def test_grants_and_revokes_at_once_leave_one_answer_for_everybody(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        path = f"/v3/projects/{project['id']}/users/{user['id']}/roles/{await cloud.role_id('manager')}"
        deeds = [cloud.ask(("PUT", "DELETE")[number % 2], path) for number in range(32)]
        statuses = {each.status for each in await asyncio.gather(*deeds)}
        assert statuses <= {204, 404}
        has = (await cloud.ask("HEAD", path)).status == 204
        fresh = await cloud.log_in("ann", "secret", {"project": {"id": project["id"]}})
        names = {role["name"] for role in fresh.json()["token"]["roles"]}
        assert ("manager" in names) is has
        assert (await cloud.validate(token)).status == 404, "a role was taken since it was issued"

    with_cloud(tmp_path, scenario)
