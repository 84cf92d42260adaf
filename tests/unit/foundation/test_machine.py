"""The machine's facts, read from planted kernel files."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pileus.foundation.machine import CAP_NET_ADMIN, Machine

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS = "   0: 0100007F:2260 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1\n"
TALKS = "   1: 0100007F:2261 0100007F:BEEF 01 00000000:00000000 00:00000000 00000000     0        0 778 1\n"


def plant(root: Path, files: dict[str, str]) -> Machine:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Machine(root)


def test_a_port_is_taken_when_somebody_listens_on_it(tmp_path: Path) -> None:
    machine = plant(tmp_path, {"proc/net/tcp": HEADER + LISTENS + TALKS})
    assert machine.is_port_taken(8800)
    assert not machine.is_port_taken(8801)  # a talk between two others


def test_the_holder_of_a_port_is_found_by_its_socket(tmp_path: Path) -> None:
    machine = plant(tmp_path, {"proc/net/tcp6": HEADER + LISTENS, "proc/41/comm": "nginx\n", "proc/self": ""})
    (tmp_path / "proc/41/fd").mkdir()
    (tmp_path / "proc/41/fd/7").symlink_to("socket:[777]")
    assert machine.port_holder(8800) == (41, "nginx")


def test_a_holder_that_we_may_not_see_is_nobody(tmp_path: Path) -> None:
    machine = plant(tmp_path, {"proc/net/tcp": HEADER + LISTENS, "proc/41/comm": "nginx\n"})
    assert machine.port_holder(8800) is None
    assert machine.port_holder(1) is None


@pytest.mark.parametrize(
    ("files", "mib"),
    [
        ({"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    1048576 kB\n"}, 1024),
        ({"proc/meminfo": "MemAvailable: 1048576 kB\n", "sys/fs/cgroup/memory.max": "max\n"}, 1024),
        (
            {
                "proc/meminfo": "MemAvailable: 1048576 kB\n",
                "sys/fs/cgroup/memory.max": str(512 << 20),
                "sys/fs/cgroup/memory.current": str(112 << 20),
            },
            400,
        ),
        ({}, 0),
    ],
)
def test_memory_is_what_the_container_leaves(tmp_path: Path, files: dict[str, str], mib: int) -> None:
    assert plant(tmp_path, files).available_memory_bytes() == mib << 20


def test_a_right_is_a_bit_of_the_process(tmp_path: Path) -> None:
    assert plant(tmp_path, {"proc/self/status": "Name:\tx\nCapEff:\t0000000000001000\n"}).has_capability(CAP_NET_ADMIN)
    assert not plant(tmp_path, {"proc/self/status": "CapEff:\t0000000000000fff\n"}).has_capability(CAP_NET_ADMIN)
    assert not Machine(tmp_path / "no-proc").has_capability(CAP_NET_ADMIN)


def test_free_space_is_asked_where_a_directory_would_be_made(tmp_path: Path) -> None:
    assert Machine().free_disk_bytes(tmp_path / "a/b/c") > 0


@pytest.fixture
def listener() -> Iterator[int]:
    with contextlib.closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def test_this_machine_tells_who_holds_a_port(listener: int) -> None:
    assert Machine().is_port_taken(listener)
    holder = Machine().port_holder(listener)
    assert holder is not None
    assert holder[0] == os.getpid()
