"""Lists: filters, order, pages and fields; each caller sees his own, and what is shared with him."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.network_cloud import NetworkCloud, fault, play, project


async def names(cloud: NetworkCloud, query: str, *, as_: str = "member@red", kind: str = "networks") -> list[str]:
    return [item["name"] for item in (await cloud.get(f"/{kind}{query}", as_=as_))[kind]]


async def some_networks(cloud: NetworkCloud) -> None:
    """a (mtu 1300, down), b (mtu 1400), c (mtu 1400, tags x y) of red; d of blue."""
    await cloud.network(name="a", mtu=1300, admin_state_up=False, description="first")
    await cloud.network(name="b", mtu=1400, tags=["x"])
    await cloud.network(name="c", mtu=1400, tags=["x", "y"])
    await cloud.network(name="d", as_="member@blue")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["a", "b", "c"]),
        ("?name=a", ["a"]),
        ("?name=a&name=c", ["a", "c"]),
        ("?name=a&mtu=1400", []),
        ("?mtu=1400", ["b", "c"]),
        ("?name=", []),
        ("?description=", ["b", "c"]),
        ("?admin_state_up=False", ["a"]),
        ("?admin_state_up=0&admin_state_up=1", ["a", "b", "c"]),
        ("?status=ACTIVE&shared=false", ["a", "b", "c"]),
        ("?shared=true", []),
        ("?router:external=True", []),
        ("?tags=x", ["b", "c"]),
        ("?tags=x,y", ["c"]),
        ("?tags-any=y,z", ["c"]),
        ("?not-tags=x,y", ["a", "b"]),
        ("?not-tags-any=y", ["a", "b"]),
        ("?changed_since=2001-01-01T00:00:00Z", ["a", "b", "c"]),
        ("?changed_since=2999-01-01T00:00:00Z", []),
        ("?revision_number=1", ["a", "b", "c"]),
        ("?port_security_enabled=false", []),
        ("?provider:network_type=vxlan", []),  # what a caller cannot see finds nothing
        (f"?project_id={project('red')}", ["a", "b", "c"]),
        (f"?tenant_id={project('blue')}", []),
        (f"?project_id={project('red')}&tenant_id={project('blue')}", []),
    ],
)
def test_filters_find_what_fits(tmp_path: Path, query: str, found: list[str]) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await some_networks(cloud)
        assert sorted(await names(cloud, query)) == found

    play(tmp_path, story)


def test_an_administrator_sees_everybodys_and_can_ask_for_ones(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await some_networks(cloud)
        assert sorted(await names(cloud, "", as_="admin@ops")) == ["a", "b", "c", "d"]
        assert await names(cloud, f"?project_id={project('blue')}", as_="admin@ops") == ["d"]
        assert len(await names(cloud, "?provider:network_type=vxlan", as_="admin@ops")) == 4

    play(tmp_path, story)


@pytest.mark.parametrize(
    "query",
    [
        "?nope=1", "?all_tenants=1", "?admin_state_up=perhaps", "?changed_since=yesterday", "?limit=-1", "?limit=x",
        "?sort_key=name", "?sort_key=nope&sort_dir=asc", "?sort_key=name&sort_dir=up", "?subnets=x",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(tmp_path: Path, query: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        fault(await cloud.get(f"/networks{query}", expect=400))

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("?sort_key=name&sort_dir=asc", "abc"),
        ("?sort_key=name&sort_dir=desc", "cba"),
        ("?sort_key=mtu&sort_dir=desc&sort_key=name&sort_dir=desc", "cba"),
        ("?sort_key=mtu&sort_dir=asc&sort_key=name&sort_dir=desc", "acb"),
        ("?sort_key=admin_state_up&sort_dir=asc&sort_key=name&sort_dir=asc", "abc"),
    ],
)
def test_lists_are_sorted_by_several_keys(tmp_path: Path, query: str, order: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await some_networks(cloud)
        assert await names(cloud, query) == list(order)

    play(tmp_path, story)


def test_only_the_fields_asked_for_are_shown(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await some_networks(cloud)
        found = (await cloud.get("/networks?fields=id&fields=name&fields=nope"))["networks"]
        assert all(set(network) == {"id", "name"} for network in found)
        one = found[0]
        shown = (await cloud.get(f"/networks/{one['id']}?fields=name"))["network"]
        assert shown == {"name": one["name"]}
        groups = (await cloud.get("/security-groups?fields=security_group_rules"))["security_groups"]
        assert [set(item) for item in groups] == [{"security_group_rules"}]
        hidden = (await cloud.get("/networks?fields=provider:network_type"))["networks"]
        assert hidden == [{}, {}, {}]

    play(tmp_path, story)


async def walk(cloud: NetworkCloud, first: str, rel: str) -> list[list[str]]:
    """The pages that links lead through."""
    pages, path = [], first
    for _ in range(10):
        answer = await cloud.get(path)
        pages.append([network["name"] for network in answer["networks"]])
        link = next((item for item in answer["networks_links"] if item["rel"] == rel), None)
        if link is None or not answer["networks"]:
            return pages
        parts = urlsplit(link["href"])
        assert parts.path == "/v2.0/networks"
        path = f"/networks?{parts.query}"
    raise AssertionError("the links never end")


@pytest.mark.parametrize("order", ["", "&sort_key=name&sort_dir=desc", "&mtu=1400"])
def test_pages_lead_through_the_whole_list_and_back(tmp_path: Path, order: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.post("/networks", {"networks": [{"name": f"n{n}", "mtu": 1400} for n in range(5)]})
        whole = await names(cloud, "?" + order.lstrip("&"))
        forward = await walk(cloud, f"/networks?limit=2{order}", "next")
        assert [name for page in forward for name in page] == whole
        assert [len(page) for page in forward] == [2, 2, 1]
        last = (await cloud.get(f"/networks?limit=2&page_reverse=True{order}"))["networks"]
        assert [network["name"] for network in last] == whole[-2:]
        back = await walk(cloud, f"/networks?limit=2&page_reverse=True{order}", "previous")
        assert [name for page in reversed(back) for name in page] == whole

    play(tmp_path, story)


def test_links_come_with_a_limit_and_keep_the_rest_of_the_question(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await some_networks(cloud)
        assert set(await cloud.get("/networks")) == {"networks"}
        answer = await cloud.get("/networks?limit=2&name=a&name=b&fields=name")
        links = {link["rel"]: parse_qs(urlsplit(link["href"]).query) for link in answer["networks_links"]}
        assert set(links) == {"next", "previous"}
        assert (links["next"]["name"], links["next"]["limit"]) == (["a", "b"], ["2"])
        assert links["previous"]["page_reverse"] == ["True"]
        short = await cloud.get("/networks?limit=9")
        assert [link["rel"] for link in short["networks_links"]] == ["previous"]
        assert fault(await cloud.get("/networks?limit=2&marker=nope", expect=404))[0] == "NetworkNotFound"

    play(tmp_path, story)


def test_ports_are_found_by_address_and_group(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network()
        subnet = await cloud.subnet(network, "10.0.0.0/24")
        other = await cloud.subnet(network, "10.0.1.0/24")
        group = (await cloud.post("/security-groups", {"security_group": {"name": "g"}}))["security_group"]
        await cloud.port(network, name="a", fixed_ips=[{"ip_address": "10.0.0.11"}], device_id="vm1")
        await cloud.port(network, name="b", fixed_ips=[{"ip_address": "10.0.0.12"}], security_groups=[group["id"]])
        await cloud.port(network, name="c", fixed_ips=[{"ip_address": "10.0.1.12"}])

        async def found(query: str) -> str:
            return "".join(sorted(await names(cloud, query, kind="ports")))

        assert await found("?fixed_ips=ip_address=10.0.0.11") == "a"
        assert await found("?fixed_ips=ip_address=10.0.0.11&fixed_ips=ip_address=10.0.1.12") == "ac"
        assert await found(f"?fixed_ips=subnet_id={other['id']}") == "c"
        both = f"?fixed_ips=ip_address=10.0.0.11&fixed_ips=subnet_id={subnet['id']}"
        assert await found(both) == "a"
        assert await found("?fixed_ips=ip_address_substr=.12") == "bc"
        assert await found(f"?security_groups={group['id']}") == "b"
        assert await found("?device_id=vm1") == "a"
        assert await found(f"?network_id={network['id']}&limit=2&sort_key=name&sort_dir=desc") == "bc"
        await cloud.get("/ports?fixed_ips=10.0.0.11", expect=400)
        await cloud.get("/ports?fixed_ips=ip_address=x", expect=400)

    play(tmp_path, story)


def test_shared_networks_and_what_is_on_them(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.post("/networks", {"network": {"shared": True}}, expect=403)
        shared = await cloud.network(as_="admin@ops", name="shared", shared=True)
        subnet = await cloud.subnet(shared, as_="admin@ops", name="on-it")
        assert await names(cloud, "") == ["shared"]
        assert await names(cloud, "?shared=True") == ["shared"]
        assert await names(cloud, "", kind="subnets") == ["on-it"]
        await cloud.subnet(shared, "10.9.0.0/24", as_="admin@ops")
        body = {"subnet": {"network_id": shared["id"], "cidr": "10.8.0.0/24", "ip_version": 4}}
        await cloud.post("/subnets", body, expect=403)
        await cloud.port(shared, name="mine", fixed_ips=[{"subnet_id": subnet["id"]}])
        await cloud.port(shared, fixed_ips=[{"ip_address": "10.1.0.77"}], expect=403)
        await cloud.port(shared, as_="member@blue", name="theirs")
        assert await names(cloud, "", kind="ports") == ["mine"]
        path = f"/networks/{shared['id']}"
        found = await cloud.put(path, {"network": {"shared": False}}, as_="admin@ops", expect=409)
        assert fault(found)[0] == "InvalidSharedSetting"

    play(tmp_path, story)


def test_a_networks_owner_sees_who_is_on_it(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        network = await cloud.network(as_="admin@red", shared=True)
        await cloud.port(network, as_="member@blue", name="guest")
        await cloud.port(network, name="own")
        assert sorted(await names(cloud, "", kind="ports")) == ["guest", "own"]
        first = (await cloud.get("/ports?limit=1"))["ports"]
        second = (await cloud.get(f"/ports?limit=1&marker={first[0]['id']}"))["ports"]
        assert sorted(item["name"] for item in first + second) == ["guest", "own"]

    play(tmp_path, story)


class Watched:
    """A database whose reads are noted."""

    def __init__(self, database: Any, asked: list[Any]):
        self._database, self._asked = database, asked

    async def one(self, statement: Any, **values: Any) -> Any:
        self._asked.append(statement)
        return await self._database.one(statement, **values)

    async def all(self, statement: Any, **values: Any) -> Any:
        self._asked.append(statement)
        return await self._database.all(statement, **values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def test_a_list_asks_the_database_the_same_however_long_it_is(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        asked: list[Any] = []
        cloud.app.service = replace(cloud.service, database=Watched(cloud.service.database, asked))

        async def count(path: str) -> int:
            asked.clear()
            await cloud.get(path)
            return len(asked)

        paths = ("/networks", "/subnets", "/ports", "/security-groups", "/security-group-rules", "/floatingips")
        network = await cloud.network()

        async def more(names: str) -> dict[str, int]:
            for number, name in enumerate(names):
                await cloud.subnet(network, f"10.{len(names)}.{number}.0/24")
                await cloud.port(network)
                await cloud.post("/security-groups", {"security_group": {"name": name}})
            return {path: await count(path) for path in paths}

        assert await more("a") == await more("bcdefg")

    play(tmp_path, story)


def test_an_operators_stricter_rule_hides_rows(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.network(name="a")
        assert await names(cloud, "") == []
        assert await names(cloud, "", as_="admin@ops") == ["a"]

    play(tmp_path, story, policies={"get_network": "rule:admin_only"})


def test_an_operator_may_show_one_hidden_attribute(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await cloud.network(name="a")
        (found,) = (await cloud.get("/networks"))["networks"]
        assert found["provider:network_type"] == "vxlan"
        assert "provider:segmentation_id" not in found

    play(tmp_path, story, policies={"get_network:provider:network_type": "rule:owner"})
