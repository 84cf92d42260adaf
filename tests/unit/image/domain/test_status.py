"""An image moves between its states as the table says, and in no other way."""

import pytest

from pileus.image.domain.errors import FormatMissing, NotNowActive, WrongStatus
from pileus.image.domain.image import Image
from pileus.image.domain.status import TRANSITIONS, Status, deactivate, move, reactivate

# The published table of states: from -> to.
FACTS = """
queued: saving uploading importing active deleted
saving: active killed queued deleted
uploading: importing queued deleted
importing: active queued deleted
active: deactivated pending_delete deleted
deactivated: active deleted
killed: deleted
pending_delete: active deleted
deleted:
"""


def image(status: str = "queued", **facts: object) -> Image:
    facts = {"disk_format": "raw", "container_format": "bare", **facts}
    return Image(id="i", owner="p", status=status, created_at=1, updated_at=1, **facts)


def test_the_table_is_the_published_one() -> None:
    published = dict(line.split(":") for line in FACTS.strip().splitlines())
    assert {status.value: set(targets) for status, targets in TRANSITIONS.items()} == {
        status: set(targets.split()) for status, targets in published.items()
    }


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_every_move_is_allowed_or_refused_by_the_table(before: Status, after: Status) -> None:
    if after in TRANSITIONS[before]:
        assert move(image(before), after).status == after
    else:
        with pytest.raises(WrongStatus) as refused:
            move(image(before), after)
        assert refused.value.text == f"Image status transition from {before.value} to {after.value} is not allowed"


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ({"disk_format": None}, "Property disk_format must be set prior to saving data."),
        ({"container_format": None}, "Property container_format must be set prior to saving data."),
        (
            {"disk_format": None, "container_format": None},
            "Properties disk_format, container_format must be set prior to saving data.",
        ),
    ],
)
@pytest.mark.parametrize(("before", "after"), [("queued", "saving"), ("queued", "active"), ("uploading", "importing")])
def test_formats_come_before_bytes(missing: dict[str, None], text: str, before: str, after: str) -> None:
    with pytest.raises(FormatMissing) as refused:
        move(image(before, **missing), Status(after))
    assert refused.value.text == text
    assert refused.value.status == 400


def test_an_image_may_be_staged_and_deleted_without_formats() -> None:
    unnamed = image(disk_format=None, container_format=None)
    assert move(unnamed, Status.UPLOADING).status == "uploading"
    assert move(unnamed, Status.DELETED).status == "deleted"


def test_back_in_the_queue_an_image_has_no_bytes() -> None:
    full = image("saving", size=5, virtual_size=6, checksum="c", os_hash_algo="a", os_hash_value="v", location="l")
    assert move(full, Status.QUEUED) == image("queued")


def test_locking_away_and_back_can_be_repeated() -> None:
    locked = deactivate(image("active"))
    assert locked.status == "deactivated"
    assert deactivate(locked) == locked
    assert reactivate(locked) == image("active")
    assert reactivate(image("active")) == image("active")


@pytest.mark.parametrize("status", ["queued", "saving", "importing", "uploading", "killed"])
def test_only_an_active_image_is_locked_away(status: str) -> None:
    for action in (deactivate, reactivate):
        with pytest.raises(NotNowActive) as refused:
            action(image(status))
        assert refused.value.status == 403
        assert f"in status '{status}'" in refused.value.text
