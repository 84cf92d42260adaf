"""Lists on the wire: pages, order, filters, and the words of a bad question."""

from pathlib import Path

import pytest

from tests.unit.image.api.cloud import ImageCloud, story


async def names(cloud: ImageCloud, query: str, token: str = "alice:member") -> list[str]:
    answer = await cloud.call("GET", f"/v2/images{query}", token=token)
    assert answer.status == 200, answer.body
    return [image["name"] for image in answer.json["images"]]


async def fill(cloud: ImageCloud) -> None:
    """One, two, three; the second has most bytes, the third is hidden."""
    await cloud.active(bytes(10), name="one", tags=["x"], os="linux", min_ram=5)
    await cloud.active(bytes(30), name="two", tags=["x", "y"], os="bsd", protected=True)
    await cloud.active(bytes(20), name="three", os_hidden=True, os="linux")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["two", "one"]),
        ("?os_hidden=true", ["three"]),
        ("?os_hidden=True", ["three"]),
        ("?os_hidden=false", ["two", "one"]),
        ("?name=one", ["one"]),
        ("?name=in:one,two", ["two", "one"]),
        ('?name=in:"one",three', ["one"]),
        ("?name=nobody", []),
        ("?tag=x", ["two", "one"]),
        ("?tag=x&tag=y", ["two"]),
        ("?os=linux", ["one"]),
        ("?os=linux&os_hidden=true", ["three"]),
        ("?status=active", ["two", "one"]),
        ("?status=in:queued,saving", []),
        ("?size_min=11", ["two"]),
        ("?size_max=11", ["one"]),
        ("?size=10", ["one"]),
        ("?size_min=-99999999999999999999999999", ["two", "one"]),
        ("?min_ram=5", ["one"]),
        ("?protected=true", ["two"]),
        ("?protected=False", ["one"]),
        ("?owner=alice", ["two", "one"]),
        ("?owner=bob", []),
        ("?visibility=shared", ["two", "one"]),
        ("?visibility=public", []),
        ("?sort=name:asc", ["one", "two"]),
        ("?sort=size:desc", ["two", "one"]),
        ("?sort=size", ["two", "one"]),
        ("?sort=status:asc,size:asc", ["one", "two"]),
        ("?sort_key=size&sort_dir=asc", ["one", "two"]),
        ("?sort_key=status&sort_key=name&sort_dir=asc", ["one", "two"]),
        ("?sort_key=status&sort_key=name&sort_dir=asc&sort_dir=desc", ["two", "one"]),
        ("?limit=1", ["two"]),
        ("?limit=0", []),
        ("?limit=99999", ["two", "one"]),
        ("?created_at=gt:2020-01-01T00:00:00Z", ["two", "one"]),
        ("?created_at=lt:2020-01-01T00:00:00Z", []),
        ("?created_at=2020-01-01T00:00:00", []),
        ("?updated_at=neq:2020-01-01T00:00:00%2B01:00", ["two", "one"]),
        ("?created_at=gt:0001-01-01T00:00:00%2B23:00", ["two", "one"]),
        ("?unknown_property=1", []),
        ("?created_min=1", []),
    ],
)
def test_a_question_finds_its_images(tmp_path: Path, query: str, found: list[str]) -> None:
    async def work(cloud: ImageCloud) -> None:
        await fill(cloud)
        assert await names(cloud, query) == found

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?limit=-1", "limit"),
        ("?limit=x", "limit"),
        ("?marker=nope", "Marker nope could not be found"),
        ("?marker=00000000-1111-2222-3333-444455556666", "could not be found"),
        ("?sort_key=nope", "sort_key"),
        ("?sort_dir=up", "sort_dir"),
        ("?sort=nope:asc", "Invalid sort key: nope"),
        ("?sort=name:up", "Invalid sort direction: up"),
        ("?sort=name:asc&sort_key=name", "cannot be combined"),
        ("?sort_key=name&sort_dir=asc&sort_dir=desc", "does not match the number"),
        ("?visibility=secret", "visibility"),
        ("?member_status=maybe", "member_status"),
        ("?os_hidden=maybe", "os_hidden"),
        ("?protected=maybe", "protected"),
        ("?size_min=x", "size_min"),
        ("?size=x", "size"),
        ("?name=gt:x", "unknown operator 'gt'"),
        ('?name=in:"a"b,c', "quotation mark"),
        ("?created_at=yesterday", "created_at"),
        ("?created_at=in:2020-01-01", "unknown operator 'in'"),
        ("?changes-since=2020-01-01", "changes-since"),
        ("?name=a%00b", "NUL"),
    ],
)
def test_a_bad_question_is_400_and_its_word_named(tmp_path: Path, query: str, words: str) -> None:
    async def work(cloud: ImageCloud) -> None:
        answer = await cloud.call("GET", f"/v2/images{query}")
        assert (answer.status, words in answer.text) == (400, True), answer.text

    story(tmp_path, work)


def test_pages_lead_to_one_another(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        for number in range(5):
            await cloud.create(name=f"n{number}", tags=["a b"])
        first = (await cloud.call("GET", "/v2/images?limit=2&tag=a+b&sort=name:asc")).json
        assert first["first"] == "/v2/images?limit=2&tag=a+b&sort=name%3Aasc"
        assert first["schema"] == "/v2/schemas/images"
        assert first["next"] == f"{first['first']}&marker={first['images'][-1]['id']}"
        second = (await cloud.call("GET", first["next"])).json
        assert second["first"] == first["first"]
        third = (await cloud.call("GET", second["next"])).json
        found = [image["name"] for page in (first, second, third) for image in page["images"]]
        assert found == ["n0", "n1", "n2", "n3", "n4"]
        assert "next" not in third
        whole = (await cloud.call("GET", "/v2/images")).json
        assert (whole["first"], "next" in whole) == ("/v2/images", False)

    story(tmp_path, work)


def test_a_page_has_its_default_and_its_most(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        for _ in range(5):
            await cloud.create(name="n")
        assert len(await names(cloud, "")) == 2
        assert len(await names(cloud, "?limit=99")) == 3

    story(tmp_path, work, page_default=2, page_most=3)


def test_a_stranger_s_marker_tells_nothing(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        secret = await cloud.create(token="bob:member", visibility="private")
        answer = await cloud.call("GET", f"/v2/images?marker={secret['id']}")
        assert answer.status == 400

    story(tmp_path, work)


def test_foreign_projects_stay_foreign(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        for visibility in ("private", "shared", "community"):
            await cloud.create(name=visibility, visibility=visibility)
        for query in (
            "",
            "?owner=alice",
            "?visibility=private",
            "?member_status=all",
            "?all_tenants=1",
            "?project_id=alice",
        ):
            assert await names(cloud, query, "bob:member") == [], query
        assert await names(cloud, "?visibility=all", "bob:member") == ["community"]
        assert await names(cloud, "?visibility=community", "bob:member") == ["community"]
        assert await names(cloud, "", "root:admin") == ["shared", "private"]
        assert await names(cloud, "?visibility=all", "root:admin") == ["community", "shared", "private"]

    story(tmp_path, work)


def test_nobody_lists_without_a_project(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        assert (await cloud.call("GET", "/v2/images", token=":member")).status == 403
        assert (await cloud.call("GET", "/v2/images", token="")).status == 401

    story(tmp_path, work)
