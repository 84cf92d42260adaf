"""Evidence of logins and validations, beside the trace: who asked about which token, and how it came to be."""

from pathlib import Path

from pileus.foundation.context import Context
from pileus.foundation.errors import Unauthorized
from pileus.foundation.http.authentication import ServiceLogin, TokenValidator
from pileus.foundation.http.client import Peer
from pileus.identity.app.settings import Settings
from pileus.identity.store import access_log
from tests.unit.identity.cloud import ADMIN_PASSWORD, Cloud, in_project, with_cloud


def test_the_issue_of_a_token_is_found_by_its_audit_id(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.log_in("admin", ADMIN_PASSWORD, in_project("admin"))
        token = answer.json()["token"]
        tokens = cloud.identity.tokens
        for written in (False, True):
            if written:
                await tokens.issues.write()
            issue = await tokens.find_issue(token["audit_ids"][0])
            assert issue is not None
            assert issue.request_id == answer.headers["x-openstack-request-id"]
            assert (issue.user_id, issue.project_id) == (token["user"]["id"], token["project"]["id"])
            assert issue.methods == ("password",)
            assert issue.started_at == cloud.clock.now()
        assert await tokens.find_issue("no-such-audit-id") is None

    with_cloud(tmp_path, scenario)


def test_the_log_of_issues_is_bounded(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        cloud.identity.tokens.issues._written = 511  # the next write trims
        for _ in range(12):
            cloud.clock.pass_time(1)
            last = (await cloud.log_in("admin", ADMIN_PASSWORD)).json()["token"]["audit_ids"][0]
        await cloud.identity.tokens.issues.write()
        assert await access_log.count(cloud.identity.database) == 5
        assert await cloud.identity.tokens.find_issue(last) is not None

    with_cloud(tmp_path, scenario, Settings(access_log_rows=5))


def test_the_log_never_holds_a_token(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        text = await cloud.token("admin", ADMIN_PASSWORD)
        await cloud.identity.tokens.issues.write()
        rows = await cloud.identity.database.all(
            access_log._FIND, audit_id=cloud.identity.tokens.keyring.open(text).audit_id
        )
        assert rows and all(text not in str(tuple(row)) for row in rows)

    with_cloud(tmp_path, scenario)


def test_each_validation_names_who_asked_and_for_which_request(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        service = await cloud.service_token()
        _, user, token = await cloud.member("ann")
        tokens = cloud.identity.tokens
        tokens.validations.clear()
        for_request = "req-" + "0" * 36
        answers = [await cloud.validate(token, service, x_openstack_request_id=for_request) for _ in range(2)]
        records = list(tokens.validations)
        assert [each.request_id for each in records] == [a.headers["x-openstack-request-id"] for a in answers]
        assert {each.for_request_id for each in records} == {for_request}
        assert {each.audit_id for each in records} == {answers[0].json()["token"]["audit_ids"][0]}
        compute = (await cloud.get("/v3/users?name=compute"))["users"][0]["id"]
        assert {each.asked_by for each in records} == {compute}
        assert user["id"] != compute

    with_cloud(tmp_path, scenario)


def test_only_services_learn_the_epoch(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        service = await cloud.service_token()
        answer = await cloud.validate(cloud.admin, service)
        assert answer.headers["x-pileus-epoch"] == str(cloud.identity.epoch.value)
        assert "x-pileus-epoch" not in (await cloud.validate(cloud.admin)).headers

    with_cloud(tmp_path, scenario)


def test_other_services_validate_over_the_public_api_and_hear_of_a_revocation_with_the_next_request(
    tmp_path: Path,
) -> None:
    async def scenario(cloud: Cloud) -> None:
        peer = Peer("identity", cloud.transport, cloud.clock)
        login = ServiceLogin(peer, cloud.clock, user="compute", password=cloud.keys["compute"])
        validator = TokenValidator("compute", peer, login, cloud.identity.epoch, cloud.clock)
        project, user, token = await cloud.member("ann")
        headers = {"x-auth-token": token}
        asked = len(cloud.identity.tokens.validations)
        for _ in range(3):
            caller = await validator.authenticate(headers, Context("req-x"))
            assert (caller.user_id, caller.project_id) == (user["id"], project["id"])
            assert caller.roles == {"member", "reader"}
        assert len(cloud.identity.tokens.validations) == asked + 1, "two of three were remembered"
        await cloud.ask("PATCH", f"/v3/users/{user['id']}", {"user": {"enabled": False}})
        try:
            await validator.authenticate(headers, Context("req-y"))
        except Unauthorized:
            return
        raise AssertionError("a disabled user's token was still good")

    with_cloud(tmp_path, scenario)
