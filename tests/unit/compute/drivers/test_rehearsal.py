"""The words with which a user makes the fake hypervisor go wrong."""

import pytest

from pileus.compute.drivers import rehearsal
from pileus.compute.drivers.rehearsal import DELAY, FAIL, BadRehearsal, Rule, parse, read_rehearsal


def test_the_document_names_every_word_and_its_operation() -> None:
    text = rehearsal.__doc__ or ""
    rows = {line.split()[0]: line.split()[1] for line in text.splitlines() if line.startswith("    ") and line.split()}
    for name, word in rehearsal.WORDS.items():
        assert rows[name] == word.operation


def test_every_word_has_an_error_or_is_a_behaviour_of_the_guest() -> None:
    behaviours = {name for name, word in rehearsal.WORDS.items() if word.error is None}
    assert behaviours == {"crash", "shutdown", "deaf", "silent"}


def test_metadata_of_others_ask_for_nothing() -> None:
    assert read_rehearsal({"role": "web"}) is rehearsal.NOTHING
    assert read_rehearsal({FAIL: "", DELAY: ""}) is rehearsal.NOTHING


def test_words_counts_chances_and_hosts_are_read() -> None:
    found = parse("spawn:2, stop:12.5% ,reboot@host-2,busy:1@host-3", "")
    assert found.rules == (
        Rule("spawn", times=2),
        Rule("stop", percent=12.5),
        Rule("reboot", host="host-2"),
        Rule("busy", times=1, host="host-3"),
    )


def test_a_rule_holds_for_its_operation_and_host() -> None:
    found = parse("spawn,reboot@host-2,unavailable,crash", "")
    assert [rule.word for rule in found.rules_for("spawn", "host-1")] == ["spawn", "unavailable"]
    assert [rule.word for rule in found.rules_for("reboot", "host-1")] == ["unavailable"]
    assert [rule.word for rule in found.rules_for("reboot", "host-2")] == ["reboot", "unavailable"]
    assert [rule.word for rule in found.rules_for("boot", "host-1")] == ["crash"]


def test_a_delay_is_for_one_operation_or_for_all_calls() -> None:
    found = parse("", "2.5,spawn:30,crash:4")
    assert (found.delay_s("spawn"), found.delay_s("stop"), found.delay_s("crash")) == (30, 2.5, 4)
    assert (found.delay_s("shutdown"), parse("", "9").delay_s("crash")) == (0, 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (FAIL, "explode"),
        (FAIL, "spawn:" * 2),
        (FAIL, "spawn:x"),
        (FAIL, "spawn:-1"),
        (FAIL, "spawn:1.5"),
        (FAIL, "spawn:101%"),
        (FAIL, "spawn:nan%"),
        (FAIL, "spawn:²"),
        (DELAY, "soon"),
        (DELAY, "spawn:"),
        (DELAY, "dance:3"),
        (DELAY, "-1"),
        (DELAY, "nan"),
        (DELAY, "1e9"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(BadRehearsal) as refused:
        read_rehearsal({key: value})
    assert key in str(refused.value)
