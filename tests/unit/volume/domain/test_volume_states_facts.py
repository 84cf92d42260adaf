"""The table of rules against the recorded facts: our own transcription, and the fact sheet itself where it lies by."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pileus.volume.domain.volume_states import ANY, RULES, Action, AttachStatus, VolumeStatus

FACTS = Path(__file__).parent / "facts" / "accepted.csv"
SHEET = Path(__file__).resolve().parents[5] / "shared" / "api" / "server-states.md"
OURS = {  # no row of their own on the sheet
    Action.FORCE_DELETE, Action.ATTACH, Action.SET_BOOTABLE, Action.SET_METADATA, Action.UPDATE, Action.RESET_STATUS,
}  # fmt: skip


def rows() -> list[dict[str, str]]:
    with FACTS.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def statuses(text: str) -> frozenset[VolumeStatus]:
    return ANY if text == "any" else frozenset(VolumeStatus(word) for word in text.split())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["action"])
def test_each_rule_is_as_the_facts_say(row: dict[str, str]) -> None:
    rule = RULES[Action[row["action"]]]
    assert rule.statuses == statuses(row["statuses"])
    assert (rule.more, rule.when) == (statuses(row["more"]), row["when"])
    assert [status.value for status in rule.shows] == row["shows"].split()
    assert (rule.fails_in.value if rule.fails_in else "") == row["fails_in"]


def test_every_action_has_a_rule_and_a_row_of_facts_or_is_ours() -> None:
    assert set(RULES) == set(Action)
    assert {Action[row["action"]] for row in rows()} == set(Action) - OURS


# -- against the fact sheet itself ---------------------------------------------------------------------------------
beside = pytest.mark.skipif(not SHEET.exists(), reason=f"no fact sheet at {SHEET}")


def section() -> str:
    return SHEET.read_text(encoding="utf-8").split("## Volume status", 1)[1].split("\n## ", 1)[0]


def sheet_rows() -> Iterator[list[str]]:
    lines = [line for line in section().splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def known(text: str) -> set[str]:
    """The statuses that a text names."""
    return set(re.findall(r"[a-z_-]+", text)) & {status.value for status in VolumeStatus}


@beside
def test_the_statuses_are_those_of_the_sheet() -> None:
    listed = section().split("\n\n")[1].split("attach_status:")[0]
    on_sheet = set(re.findall(r"`([a-z_-]+)`", listed))
    assert on_sheet == {status.value for status in VolumeStatus} - {"reverting"}
    said = section().rsplit("Attachment: ", 1)[1].split(".")[0]
    assert set(said.split(", ")) == {status.value for status in AttachStatus}


@beside
def test_the_transcription_is_faithful() -> None:
    ours = {row["api"]: row for row in rows()}
    seen = set()
    for api, required, through in sheet_rows():
        names = {
            "attachment create (3.27+)": ["attachment create"],
            "os-reserve / os-unreserve": ["os-reserve", "os-unreserve"],
            "os-begin_detaching / os-roll_detaching": ["os-begin_detaching", "os-roll_detaching"],
        }.get(api, [api])  # fmt: skip
        if api == "os-set_bootable, metadata, update":
            continue
        parts = required.split(" / ") if len(names) > 1 else [required.split(";")[0] if api == "delete" else required]
        for name, part in zip(names, parts, strict=True):
            row = ours[name]
            seen.add(name)
            wanted = known(part) - ({"creating"} if name == "create" else set())
            own = set() if row["statuses"] in ("any", "creating") else set(row["statuses"].split())
            assert wanted == own | set(row["more"].split()), name
            assert set(row["shows"].split()) <= known(through) | {"creating"}, name
    assert seen == set(ours)
