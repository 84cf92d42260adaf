"""The 28 steps of a launch against evidence that does not come from the trace.

Identity's own records, the bus' records, the rows, and what the hypervisor keeps: each step must be found there too.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from pileus.compute.service import Endings
from pileus.foundation.simulation import simulate
from tests.cloud import User, World
from tests.holdings import holdings

CHECKS = {4, 20, 23, 26}
"""Steps in which a service asks identity about the user's token."""


async def launched(world: World, *, settled: bool = True, **facts: Any) -> tuple[User, str, dict[str, Any]]:
    """A server of an ordinary user, and its trace as an administrator sees it."""
    await world.start()
    admin = await world.admin()
    user = await admin.create_user("somebody", await admin.create_project("theirs"))
    flavor, image = await admin.create_flavor("small"), await admin.create_image("disk", visibility="public")
    network = await user.create_network("net")
    if facts.pop("with_volume", False):
        volume = await user.create_volume("data")
        await user.volume_at_rest(volume)
        facts["block_device_mapping_v2"] = [
            {"uuid": image, "source_type": "image", "destination_type": "local", "boot_index": 0},
            {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        ]
    server = await user.launch("traced", flavor=flavor, image=image, networks=[{"uuid": network}], **facts)
    await user.at_rest(server)
    if settled:
        await world.settle()
    return user, server, await (await world.admin()).get("pileus", f"/traces/{server}")


def under_simulation(path: Path, story: Any, **settings: Any) -> None:
    async def history(chance: random.Random) -> None:
        world = World(path / "cloud", chance, **settings)
        await story(world)
        await world.stop()

    simulate(20, history)


def steps_of(attempt: dict[str, Any], number: int) -> list[dict[str, Any]]:
    return [step for step in attempt["steps"] if step["step"] == number]


def only(attempt: dict[str, Any], number: int) -> dict[str, Any]:
    (found,) = steps_of(attempt, number)
    return found


@pytest.mark.parametrize("with_volume", [False, True])
@pytest.mark.parametrize("caching", [True, False])
def test_every_step_is_found_where_it_happened(tmp_path: Path, *, caching: bool, with_volume: bool) -> None:
    async def story(world: World) -> None:
        user, server, trace = await launched(world, with_volume=with_volume)
        (attempt,) = trace["attempts"]
        assert attempt["missing"] == []
        assert attempt["outcome"] == "active"
        starts = [step["start"] for step in attempt["steps"] if not step["sub"]]
        assert starts == sorted(starts)
        await check_identity(world, user, attempt, caching=caching)
        check_bus(world, attempt)
        check_rows(world, server, attempt, with_volume=with_volume)
        check_hypervisor(world, server, attempt)

    under_simulation(tmp_path, story, caching=caching)


async def check_identity(world: World, user: User, attempt: dict[str, Any], *, caching: bool) -> None:
    """Steps 1, 2 and every validation."""
    audit_id = only(attempt, 2)["data"]["audit_id"]
    (issued,) = world.rows("SELECT * FROM identity_access_log WHERE audit_id = ?", audit_id)
    assert issued["user_id"] == user.user_id
    assert only(attempt, 1)["start"] == issued["started_at"]
    assert only(attempt, 5)["data"]["user"] == user.user_id
    assert only(attempt, 5)["data"]["project"] == user.project_id
    asked = list(world.cloud.identity.tokens.validations)
    assert any(seen.audit_id == audit_id for seen in asked)
    checks = [step for step in attempt["steps"] if step["step"] in CHECKS and "skipped" not in step["data"]]
    for step in checks:
        if step["cached"]:
            assert caching
            assert step["validated_by"] in {seen.for_request_id for seen in asked}
        else:
            first, last = step["start"], step["start"] + step["duration_ms"] * 1000
            assert any(first <= seen.at <= last for seen in asked), step
    assert caching or not any(step["cached"] for step in checks)


def check_bus(world: World, attempt: dict[str, Any]) -> None:
    """Steps 8, 9, 12 to 15 and 18: the same messages, as the bus itself saw them."""
    seen = {(record.id, record.kind): record for record in world.cloud.bus.records}
    for number, kind, topic in (
        (8, "call", "scheduler"), (9, "taken", "scheduler"), (12, "cast", "compute-host"),
        (13, "taken", "compute-host"), (14, "call", "conductor"), (15, "taken", "conductor"),
        (18, "answered", "conductor"),
    ):  # fmt: skip
        step = only(attempt, number)
        record = seen[step["data"]["message"], kind]
        assert record.topic.split(".")[0] == topic
        assert record.method == step["data"]["method"]


def check_rows(world: World, server: str, attempt: dict[str, Any], *, with_volume: bool) -> None:
    """Steps 7, 10, 11, 16, 17, 21, 24, 27."""
    (row,) = world.rows("SELECT * FROM compute_servers WHERE id = ?", server)
    assert only(attempt, 7)["data"]["server"] == row["id"]
    assert (row["host"], row["epoch"]) == (attempt["host"], only(attempt, 11)["data"]["epoch"])
    (flow,) = world.rows("SELECT * FROM compute_flows WHERE subject = ? AND name = 'launch-server'", server)
    assert (flow["state"], flow["secret"]) == ("done", None)
    assert next(step for step in steps_of(attempt, 10) if not step["sub"])["data"]["chosen"] == row["host"]
    assert world.rows("SELECT 1 FROM placement_consumers WHERE uuid = ?", server)
    known = only(attempt, 17)["data"]
    assert (known["vcpus"], known["ram_mib"]) == (row["vcpus"], row["ram_mib"])
    assert only(attempt, 21)["data"]["id"] == row["image_id"]
    ports = world.rows("SELECT * FROM network_ports WHERE device_id = ?", server)
    assert [port["id"] for port in only(attempt, 24)["data"]["ports"]] == [port["id"] for port in ports]
    if with_volume:
        (attachment,) = world.rows("SELECT * FROM volume_attachments WHERE server_id = ?", server)
        assert only(attempt, 27)["data"]["attachment"] == attachment["id"]
    else:
        assert "no volumes" in only(attempt, 25)["data"]["skipped"]


def check_hypervisor(world: World, server: str, attempt: dict[str, Any]) -> None:
    """Step 28: the guest is in the hypervisor's own list, on the host that the trace names."""
    held = holdings(world.state_dir)
    assert [host for host, guest in held.guests if guest.server_id == server] == [attempt["host"]]
    assert only(attempt, 28)["data"]["power_state"] == 1


def test_a_failed_first_host_is_an_attempt_of_its_own(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        _, server, trace = await launched(world, metadata={"pileus:fail": "spawn:1"})
        first, second = trace["attempts"]
        assert (first["outcome"], second["outcome"]) == ("failed", "active")
        assert first["host"] != second["host"]
        assert "spawn" in first["error"]
        assert second["missing"] == []
        check_hypervisor(world, server, second)

    under_simulation(tmp_path, story)


def test_an_active_server_has_been_launched_though_its_launch_has_not_heard_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endings, "announce", lambda endings, flow_id: None)

    async def story(world: World) -> None:
        _, server, trace = await launched(world, settled=False)
        (launch,) = (await (await world.admin()).get("pileus", "/flows"))["flows"]
        assert (launch["subject"], launch["state"]) == (server, "running")
        (attempt,) = trace["attempts"]
        assert (attempt["outcome"], attempt["missing"]) == ("active", [])

    under_simulation(tmp_path, story)


def test_owners_see_their_trace_without_hosts_and_nobody_else_sees_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        user, server, _ = await launched(world)
        shown = await user.get("pileus", f"/traces/{server}")
        (attempt,) = shown["attempts"]
        assert attempt["host"] is None
        assert {step["process"] for step in attempt["steps"]} == {""}
        assert "host-" not in str(attempt)
        admin = await world.admin()
        stranger = await admin.create_user("stranger", await admin.create_project("other"))
        assert (await stranger.request("pileus", "GET", f"/traces/{server}")).status == 404
        assert (await user.request("pileus", "GET", "/flows")).status == 403

    under_simulation(tmp_path, story)


def test_no_secret_enters_a_trace(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        user, _, trace = await launched(world, user_data="c2VjcmV0IHVzZXIgZGF0YQ==")
        text = str(trace)
        assert user.token not in text
        assert "c2VjcmV0" not in text
        assert user.password not in text

    under_simulation(tmp_path, story)
