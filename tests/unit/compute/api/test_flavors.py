"""Flavors over HTTP: their versions, who sees which, extra specs, access."""

from typing import Any

import pytest

from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import ALICE, MALLORY, Cloud

BIG = {"name": "big", "ram": 2048, "vcpus": "4", "disk": 10}


async def create(cloud: Cloud, version: str = "2.1", **facts: Any) -> Any:
    return await cloud.ask("POST", "/flavors", {"flavor": BIG | facts}, version=version, token="admin")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.1", {"rxtx_factor", "OS-FLV-DISABLED:disabled"}),
        ("2.55", {"rxtx_factor", "OS-FLV-DISABLED:disabled", "description"}),
        ("2.61", {"rxtx_factor", "OS-FLV-DISABLED:disabled", "description", "extra_specs"}),
        ("2.102", {"description", "extra_specs"}),
    ],
)
def test_a_flavor_shows_what_its_version_knows(talk: Talk, version: str, expected: set[str]) -> None:
    async def work(cloud: Cloud) -> None:
        always = {"id", "name", "ram", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral", "vcpus",
                  "os-flavor-access:is_public", "links"}  # fmt: skip
        shown = (await cloud.get("/flavors/1", version=version))["flavor"]
        assert set(shown) == always | expected
        assert (await cloud.get("/flavors/detail", version=version))["flavors"] == [shown]
        assert shown["swap"] == ("" if version < "2.75" and version != "2.102" else 0)

    talk(work)


def test_a_plain_list_describes_from_2_55(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        assert set((await cloud.get("/flavors"))["flavors"][0]) == {"id", "name", "links"}
        assert "description" in (await cloud.get("/flavors", version="2.55"))["flavors"][0]

    talk(work)


def test_a_flavor_is_made_described_and_deleted(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        made = (await create(cloud, "2.55", id="auto", description="d", swap=512)).json()["flavor"]
        assert (made["name"], made["vcpus"], made["swap"], made["description"]) == ("big", 4, 512, "d")
        assert len(made["id"]) == 36
        path = f"/flavors/{made['id']}"
        changed = await cloud.ask("PUT", path, {"flavor": {"description": None}}, version="2.55", token="admin")
        assert changed.json()["flavor"]["description"] is None
        assert (await cloud.ask("DELETE", path, token="admin")).status == 202
        assert (await cloud.ask("GET", path)).status == 404
        assert (await cloud.ask("DELETE", path, token="admin")).status == 404

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "status"),
    [
        ("2.1", {"id": "1"}, 409),
        ("2.1", {"name": "m1.tiny"}, 409),
        ("2.1", {"ram": 0}, 400),
        ("2.1", {"ram": -1}, 400),
        ("2.1", {"vcpus": 0}, 400),
        ("2.1", {"disk": "ten"}, 400),
        ("2.1", {"disk": 2**31}, 400),
        ("2.1", {"id": "a/b"}, 400),
        ("2.1", {"id": " a"}, 400),
        ("2.1", {"name": ""}, 400),
        ("2.1", {"rxtx_factor": "x"}, 400),
        ("2.1", {"rxtx_factor": "1.5"}, 200),
        ("2.102", {"rxtx_factor": 1.5}, 400),
        ("2.1", {"description": "d"}, 400),
        ("2.1", {"os-flavor-access:is_public": "perhaps"}, 400),
        ("2.1", {"id": 77}, 200),
    ],
)
def test_what_a_flavor_can_be(talk: Talk, version: str, facts: dict[str, Any], status: int) -> None:
    async def work(cloud: Cloud) -> Any:
        return await create(cloud, version, **facts)

    found = talk(work)
    assert found.status == status, found.body


