"""Lists of servers: filters, who may use which, order, pages, deleted servers."""

from typing import Any

import pytest
from msgspec.structs import replace

from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.image import Image
from pileus.compute.domain.server_states import Action, PowerState, TaskState, VmState
from pileus.compute.store import servers
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import ALICE, MALLORY, NOW, Cloud, uuid


async def some(cloud: Cloud) -> None:
    """Six servers of two projects, each different; number 1 is the oldest."""
    await cloud.server(1, name="web-1", tags=("red", "blue"), metadata={"a": "b"})
    await cloud.server(2, name="web-2", vm_state=VmState.STOPPED, power_state=PowerState.SHUTDOWN, tags=("red",))
    await cloud.server(3, name="db-1", vm_state=VmState.ERROR, image=None, flavor=Flavor(
        id="big", name="big", vcpus=8, ram_mib=512, disk_gib=1), key_name="k")  # fmt: skip
    await cloud.server(4, name="db-2", action=Action.REBOOT_HARD, task_state=TaskState.REBOOTING_HARD,
                       locked_by="owner", host="compute2", availability_zone="az2", config_drive=True)  # fmt: skip
    await cloud.server(5, name="db-3", image=Image(id=uuid(70)), user_id="u-other", vm_state=VmState.PAUSED)
    await cloud.server(6, name="web-foreign", project_id=MALLORY)


async def bury(cloud: Cloud, number: int, *, at: int) -> None:
    server = await servers.get(cloud.compute.database, uuid(number))
    gone = replace(server, vm_state=VmState.DELETED, task_state=None, action=None, deleted_at=at, updated_at=at)
    await cloud.transact(lambda tx: servers.bury(tx, server, gone, host=None))


async def numbers(cloud: Cloud, query: str, **options: Any) -> list[int]:
    """The numbers of the servers that a list names, in its order; of both kinds of list, which must agree."""
    found = [
        [int(server["id"][-12:]) for server in (await cloud.get(f"{path}?{query}", **options))["servers"]]
        for path in ("/servers", "/servers/detail")
    ]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("name=web", [2, 1]),
        ("name=^web-1$", [1]),
        ("name=b-[23]", [5, 4, 2]),
        ("name=WEB", []),
        ("status=ACTIVE", [1]),
        ("status=active", [1]),
        ("status=HARD_REBOOT", [4]),
        ("status=shutoff&status=error", [3, 2]),
        ("status=nonsense", []),
        (f"image={uuid(70)}", [5]),
        (f"image=http://cloud/images/{uuid(70)}", [5]),
        ("flavor=big", [3]),
        ("ip=10.0.0.[12]$", [2, 1]),
        ("ip=^10\\.0\\.0\\.", [5, 4, 3, 2, 1]),
        ("ip=fd00", []),
        ("reservation_id=r-00000003", [3]),
        ("name=web&status=ACTIVE", [1]),
        ("host=compute2", [5, 4, 3, 2, 1]),  # passed over: not for everybody
        ("vm_state=stopped", [5, 4, 3, 2, 1]),
        (f"project_id={MALLORY}", [5, 4, 3, 2, 1]),
        (f"tenant_id={MALLORY}", [5, 4, 3, 2, 1]),
        ("deleted=1", [5, 4, 3, 2, 1]),
        ("nonsense=1", [5, 4, 3, 2, 1]),
        ("sort_key=display_name&sort_dir=asc", [3, 4, 5, 1, 2]),
        ("sort_key=display_name", [2, 1, 5, 4, 3]),
        ("sort_dir=asc", [1, 2, 3, 4, 5]),
        ("sort_key=vm_state&sort_dir=asc&sort_key=display_name&sort_dir=desc", [1, 4, 3, 5, 2]),
        ("sort_key=host&sort_dir=asc", [5, 4, 3, 2, 1]),  # for administrators: passed over
        ("limit=2", [5, 4]),
        (f"limit=2&marker={uuid(4)}", [3, 2]),
        (f"marker={uuid(4)}&name=web", [2, 1]),
        (f"sort_key=display_name&sort_dir=asc&marker={uuid(5)}", [1, 2]),
        ("limit=0", []),
        ("limit=99999", [5, 4, 3, 2, 1]),
    ],
)
def test_a_member_lists_the_projects_servers(talk: Talk, query: str, expected: list[int]) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        assert await numbers(cloud, query) == expected

    talk(work)


