"""Lists of volumes: whose, which, in what order, how many at a time."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlparse

import pytest

from tests.api.volume_cloud import VolumeCloud, project, tell  # noqa: F401 - a fixture


async def ids(cloud: VolumeCloud, query: str, key: str = "name", **options: Any) -> list[Any]:
    return [volume[key] for volume in (await cloud.get(f"/volumes/detail?{query}", **options))["volumes"]]


async def some(cloud: VolumeCloud) -> None:
    await cloud.volume(name="a", size=3, metadata={"tier": "gold", "zone": "x"})
    await cloud.volume(name="b", size=1, metadata={"tier": "gold"})
    await cloud.volume(name="c", size=2, metadata={"pileus:fail": "create"})
    await cloud.volume(name="theirs", as_="member@blue")


def test_everybody_sees_their_own_and_the_newest_first(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await some(cloud)
        assert await ids(cloud, "") == ["c", "b", "a"]
        assert await ids(cloud, "", as_="member@blue") == ["theirs"]
        assert await ids(cloud, "all_tenants=1") == ["c", "b", "a"]
        assert await ids(cloud, f"all_tenants=1&project_id={project('blue')}") == ["c", "b", "a"]
        for as_ in ("admin@ops", "service"):
            assert await ids(cloud, "all_tenants=1", as_=as_) == ["theirs", "c", "b", "a"]
            assert await ids(cloud, "", as_=as_) == []
        assert await ids(cloud, f"all_tenants=1&project_id={project('blue')}", as_="admin@ops") == ["theirs"]

    tell(story)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=a", ["a"]),
        ("status=error", ["c"]),
        ("status=available", ["b", "a"]),
        ("size=2", ["c"]),
        ("bootable=false", ["c", "b", "a"]),
        ("bootable=true", []),
        ("availability_zone=nova", ["c", "b", "a"]),
        ("availability_zone=mars", []),
        ("metadata=" + quote("{'tier': 'gold'}"), ["b", "a"]),
        ("metadata=" + quote('{"tier": "gold", "zone": "x"}'), ["a"]),
        ("metadata=" + quote("{'tier': 'silver'}"), []),
        ("name~=B", ["b"]),
        ("name~=" + quote("%"), []),
        ("created_at=gt:2020-01-01T00:00:00", ["c", "b", "a"]),
        ("created_at=lt:2020-01-01", []),
        ("created_at=" + quote("gte:2020-01-01T00:00:00,lt:2100-01-01"), ["c", "b", "a"]),
        ("sort=size:asc", ["b", "c", "a"]),
        ("sort=status:desc,name:asc", ["c", "a", "b"]),
        ("sort_key=name&sort_dir=asc", ["a", "b", "c"]),
        ("sort_key=name", ["c", "b", "a"]),
        ("limit=2", ["c", "b"]),
        ("limit=1&offset=1", ["b"]),
        ("limit=0", []),
        ("limit=99999", ["c", "b", "a"]),
    ],
)
def test_a_query_finds_what_it_says(tell: Any, query: str, names: list[str]) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await some(cloud)
        assert await ids(cloud, query) == names

    tell(story)


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "offset=-1", "offset=99999999999", "sort=chairs", "sort=name:up",
        "sort=name&sort_key=name", "sort_key=name&sort_dir=sideways", "chairs=3", "size=many", "bootable=perhaps",
        "created_at=gt:yesterday", "metadata=gold", "metadata=" + quote("{'a': 1}"), "metadata=" + "(" * 300,
        "metadata=" + "[" * 5000,
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(tell: Any, query: str) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await some(cloud)
        assert "badRequest" in await cloud.get(f"/volumes?{query}", expect=400)

    tell(story)


def test_older_versions_leave_unknown_filters_aside(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await some(cloud)
        assert await ids(cloud, "chairs=3", version="volume 3.30") == ["c", "b", "a"]
        assert await ids(cloud, "bootable=perhaps", version="volume 3.1") == ["c", "b", "a"]
        assert await ids(cloud, "name~=b", version="volume 3.33") == ["c", "b", "a"]

    tell(story)


@pytest.mark.parametrize("order", ["", "&sort=size:asc", "&sort_key=name&sort_dir=desc", "&sort=status:desc,size:asc"])
def test_pages_show_everything_once(tell: Any, order: str) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        for number in range(7):
            await cloud.volume(name=f"v{number % 3}", size=1 + number % 2)
        whole = await ids(cloud, order.lstrip("&"), "id")
        seen: list[str] = []
        path = f"/volumes?limit=2{order}"
        while path:
            page = await cloud.get(path)
            seen += [volume["id"] for volume in page["volumes"]]
            links = page.get("volumes_links", [])
            parsed = urlparse(links[0]["href"]) if links else None
            path = f"{parsed.path.removeprefix('/v3')}?{parsed.query}" if parsed else ""
        assert seen == whole
        assert len(set(seen)) == 7

    tell(story)


def test_a_count_comes_when_asked_for(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await some(cloud)
        assert (await cloud.get("/volumes?limit=1&with_count=true"))["count"] == 3
        assert (await cloud.get("/volumes/detail?status=error&with_count=true"))["count"] == 1
        assert "count" not in await cloud.get("/volumes?with_count=true", version="volume 3.44")
        assert "count" not in await cloud.get("/volumes")

    tell(story)


def test_a_summary_adds_up(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await some(cloud)
        summary = (await cloud.get("/volumes/summary"))["volume-summary"]
        assert (summary["total_count"], summary["total_size"]) == (3, 6)
        assert summary["metadata"]["tier"] == ["gold"]
        old = (await cloud.get("/volumes/summary", version="volume 3.12"))["volume-summary"]
        assert old == {"total_size": 6, "total_count": 3}

    tell(story)


def test_a_page_behind_what_is_not_there_is_not_found(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        for path in ("/volumes", "/snapshots", "/types", "/messages"):
            await cloud.get(f"{path}?marker=unknown", expect=404)

    tell(story)


def test_a_brief_list_is_brief(tell: Any, tmp_path: Path) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        await cloud.volume(name="a")
        (shown,) = (await cloud.get("/volumes"))["volumes"]
        assert set(shown) == {"id", "name", "links"}

    tell(story)