def test_a_private_flavor_is_seen_by_whom_it_was_given(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await create(cloud, id="7", **{"os-flavor-access:is_public": False})

        async def ids(query: str = "", **options: Any) -> list[str]:
            return [flavor["id"] for flavor in (await cloud.get(f"/flavors{query}", **options))["flavors"]]

        assert await ids() == ["1"]
        assert (await cloud.ask("GET", "/flavors/7")).status == 404
        given = await cloud.ask("POST", "/flavors/7/action", {"addTenantAccess": {"tenant": ALICE}}, token="admin")
        assert given.json() == {"flavor_access": [{"flavor_id": "7", "tenant_id": ALICE}]}
        assert await cloud.get("/flavors/7/os-flavor-access", token="admin") == given.json()
        assert await ids() == ["1", "7"]
        assert await ids(token="mallory") == ["1"]
        assert await ids("?is_public=none", token="mallory") == ["1"]
        assert await ids("?is_public=none", token="admin") == ["1", "7"]
        assert await ids("?is_public=false", token="admin") == ["7"]
        assert await ids(token="admin") == ["1"]
        again = await cloud.ask("POST", "/flavors/7/action", {"addTenantAccess": {"tenant": ALICE}}, token="admin")
        assert again.status == 409
        taken = {"removeTenantAccess": {"tenant": ALICE}}
        assert (await cloud.ask("POST", "/flavors/7/action", taken, token="admin")).status == 200
        assert (await cloud.ask("POST", "/flavors/7/action", taken, token="admin")).status == 404
        assert await ids() == ["1"]

    talk(work)


@pytest.mark.parametrize(("version", "status"), [("2.6", 200), ("2.7", 409)])
def test_access_to_a_public_flavor(talk: Talk, version: str, status: int) -> None:
    async def work(cloud: Cloud) -> None:
        body = {"addTenantAccess": {"tenant": MALLORY}}
        found = await cloud.ask("POST", "/flavors/1/action", body, version=version, token="admin")
        assert found.status == status
        assert (await cloud.ask("GET", "/flavors/1/os-flavor-access", token="admin")).status == 404

    talk(work)


@pytest.mark.parametrize(
    ("version", "query", "expected"),
    [
        ("2.1", "minRam=100", ["a", "b"]),
        ("2.1", "minDisk=11", ["b"]),
        ("2.1", "sort_key=name&sort_dir=desc", ["1", "b", "a"]),
        ("2.1", "sort_key=memory_mb", ["1", "a", "b"]),
        ("2.1", "limit=2", ["1", "a"]),
        ("2.1", "limit=2&marker=a", ["b"]),
        ("2.102", "name=^big", ["a", "b"]),
        ("2.74", "name=^big", ["1", "a", "b"]),
    ],
)
def test_flavors_are_filtered_and_sorted(talk: Talk, version: str, query: str, expected: list[str]) -> None:
    async def work(cloud: Cloud) -> None:
        await create(cloud, id="a", name="big-a")
        await create(cloud, id="b", name="big-b", ram=4096, disk=20)
        for path in ("/flavors", "/flavors/detail"):
            found = await cloud.get(f"{path}?{query}", version=version)
            assert [flavor["id"] for flavor in found["flavors"]] == expected
            assert ("flavors_links" in found) == (query == "limit=2")

    talk(work)


@pytest.mark.parametrize(
    ("version", "query"),
    [("2.1", "minRam=x"), ("2.1", "minDisk=x"), ("2.1", "marker=x"), ("2.1", "limit=-1"), ("2.1", "sort_key=x"),
     ("2.1", "sort_dir=up"), ("2.75", "x=1"), ("2.101", "name=x"), ("2.102", "name=(")],
)  # fmt: skip
def test_what_a_list_of_flavors_cannot_ask(talk: Talk, version: str, query: str) -> None:
    async def work(cloud: Cloud) -> int:
        return (await cloud.ask("GET", f"/flavors?{query}", version=version)).status

    assert talk(work) == 400


def test_extra_specs_come_and_go(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        path, admin = "/flavors/1/os-extra_specs", {"token": "admin"}
        made = await cloud.ask("POST", path, {"extra_specs": {"a": "1", "b": 2}}, **admin)
        assert made.json() == {"extra_specs": {"a": "1", "b": "2"}}
        assert (await cloud.ask("PUT", f"{path}/a", {"a": "3"}, **admin)).json() == {"a": "3"}
        assert (await cloud.ask("PUT", f"{path}/a", {"b": "3"}, **admin)).status == 400
        assert await cloud.get(path) == {"extra_specs": {"a": "3", "b": "2"}}
        assert await cloud.get(f"{path}/a") == {"a": "3"}
        assert (await cloud.get("/flavors/1", version="2.61"))["flavor"]["extra_specs"] == {"a": "3", "b": "2"}
        assert (await cloud.ask("DELETE", f"{path}/a", **admin)).status == 200
        assert (await cloud.ask("DELETE", f"{path}/a", **admin)).status == 404
        assert (await cloud.ask("GET", f"{path}/a")).status == 404
        assert (
            await cloud.ask("POST", "/flavors/nope/os-extra_specs", {"extra_specs": {"a": "1"}}, **admin)
        ).status == 404

    talk(work)


@pytest.mark.parametrize(
    ("version", "specs", "status"),
    [
        ("2.1", {"a" * 256: "1"}, 400),
        ("2.1", {"a/b": "1"}, 400),
        ("2.1", {"a": ["1"]}, 400),
        ("2.85", {"hw:cpu_policy": "wrong"}, 200),
        ("2.86", {"hw:cpu_policy": "wrong"}, 400),
        ("2.86", {"hw:cpu_policy": "shared", "mine": "x"}, 200),
    ],
)
def test_what_extra_specs_can_be(talk: Talk, version: str, specs: dict[str, Any], status: int) -> None:
    async def work(cloud: Cloud) -> int:
        body = {"extra_specs": specs}
        return (await cloud.ask("POST", "/flavors/1/os-extra_specs", body, version=version, token="admin")).status

    assert talk(work) == status


def test_who_may_not_read_extra_specs_sees_servers_and_flavors_without(talk: Talk) -> None:
    """A rule of the operator's own is honoured where documents are kept ready."""
    from pileus.compute.api.policies import POLICIES
    from pileus.foundation.policy import Policy

    async def work(cloud: Cloud) -> None:
        cloud.app.policy = Policy(POLICIES, {"os_compute_api:os-flavor-extra-specs:index": "role:admin"})
        server = await cloud.server(1)
        for version in ("2.61", "2.100"):
            assert "extra_specs" not in (await cloud.get("/flavors/1", version=version))["flavor"]
            shown = (await cloud.get(f"/servers/{server.id}", version=version))["server"]
            assert "extra_specs" not in shown["flavor"]
            assert "extra_specs" not in str(await cloud.get("/servers/detail", version=version))
            theirs = (await cloud.get(f"/servers/{server.id}", version=version, token="admin"))["server"]
            assert theirs["flavor"]["extra_specs"] == {}

    talk(work)
