"""Processes that die, that end, that come back: nobody's work is lost with them, and the operator sees it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cloud import User
from tests.processes.cluster import Cluster
from tests.processes.stage import Stage, staged
from tests.processes.test_cluster import audit, begin, begin_hosts, prepared


async def parts(there: Cluster) -> None:
    await there.add("hub", "hub")
    await begin(
        there, ("identity-1", "identity"), ("identity-2", "identity"), ("services-1", "image,network,volume,placement"),
        ("operations-1", "operations"),
    )  # fmt: skip
    await begin(
        there, ("compute-api-1", "compute-api"), ("compute-api-2", "compute-api"), ("scheduler-1", "scheduler"),
        ("conductor-1", "conductor"), ("conductor-2", "conductor"),
    )  # fmt: skip
    await begin_hosts(there, "h1")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    path = tmp_path_factory.mktemp("cluster")
    (path / "state").mkdir()

    def make() -> Cluster:
        return Cluster(path, database=f"sqlite:///{path}/state/pileus.db", bus=f"hub://{path}/bus.sock")

    with staged(make, parts, ("h1",)) as found:
        yield found


async def flow_of(admin: User, server: str) -> dict[str, Any] | None:
    """The launch's own flow while it is open."""
    flows = (await admin.get("pileus", "/flows"))["flows"]
    return next((flow for flow in flows if flow["subject"] == server and flow["name"] == "launch-server"), None)


async def owner_is(admin: User, server: str, kind: str, but: str = "") -> str:
    """The process of this kind that has the launch, once one has."""

    async def look() -> tuple[bool, Any]:
        flow = await flow_of(admin, server)
        owner = "" if flow is None else flow["owner"].partition("/")[0]
        return owner.startswith(kind) and owner != but, flow

    flow = await admin.until(look, f"a {kind} has the launch", 60)
    return str(flow["owner"].partition("/")[0])


async def is_building(admin: User, server: str) -> None:
    async def look() -> tuple[bool, Any]:
        flow = await flow_of(admin, server)
        return flow is not None and flow["steps"] != [] and flow["steps"][-1]["name"] == "build", flow

    await admin.until(look, "the host builds", 60)


