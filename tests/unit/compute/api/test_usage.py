"""What servers used within a period, over HTTP."""

from typing import Any

import pytest

from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.server_states import VmState
from pileus.compute.store import servers
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import ALICE, MALLORY, NOW, Cloud, uuid

HOUR = 3_600_000_000
DAY = "start=2026-01-02T00:00:00&end=2026-01-03T00:00:00"
BIG = Flavor(id="big", name="big", vcpus=2, ram_mib=100, disk_gib=3, ephemeral_gib=1)


async def some(cloud: Cloud) -> None:
    """A server that lives, one that was deleted after two hours, one of another project, one never launched."""
    await cloud.server(1, launched_at=NOW, flavor=BIG)
    gone = await cloud.server(2, launched_at=NOW)
    buried = await servers.get(cloud.compute.database, gone.id)
    from msgspec.structs import replace

    ended = replace(buried, vm_state=VmState.DELETED, terminated_at=NOW + 2 * HOUR, deleted_at=NOW + 2 * HOUR)
    await cloud.transact(lambda tx: servers.bury(tx, buried, ended, host=None))
    await cloud.server(3, launched_at=NOW, project_id=MALLORY)
    await cloud.server(4, launched_at=None)


def test_a_project_is_told_what_it_used(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        found = (await cloud.get(f"/os-simple-tenant-usage/{ALICE}?{DAY}"))["tenant_usage"]
        day = (24 * HOUR - (NOW - 1_767_312_000_000_000)) / HOUR
        hours = [one["hours"] for one in found["server_usages"]]
        assert hours == pytest.approx([day, 2.0])
        assert found["total_hours"] == pytest.approx(day + 2)
        assert found["total_vcpus_usage"] == pytest.approx(2 * day + 2)
        assert found["total_memory_mb_usage"] == pytest.approx(100 * day + 64 * 2)
        assert found["total_local_gb_usage"] == pytest.approx(4 * day + 2)
        assert (found["start"], found["stop"]) == ("2026-01-02T00:00:00.000000", "2026-01-03T00:00:00.000000")
        living, ended = found["server_usages"]
        assert (living["state"], living["ended_at"], living["flavor"]) == ("active", None, "big")
        assert (ended["state"], ended["uptime"], ended["instance_id"]) == ("terminated", 7200, uuid(2))

    talk(work)


def test_outside_the_period_nothing_was_used(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        await some(cloud)
        return await cloud.get(f"/os-simple-tenant-usage/{ALICE}?start=2025-01-01&end=2025-01-02")

    assert talk(work) == {"tenant_usage": {}}


def test_all_projects_are_for_administrators(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        assert (await cloud.ask("GET", f"/os-simple-tenant-usage?{DAY}")).status == 403
        assert (await cloud.ask("GET", f"/os-simple-tenant-usage/{MALLORY}?{DAY}")).status == 403
        found = (await cloud.get(f"/os-simple-tenant-usage?{DAY}", token="admin"))["tenant_usages"]
        assert {one["tenant_id"] for one in found} == {ALICE, MALLORY}
        assert "server_usages" not in found[0]
        found = (await cloud.get(f"/os-simple-tenant-usage?{DAY}&detailed=1", token="admin"))["tenant_usages"]
        assert sum(len(one["server_usages"]) for one in found) == 3

    talk(work)


def test_usage_comes_in_pages_from_2_40(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        for path, name in ((f"/os-simple-tenant-usage/{ALICE}", "tenant_usage"),
                           ("/os-simple-tenant-usage", "tenant_usages")):  # fmt: skip
            seen: list[str] = []
            query = f"{DAY}&limit=1&detailed=1" if name == "tenant_usages" else f"{DAY}&limit=1"
            while query:
                found = await cloud.get(f"{path}?{query}", version="2.40", token="admin")
                projects = found[name] if isinstance(found[name], list) else [found[name]]
                seen += [one["instance_id"] for project in projects for one in project.get("server_usages", ())]
                links = found.get(f"{name}_links")
                query = links[0]["href"].rpartition("?")[2] if links else ""
            assert seen == [uuid(1), uuid(2)] if name == "tenant_usage" else [uuid(1), uuid(2), uuid(3)]
        whole = await cloud.get(f"/os-simple-tenant-usage/{ALICE}?{DAY}&limit=1", version="2.39")
        assert len(whole["tenant_usage"]["server_usages"]) == 2

    talk(work)


@pytest.mark.parametrize("query", ["start=x", "end=x", "start=2026-01-03&end=2026-01-02"])
def test_a_period_that_is_none_is_refused(talk: Talk, query: str) -> None:
    async def work(cloud: Cloud) -> int:
        return (await cloud.ask("GET", f"/os-simple-tenant-usage/{ALICE}?{query}")).status

    assert talk(work) == 400