@pytest.mark.parametrize(
    ("version", "query", "expected"),
    [
        ("2.4", "ip6=fd00::[12]$", [5, 4, 3, 2, 1]),
        ("2.5", "ip6=fd00::[12]$", [2, 1]),
        ("2.26", "tags=red", [2, 1]),
        ("2.26", "tags=red,blue", [1]),
        ("2.26", "tags-any=blue,green", [1]),
        ("2.26", "not-tags=red,blue", [5, 4, 3, 2]),
        ("2.26", "not-tags-any=red,blue", [5, 4, 3]),
        ("2.73", "locked=true", [4]),
        ("2.73", "locked=0", [5, 3, 2, 1]),
        ("2.73", "sort_key=locked&sort_dir=desc", [4, 5, 3, 2, 1]),
        ("2.83", "availability_zone=az2", [4]),
        ("2.83", "config_drive=true", [4]),
        ("2.83", "config_drive=false", [5, 3, 2, 1]),
        ("2.83", "key_name=k", [3]),
        ("2.83", "user_id=u-other", [5]),
        ("2.83", "vm_state=stopped", [2]),
        ("2.83", "task_state=rebooting_hard", [4]),
        ("2.83", "task_state=None", [5, 3, 2, 1]),
        ("2.83", "power_state=4", [2]),
        ("2.83", "power_state=SHUTDOWN", [2]),
        ("2.83", "created_at=2026-01-02T03:04:07Z", [2]),
        ("2.82", "vm_state=stopped", [5, 4, 3, 2, 1]),
        ("2.66", "changes-before=2026-01-02T03:04:07Z", [2, 1]),
        ("2.65", "changes-before=2026-01-02T03:04:07Z", [5, 4, 3, 2, 1]),
    ],
)
def test_later_versions_filter_by_more(talk: Talk, version: str, query: str, expected: list[int]) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        assert await numbers(cloud, query, version=version) == expected

    talk(work)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", []),
        ("all_tenants=1", [6, 5, 4, 3, 2, 1]),
        ("all_tenants=", [6, 5, 4, 3, 2, 1]),
        ("all_tenants=false", []),
        (f"tenant_id={ALICE}", []),  # passed over without all_tenants
        (f"all_tenants=1&tenant_id={ALICE}", [5, 4, 3, 2, 1]),
        (f"all_tenants=true&project_id={MALLORY}", [6]),
        ("all_tenants=1&host=compute2", [4]),
        ("all_tenants=1&hostname=web[45]", [5, 4]),
        (f"all_tenants=1&uuid={uuid(3)}", [3]),
        ("all_tenants=1&user_id=u-other", [5]),
        ("all_tenants=1&sort_key=host&sort_dir=desc&limit=1", [4]),
    ],
)
def test_an_administrator_lists_all(talk: Talk, query: str, expected: list[int]) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        assert await numbers(cloud, query, token="admin") == expected

    talk(work)


@pytest.mark.parametrize(
    ("version", "query", "status", "complaint"),
    [
        ("2.1", "limit=-1", 400, "limit"),
        ("2.1", "limit=many", 400, "limit"),
        ("2.1", "marker=nope", 400, "marker [nope] not found"),
        ("2.1", f"marker={uuid(6)}", 400, f"marker [{uuid(6)}] not found"),
        ("2.1", "sort_key=password", 400, "sort_key"),
        ("2.1", "sort_key=locked", 400, "sort_key"),
        ("2.1", "sort_key=created_at&sort_dir=up", 400, "sort_dir"),
        ("2.1", "name=(", 400, "'(' is not a regular expression"),
        ("2.1", "changes-since=yesterday", 400, "changes-since"),
        ("2.1", "all_tenants=1", 403, "os_compute_api:servers:index:get_all_tenants"),
        ("2.1", "all_tenants=perhaps", 400, "all_tenants"),
        ("2.38", "status=nonsense", 400, "Invalid status value"),
        ("2.1", "status=DELETED", 403, "Only administrators may list deleted instances"),
        ("2.73", "locked=perhaps", 400, "locked"),
        ("2.75", "nonsense=1", 400, "('nonsense' was unexpected)"),
        ("2.83", "power_state=half", 400, "power_state"),
        ("2.83", f"power_state={10**30}", 400, "power_state"),
        ("2.1", f"limit={10**30}&marker=nope", 400, "marker"),
        ("2.66", "changes-since=2026-02-01&changes-before=2026-01-01", 400, "less than or equal to changes-before"),
    ],
)
def test_what_a_list_cannot_ask_is_named(talk: Talk, version: str, query: str, status: int, complaint: str) -> None:
    async def work(cloud: Cloud) -> Any:
        await some(cloud)
        return await cloud.ask("GET", f"/servers?{query}", version=version)

    found = talk(work)
    assert found.status == status, found.body
    assert complaint in next(iter(found.json().values()))["message"]


