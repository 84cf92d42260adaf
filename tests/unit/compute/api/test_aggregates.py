"""Host aggregates over HTTP, and the availability zones that they make."""

from typing import Any

import pytest

from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import Cloud

ADMIN = {"token": "admin"}


async def create(cloud: Cloud, name: str, zone: str | None = None) -> str:
    """The path of a new aggregate."""
    facts = {"name": name} if zone is None else {"name": name, "availability_zone": zone}
    made = await cloud.ask("POST", "/os-aggregates", {"aggregate": facts}, **ADMIN)
    assert made.status == 200, made.body
    return f"/os-aggregates/{made.json()['aggregate']['id']}"


async def act(cloud: Cloud, path: str, action: str, **args: Any) -> Any:
    return await cloud.ask("POST", f"{path}/action", {action: args}, **ADMIN)


async def zones(cloud: Cloud) -> dict[str, str]:
    """The zone of each host."""
    return {one["host"]: one["zone"] for one in (await cloud.get("/os-services", **ADMIN))["services"]}


@pytest.mark.parametrize(("version", "more"), [("2.1", set()), ("2.40", set()), ("2.41", {"uuid"})])
def test_an_aggregate_has_the_shape_of_its_version(talk: Talk, version: str, more: set[str]) -> None:
    async def work(cloud: Cloud) -> None:
        always = {"id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"}
        body = {"aggregate": {"name": "a", "availability_zone": "z"}}
        made = (await cloud.ask("POST", "/os-aggregates", body, version=version, **ADMIN)).json()["aggregate"]
        assert set(made) == always | more
        shown = (await cloud.get("/os-aggregates/1", version=version, **ADMIN))["aggregate"]
        assert set(shown) == always | more | {"hosts", "metadata"}
        assert shown["metadata"] == {"availability_zone": "z"}
        assert (await cloud.get("/os-aggregates", version=version, **ADMIN))["aggregates"] == [shown]

    talk(work)


def test_a_host_moves_with_its_aggregate(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host("h1")
        await cloud.host("h2")
        path = await create(cloud, "a", "east")
        added = await act(cloud, path, "add_host", host="h1")
        assert (added.status, added.json()["aggregate"]["hosts"]) == (200, ["h1"])
        assert await zones(cloud) == {"h1": "east", "h2": "nova"}
        changed = await cloud.ask("PUT", path, {"aggregate": {"availability_zone": "west"}}, **ADMIN)
        assert changed.json()["aggregate"]["availability_zone"] == "west"
        assert await zones(cloud) == {"h1": "west", "h2": "nova"}
        await act(cloud, path, "set_metadata", metadata={"availability_zone": None, "ssd": "true"})
        assert await zones(cloud) == {"h1": "nova", "h2": "nova"}
        shown = (await cloud.get(path, **ADMIN))["aggregate"]
        assert (shown["metadata"], shown["availability_zone"]) == ({"ssd": "true"}, None)
        assert (await act(cloud, path, "remove_host", host="h1")).json()["aggregate"]["hosts"] == []

    talk(work)


def test_a_host_with_servers_stays_in_its_zone(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host("compute1")
        await cloud.server(1)
        path = await create(cloud, "a", "east")
        assert (await act(cloud, path, "add_host", host="compute1")).status == 409
        assert (await cloud.get(path, **ADMIN))["aggregate"]["hosts"] == []
        plain = await create(cloud, "b")
        assert (await act(cloud, plain, "add_host", host="compute1")).status == 200
        renamed = await cloud.ask("PUT", plain, {"aggregate": {"availability_zone": "east"}}, **ADMIN)
        assert renamed.status == 409
        assert await zones(cloud) == {"compute1": "nova"}

    talk(work)


def test_a_host_is_in_one_zone(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host("h1")
        east, west, plain = await create(cloud, "a", "east"), await create(cloud, "b", "west"), await create(cloud, "c")
        for path in (east, plain):
            assert (await act(cloud, path, "add_host", host="h1")).status == 200
        refused = await act(cloud, west, "add_host", host="h1")
        assert refused.status == 409
        assert "already in availability zone" in refused.json()["conflictingRequest"]["message"]

    talk(work)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {"aggregate": {"name": "a"}}, 409),
        ("POST", "", {"aggregate": {"name": ""}}, 400),
        ("POST", "", {"aggregate": {}}, 400),
        ("PUT", "/1", {"aggregate": {}}, 400),
        ("PUT", "/1", {"aggregate": {"name": "b"}}, 409),
        ("PUT", "/1", {"aggregate": {"name": "c"}}, 200),
        ("PUT", "/9", {"aggregate": {"name": "c"}}, 404),
        ("GET", "/9", None, 404),
        ("GET", "/a", None, 404),
        ("DELETE", "/9", None, 404),
        ("DELETE", "/1", None, 400),
        ("DELETE", "/2", None, 200),
        ("POST", "/1/action", {"add_host": {"host": "nowhere"}}, 404),
        ("POST", "/1/action", {"add_host": {"host": "h1"}}, 409),
        ("POST", "/1/action", {"remove_host": {"host": "h2"}}, 404),
        ("POST", "/1/action", {"set_metadata": {"metadata": {"availability_zone": ""}}}, 400),
        ("POST", "/1/action", {"set_metadata": {"metadata": {"k": 1}}}, 400),
        ("POST", "/1/action", {"explode": {}}, 400),
    ],
)
def test_what_aggregates_answer(talk: Talk, method: str, path: str, body: Any, status: int) -> None:
    async def work(cloud: Cloud) -> Any:
        await cloud.host("h1")
        first = await create(cloud, "a")
        await create(cloud, "b")
        await act(cloud, first, "add_host", host="h1")
        return await cloud.ask(method, f"/os-aggregates{path}", body, **ADMIN)

    found = talk(work)
    assert found.status == status, found.body
