"""A cloud that cannot start: it says what is in the way and what to do, and leaves what is there as it was."""

import hashlib
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cloud import World
from tests.conftest import Run


def content(state: Path) -> dict[str, str]:
    """Every file's hash, by its path; without the log and what a look into the database leaves."""
    return {
        str(path.relative_to(state)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in state.rglob("*")
        if path.is_file() and path.name not in ("pileus.log", "lock") and not path.name.endswith(("-shm", "-wal"))
    }


def up(state: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user types it."""
    command = [sys.executable, "-m", "pileus", "up", "--hypervisor", "fake", "--detach", "--state", str(state), *more]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def state(run: Run, tmp_path: Path) -> Path:
    """The state directory of a cloud that has been up, with a network in it."""
    place = tmp_path / "state"

    async def scenario() -> None:
        world = World(place, hosts=1)
        await world.start()
        await (await world.admin()).create_network("net")
        await world.stop()

    run(scenario)
    (place / "format").write_text("1\n")
    place.chmod(0o711)
    return place


def newer_tables(state: Path) -> None:
    connection = sqlite3.connect(state / "pileus.db")
    connection.execute("UPDATE pileus_schema SET version = 9999 WHERE service = 'network'")
    connection.commit()
    connection.close()


def newer_format(state: Path) -> None:
    (state / "format").write_text("9\n")


def broken_secrets(state: Path) -> None:
    (state / "secrets.json").write_text("{")


def broken_database(state: Path) -> None:
    for path in state.glob("pileus.db-*"):
        path.unlink()
    (state / "pileus.db").write_bytes(b"this is no database" * 500)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (newer_tables, "newer pileus"), (newer_format, "format 9"), (broken_secrets, "Restore a backup"),
        (broken_database, "backup"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)  # fmt: skip
def test_a_state_that_cannot_be_used_is_named_with_its_mend(
    state: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(state)
    before = content(state)
    ended = up(state, "--port", "18871")
    assert ended.returncode == 1
    assert words in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert content(state) == before


def test_a_taken_port_is_named_and_nothing_is_begun(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = up(tmp_path / "state", "--port", port)
    assert ended.returncode == 1
    assert port in ended.stdout + ended.stderr
    assert "--port" in ended.stdout + ended.stderr
    assert not (tmp_path / "state" / "pileus.db").exists()
