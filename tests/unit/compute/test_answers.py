"""A host answers a flow that asks again, also in its next life, and does nothing twice."""

from pathlib import Path

import pytest

from pileus.compute.host.answers import MOST, Answers


@pytest.mark.parametrize("torn", [b'["c",{"pow', bytes(9) + b"\n"])
def test_answers_outlive_the_process_and_a_torn_end(tmp_path: Path, torn: bytes) -> None:
    answers = Answers(tmp_path / "answers")
    answers.open()
    assert answers.find("a") is None
    answers.add("a", {"power_state": 1})
    answers.add("b", {})
    answers.close()
    with (tmp_path / "answers").open("ab") as file:
        file.write(torn)
    again = Answers(tmp_path / "answers")
    again.open()
    assert (again.find("a"), again.find("b"), again.find("c")) == ({"power_state": 1}, {}, None)
    again.add("c", {"power_state": 4})
    again.close()
    third = Answers(tmp_path / "answers")
    third.open()
    assert third.find("c") == {"power_state": 4}
    third.close()


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers")
    answers.open()
    for number in range(MOST + 1):
        answers.add(str(number), {})
    assert answers.find("0") is None
    assert answers.find(str(MOST)) == {}
    answers.close()


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers")
    answers.open()
    for number in range(5 * MOST):
        answers.add(f"flow {number}", {"n": number})
    lines = (tmp_path / "answers").read_bytes().count(b"\n")
    assert MOST <= lines <= 2 * MOST
    answers.close()
    again = Answers(tmp_path / "answers")
    again.open()
    assert again.find(f"flow {5 * MOST - 1}") == {"n": 5 * MOST - 1}
    assert again.find(f"flow {4 * MOST - 1}") is None
    again.close()