def test_a_launch_goes_on_when_its_process_is_killed_and_when_its_conductor_is_killed_too(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        admin, user, options = await prepared(there)
        server = await user.launch("survivor", metadata={"pileus:delay": "spawn:12"}, **options)
        await is_building(admin, server)
        accepted = await owner_is(admin, server, "compute-api")
        await there.members[accepted].kill()
        first = await owner_is(admin, server, "conductor")
        await there.members[first].kill()
        second = await owner_is(admin, server, "conductor", but=first)
        assert {first, second} == {"conductor-1", "conductor-2"}
        found = await user.at_rest(server, 90)
        assert found is not None and found["status"] == "ACTIVE", found
        (attempt,) = (await admin.get("pileus", f"/traces/{server}"))["attempts"]
        assert (attempt["outcome"], attempt["missing"]) == ("active", [])
        await there.members[accepted].start()
        await there.members[first].start()
        await user.delete("compute", f"/servers/{server}")
        assert await user.at_rest(server, 60) is None
        assert await audit(admin) == []

    stage.run(story)


def test_what_a_process_leaves_in_order_is_taken_up_at_once(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        admin, user, options = await prepared(there)
        server = await user.launch("handed over", metadata={"pileus:delay": "spawn:6"}, **options)
        await is_building(admin, server)
        accepted = await owner_is(admin, server, "compute-api")
        assert await there.members[accepted].end() == 0
        flow = await flow_of(admin, server)
        taken = "" if flow is None else flow["owner"]
        assert await owner_is(admin, server, "conductor"), taken
        assert "adopted flow launch-server" in "".join(
            there.members[name].log.read_text() for name in ("conductor-1", "conductor-2")
        )
        found = await user.at_rest(server, 60)
        assert found is not None and found["status"] == "ACTIVE", found
        await there.members[accepted].start()
        await user.delete("compute", f"/servers/{server}")
        assert await user.at_rest(server, 60) is None

    stage.run(story)


def test_a_delete_reaches_the_process_that_runs_the_launch(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        _, user, options = await prepared(there)
        servers = [
            await user.launch(f"doomed-{number}", metadata={"pileus:delay": "spawn:60"}, **options)
            for number in range(4)  # some are accepted by one process and deleted by the other
        ]
        for server in servers:
            await user.delete("compute", f"/servers/{server}")
        assert [await user.at_rest(server, 50) for server in servers] == [None] * 4

    stage.run(story)


def test_a_logout_is_known_to_every_process_though_they_remembered_the_token(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        _, user, _ = await prepared(there)
        for _ in range(4):  # both processes of compute remember it now
            assert (await user.request("compute", "GET", "/servers")).status == 200
        token, user.password = user.token, ""
        headers = {"x-auth-token": token, "x-subject-token": token}
        gone = await there.ask("DELETE", "/identity/v3/auth/tokens", headers=headers)
        assert gone.status == 204

        async def is_out() -> tuple[bool, Any]:
            seen = [(await user.request("compute", "GET", "/servers")).status for _ in range(4)]
            return seen == [401] * 4, seen

        await user.until(is_out, "nobody accepts it any more", 4)  # less than it may be remembered for: it was told

    stage.run(story)


def test_after_a_restore_every_token_can_be_ended(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        _, user, _ = await prepared(there)
        user.password = ""
        assert (await user.request("compute", "GET", "/servers")).status == 200
        assert "Every token has ended" in await there.command("db", "end-tokens", "--config", str(there.config))

        async def is_out() -> tuple[bool, Any]:
            seen = (await user.request("compute", "GET", "/servers")).status
            return seen == 401, seen

        await user.until(is_out, "the token has ended", 20)

    stage.run(story)


def test_the_operator_sees_every_process_and_which_of_them_died(stage: Stage) -> None:
    async def shown(there: Cluster) -> dict[str, dict[str, Any]]:
        found = json.loads(await there.command("status", "--json", "--state", str(there.state)))
        return {process["name"]: process for process in found["processes"]}

    async def becomes(there: Cluster, name: str, state: str | None) -> None:
        async def look() -> tuple[bool, Any]:
            found = await shown(there)
            seen = found[name]["state"] if name in found else None
            return seen == state, found

        admin = await there.admin()
        await admin.until(look, f"{name} is shown as {state}", 60)

    async def story(there: Cluster) -> None:
        for name in there.members:
            await becomes(there, name, "up")
        await there.members["scheduler-1"].kill()
        await becomes(there, "scheduler-1", "down")
        text = await there.command("status", "--state", str(there.state))
        assert "down    scheduler" in text
        assert "up      compute-host, host h1" in text
        await there.members["scheduler-1"].start()
        await becomes(there, "scheduler-1", "up")
        assert await there.members["scheduler-1"].end() == 0
        await becomes(there, "scheduler-1", None)
        await there.members["scheduler-1"].start()

    stage.run(story)


def test_the_operators_commands_work_against_the_cluster(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        _, user, options = await prepared(there)
        server = await user.launch("shown", **options)
        found = await user.at_rest(server, 60)
        assert found is not None and found["status"] == "ACTIVE", found
        assert "28" in await there.command("trace", server, "--state", str(there.state))
        assert "Clean" in await there.command("audit", "--state", str(there.state))
        assert "OS_AUTH_URL=http://cloud.test/identity/v3" in await there.command("openrc", "--state", str(there.state))
        assert "flows" in json.dumps(await (await there.admin()).get("pileus", "/flows"))
        await there.command("flows", "list", "--state", str(there.state))
        await user.delete("compute", f"/servers/{server}")
        assert await user.at_rest(server, 60) is None

    stage.run(story)