def test_a_hostile_pattern_costs_no_time(talk: Talk) -> None:
    """Python's engine would need longer than the universe is old for this name."""

    async def work(cloud: Cloud) -> None:
        await cloud.server(1, name="a" * 60 + "!")
        assert await numbers(cloud, "name=^(a%2B)%2B$") == []

    talk(work)


def test_pages_link_to_the_next_and_end(talk: Talk) -> None:
    async def work(cloud: Cloud) -> list[int]:
        await some(cloud)
        seen: list[int] = []
        path = "/servers/detail?limit=2&name=."
        while path:
            found = await cloud.get(path)
            seen += [int(server["id"][-12:]) for server in found["servers"]]
            links = found.get("servers_links", [])
            assert [link["rel"] for link in links] in ([], ["next"])
            path = links[0]["href"].removeprefix("http://localhost/v2.1") if links else ""
        return seen

    assert talk(work) == [5, 4, 3, 2, 1]


def test_patterns_look_through_as_many_rows_as_it_takes(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pileus.compute.app.server_lists.BATCH", 2)

    async def work(cloud: Cloud) -> None:
        await some(cloud)
        assert await numbers(cloud, "name=web") == [2, 1]
        assert await numbers(cloud, "name=web&limit=1") == [2]
        assert await numbers(cloud, f"name=web&limit=1&marker={uuid(2)}") == [1]

    talk(work)


def test_deleted_servers_are_listed_by_changes_since(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        await bury(cloud, 2, at=NOW + 60_000_000)
        await bury(cloud, 3, at=NOW + 90_000_000)
        assert await numbers(cloud, "") == [5, 4, 1]
        assert await numbers(cloud, "changes-since=2026-01-02T03:04:09Z") == [5, 4, 3, 2]
        assert await numbers(cloud, "changes-since=2026-01-02T03:05:30Z") == [3]
        assert await numbers(cloud, "changes-since=2026-01-02T03:04:09Z&name=web") == [2]
        pages = "changes-since=2026-01-02T03:04:09Z&limit=2"
        assert await numbers(cloud, pages) == [5, 4]
        assert await numbers(cloud, f"{pages}&marker={uuid(4)}") == [3, 2]
        assert await numbers(cloud, f"{pages}&marker={uuid(3)}") == [2]
        found = await cloud.get("/servers/detail?changes-since=2026-01-02T03:05:30Z", version="2.100")
        assert found["servers"][0]["status"] == "DELETED"
        assert (await cloud.ask("GET", f"/servers/{uuid(2)}")).status == 404

    talk(work)


def test_administrators_list_deleted_servers_alone(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await some(cloud)
        await bury(cloud, 2, at=NOW + 60_000_000)
        mine = f"all_tenants=1&tenant_id={ALICE}"
        assert await numbers(cloud, f"{mine}&deleted=true", token="admin") == [2]
        assert await numbers(cloud, f"{mine}&status=DELETED", token="admin") == [2]
        assert await numbers(cloud, f"{mine}&status=DELETED&status=ERROR", token="admin") == [3, 2]
        assert await numbers(cloud, f"{mine}&deleted=false&changes-since=2026-01-02", token="admin") == [5, 4, 3, 1]

    talk(work)
