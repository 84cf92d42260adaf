"""What the fake hypervisor keeps survives whatever ends its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pileus.compute.drivers.base import HypervisorFailed, HypervisorUnavailable, NoDiskSpace
from pileus.compute.drivers.fake_journal import Journal


class Thing(msgspec.Struct, frozen=True):
    number: int


class OlderThing(msgspec.Struct, frozen=True):
    pass


def opened(path: Path) -> Journal[Thing]:
    journal = Journal(path, Thing)
    journal.open()
    return journal


def reopened(journal: Journal[Thing], path: Path) -> dict[str, Thing]:
    journal.close()
    again = opened(path)
    again.close()
    return again.items


def test_values_are_found_again_and_removed_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "journal"
    journal = opened(path)
    journal.put("a", Thing(1))
    journal.put("b", Thing(2))
    journal.put("a", Thing(3))
    journal.remove("b")
    journal.remove("never there")
    assert reopened(journal, path) == {"a": Thing(3)}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_host_without_guests_has_no_file(tmp_path: Path) -> None:
    opened(tmp_path / "journal").close()
    assert list(tmp_path.iterdir()) == []


def test_every_torn_end_is_forgotten_and_all_before_it_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    journal.put("a", Thing(1))
    whole = path.stat().st_size
    journal.put("b", Thing(2))
    journal.close()
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        torn = opened(path)
        assert torn.items == ({"a": Thing(1)} if length >= whole else {})
        torn.put("c", Thing(3))
        assert reopened(torn, path) == {**torn.items, "c": Thing(3)}


def test_a_record_that_rotted_ends_the_history(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    journal.put("a", Thing(1))
    journal.put("b", Thing(2))
    journal.close()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert opened(path).items == {"a": Thing(1)}


def test_a_long_history_is_shortened_without_losing_anything(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    for number in range(5000):
        journal.put(f"key {number % 7}", Thing(number))
    assert path.stat().st_size < 100_000
    assert reopened(journal, path) == {f"key {number % 7}": Thing(number) for number in range(4993, 5000)}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["journal"]


def test_a_newer_field_does_not_disturb_an_older_reader(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    journal.put("a", Thing(1))
    journal.close()
    older = Journal(path, OlderThing)
    older.open()
    assert older.items == {"a": OlderThing()}


def test_a_file_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"pileus guests 9\nsomething else")
    with pytest.raises(HypervisorFailed):
        opened(path)
    assert path.read_bytes() == b"pileus guests 9\nsomething else"


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    journal.put("a", Thing(1))
    size = path.stat().st_size
    code = """
import resource, signal, sys
from pathlib import Path
from tests.unit.compute.drivers.test_fake_journal import Thing, opened
from pileus.compute.drivers.base import NoDiskSpace
journal = opened(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]) + 5, int(sys.argv[2]) + 5))
try:
    journal.put("b", Thing(2))
except NoDiskSpace:
    print("full", sorted(journal.items))
"""
    journal.close()
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(size)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "full ['a']\n"
    assert path.stat().st_size == size
    assert NoDiskSpace.code == "hypervisor.disk-full"


def test_what_was_put_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    code = """
import sys
from pathlib import Path
from tests.unit.compute.drivers.test_fake_journal import Thing, opened
journal = opened(Path(sys.argv[1]))
for number in range(1, 10**9):
    journal.put("a", Thing(number))
    print(number, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(50)]
    os.kill(writer.pid, signal.SIGKILL)
    told += writer.stdout.readlines()
    writer.wait()
    last = max(int(line) for line in told if line.endswith("\n"))
    assert opened(path).items["a"].number >= last


def test_a_second_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    code = """
import sys
from pathlib import Path
from tests.unit.compute.drivers.test_fake_journal import Thing, opened
journal = opened(Path(sys.argv[1]))
journal.put("a", Thing(1))
print("have it", flush=True)
sys.stdin.read()
"""
    argv = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "have it\n"
        with pytest.raises(HypervisorUnavailable):
            opened(path)
    assert opened(path).items == {"a": Thing(1)}
