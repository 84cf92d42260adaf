"""Pages of images: who sees which, filtered, ordered, one after the other."""

import itertools
from typing import Any

import pytest

from pileus.foundation.database import SqliteDatabase, Transaction
from pileus.image.domain.image import Image, Member
from pileus.image.domain.listing import Filter, Listing
from pileus.image.store import images, listings, members
from pileus.image.store.tables import SCHEMA
from tests.conftest import Run

ROWS: list[dict[str, Any]] = [
    {"id": "pub", "owner": "root", "visibility": "public", "name": "debian", "size": 30, "tags": ("x", "y")},
    {"id": "com", "owner": "root", "visibility": "community", "name": "extra", "size": 10},
    {"id": "mine", "owner": "alice", "visibility": "private", "name": "own", "properties": {"os": "linux", "v": "12"}},
    {"id": "mycom", "owner": "alice", "visibility": "community", "name": "a,b", "size": 20, "tags": ("x",)},
    {"id": "hers", "owner": "bob", "visibility": "private", "name": "secret"},
    {"id": "offered", "owner": "bob", "visibility": "shared", "name": "offer", "properties": {"os": "linux"}},
    {"id": "taken", "owner": "bob", "visibility": "shared", "name": "taken", "size": 20},
    {"id": "closed", "owner": "bob", "visibility": "private", "name": "was shared"},
]
INVITED = {"offered": "pending", "taken": "accepted", "closed": "accepted"}


@pytest.fixture
def db(run: Run, database: SqliteDatabase) -> SqliteDatabase:
    async def fill(tx: Transaction) -> None:
        for number, row in enumerate(ROWS):
            at = 1000 + number // 2 * 10  # two of each moment: the id decides between them
            await images.insert(tx, Image(created_at=at, updated_at=at, **row))
        for image_id, status in INVITED.items():
            await members.insert(
                tx, Member(image_id=image_id, member_id="alice", status=status, created_at=1, updated_at=1)
            )

    async def work() -> None:
        await database.migrate(SCHEMA)
        await database.transact(fill)

    run(work)
    return database


@pytest.fixture
def listed(run: Run, db: SqliteDatabase) -> Any:
    """The ids of a page for alice, or whatever the listing says."""

    async def work(listing: Listing) -> list[str]:
        marker = await images.find(db, listing.marker) if listing.marker else None
        return [image.id for image in await listings.page(db, listing, marker)]

    return lambda **asked: run(work, Listing(**{"project_id": "alice", **asked}))


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({}, {"pub", "mine", "mycom", "taken"}),
        ({"member_status": "pending"}, {"pub", "mine", "mycom", "offered"}),
        ({"member_status": "rejected"}, {"pub", "mine", "mycom"}),
        ({"member_status": "all"}, {"pub", "mine", "mycom", "taken", "offered"}),
        ({"visibility": "public"}, {"pub"}),
        ({"visibility": "private"}, {"mine"}),
        ({"visibility": "shared"}, {"taken"}),
        ({"visibility": "community"}, {"com", "mycom"}),
        ({"visibility": "all"}, {"pub", "com", "mine", "mycom", "taken"}),
        ({"project_id": "carol"}, {"pub"}),
        ({"project_id": "carol", "visibility": "private"}, set()),
        ({"project_id": ""}, {"pub"}),
        ({"everything": True, "project_id": "root"}, {row["id"] for row in ROWS} - {"mycom"}),
        ({"everything": True, "project_id": "root", "visibility": "private"}, {"mine", "hers", "closed"}),
        ({"everything": True, "project_id": "root", "visibility": "all"}, {row["id"] for row in ROWS}),
    ],
)
def test_everybody_sees_what_is_for_him(listed: Any, asked: dict[str, Any], seen: set[str]) -> None:
    assert set(listed(**asked)) == seen


@pytest.mark.parametrize(
    ("filters", "seen"),
    [
        ([Filter("name", "eq", ("own",))], {"mine"}),
        ([Filter("name", "in", ("own", "a,b"))], {"mine", "mycom"}),
        ([Filter("name", "in", ())], set()),
        ([Filter("size", "eq", (20,))], {"mycom", "taken"}),
        ([Filter("size", "min", (20,))], {"pub", "mycom", "taken"}),
        ([Filter("size", "min", (11,)), Filter("size", "max", (29,))], {"mycom", "taken"}),
        ([Filter("owner", "eq", ("bob",))], {"taken"}),
        ([Filter("os", "eq", ("linux",))], {"mine"}),
        ([Filter("os", "eq", ("linux",)), Filter("v", "eq", ("12",))], {"mine"}),
        ([Filter("os", "eq", ("linux",)), Filter("v", "eq", ("13",))], set()),
        ([Filter("'; DROP TABLE image_images; --", "eq", ("x",))], set()),
        ([Filter("created_at", "gte", (1030,))], {"taken"}),
        ([Filter("created_at", "lt", (1010,))], {"pub"}),
        ([Filter("protected", "eq", (1,))], set()),
    ],
)
def test_filters_narrow_what_is_seen(listed: Any, filters: list[Filter], seen: set[str]) -> None:
    assert set(listed(filters=tuple(filters))) == seen


def test_tags_narrow_all_together(listed: Any) -> None:
    assert set(listed(tags=("x",))) == {"pub", "mycom"}
    assert set(listed(tags=("x", "y"))) == {"pub"}
    assert listed(tags=("z",)) == []


def test_the_newest_come_first(listed: Any) -> None:
    assert listed(member_status="all") == ["taken", "offered", "mycom", "mine", "pub"]


@pytest.mark.parametrize("keys", list(itertools.permutations(["size", "name", "disk_format"], 2)))
@pytest.mark.parametrize("falls", list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_follow_one_another_without_gap_or_double(
    listed: Any, keys: tuple[str, ...], falls: tuple[bool, ...], limit: int
) -> None:
    order = tuple(zip(keys, falls, strict=True))
    asked = {"everything": True, "visibility": "all", "order": order}
    whole = listed(**asked, limit=100)
    assert sorted(whole) == sorted(row["id"] for row in ROWS)
    pages: list[str] = []
    while page := listed(**asked, limit=limit, marker=pages[-1] if pages else ""):
        assert len(page) <= limit
        pages += page
    assert pages == whole


def test_absent_values_are_the_least(listed: Any) -> None:
    ids = listed(everything=True, visibility="all", order=(("size", False),))
    assert ids[-4:] == ["com", "mycom", "taken", "pub"]


def test_no_page_is_longer_than_asked(listed: Any) -> None:
    assert listed(limit=0) == []
    assert len(listed(limit=2)) == 2
