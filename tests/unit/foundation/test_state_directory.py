"""The state directory: made, held, refused."""

import os
from pathlib import Path

import pytest

from pileus.foundation.state_directory import FORMAT, StateBusy, StateDirectory, StateRefused, inspect_state


def test_a_look_changes_nothing(tmp_path: Path) -> None:
    assert inspect_state(tmp_path / "new") == inspect_state(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_new_directory_is_made_where_others_only_pass_through(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "a" / "state")
    assert state.path.stat().st_mode & 0o777 == 0o711
    assert (state.path / "format").read_text() == f"{FORMAT}\n"
    assert (state.path / "lock").stat().st_mode & 0o777 == 0o600
    state.release()


def test_a_second_cloud_on_the_same_directory_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    with pytest.raises(StateBusy, match=f"process {os.getpid()}"):
        StateDirectory(tmp_path)
    assert inspect_state(tmp_path).running_pid == os.getpid()
    first.release()
    assert inspect_state(tmp_path).running_pid is None
    StateDirectory(tmp_path).release()


def test_a_lock_file_left_by_a_killed_cloud_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "format").write_text(f"{FORMAT}\n")
    (tmp_path / "lock").write_text("1\n")
    assert inspect_state(tmp_path).running_pid is None
    StateDirectory(tmp_path).release()


@pytest.mark.parametrize("found", ["99", "0", "what?", ""])
def test_another_format_is_refused_and_left_alone(tmp_path: Path, found: str) -> None:
    (tmp_path / "format").write_text(found)
    with pytest.raises(StateRefused, match=r"format .* Start the pileus that made it"):
        StateDirectory(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["format"]


def test_a_directory_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").write_text("x")
    with pytest.raises(StateRefused, match="no cloud"):
        StateDirectory(tmp_path)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(StateRefused, match="not a directory"):
        StateDirectory(tmp_path / "x")


def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StateRefused, match="chmod go-w"):
        StateDirectory(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, -1)
    with pytest.raises(StateRefused, match="belongs to user 4711"):
        StateDirectory(tmp_path)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    facts = inspect_state(tmp_path / "x" / "state")
    assert not facts.exists
    assert "cannot be made" in facts.problem
