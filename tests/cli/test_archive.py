"""`pileus backup`, `restore` and `db upgrade`: a cloud in one file, and back."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pileus.foundation.errors import Error
from pileus.foundation.http.plain_client import PlainClient
from pileus.rest import Rest
from tests.cli.conftest import admin_of, furnish, launch, shown
from tests.process import CloudProcess, wait_until

FAKE = ("--hypervisor", "fake")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[CloudProcess]:
    found = CloudProcess(tmp_path / "other")
    yield found
    found.clean_up()


def is_accepted(process: CloudProcess, token: str) -> bool:
    headers = {"x-auth-token": token}
    return (
        PlainClient(f"http://127.0.0.1:{process.port}").request("GET", "/image/v2/images", None, headers).status == 200
    )


def test_a_running_cloud_comes_back_from_its_backup(process: CloudProcess, other: CloudProcess, tmp_path: Path) -> None:
    process.up(*FAKE)
    admin = admin_of(process)
    furnish(admin)
    server = launch(admin, "kept")
    volume = admin.post("block-storage", "/volumes", {"volume": {"name": "data", "size": 1}})["volume"]["id"]
    wait_until(lambda: shown(admin, server)["status"] == "ACTIVE", "the server is ACTIVE")
    image = admin.get("image", "/images")["images"][0]
    file = tmp_path / "cloud.backup"
    process.pileus("backup", str(file))
    assert file.stat().st_mode & 0o077 == 0
    ended = Rest(f"http://127.0.0.1:{process.port}", "admin", process.settings()["auth"]["password"])
    ended.send("identity", "DELETE", "/auth/tokens", headers={"x-subject-token": ended._token})
    launch(admin, "too late")
    process.down()

    other.pileus("restore", str(file))
    other.up()
    for token in (admin._token, ended._token):
        assert not is_accepted(other, token)
    again = admin_of(other)
    assert is_accepted(other, again._token)
    assert [each["id"] for each in again.get("compute", "/servers")["servers"]] == [server]
    assert shown(again, server)["status"] == "ACTIVE"
    assert again.get("block-storage", f"/volumes/{volume}")["volume"]["status"] == "available"
    assert len(again.send("image", "GET", f"/images/{image['id']}/file").body) == 1 << 20
    assert other.document("audit")["clean"]
    other.down()
    other.pileus("up", "--detach")
    assert is_accepted(other, again._token)  # they end once, not at every start


def test_a_restore_takes_no_directory_that_holds_something(process: CloudProcess, tmp_path: Path) -> None:
    process.up(*FAKE)
    file = tmp_path / "cloud.backup"
    process.pileus("backup", str(file))
    refused = process.pileus("restore", str(file), code=1)
    assert "Name a new directory" in refused.stderr
    assert process.document("audit")["clean"]


def _file(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _link(tar: tarfile.TarFile) -> None:
    member = tarfile.TarInfo("images/x")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    tar.addfile(member)


GOOD = b'{"version": "0", "format": 1}'


@pytest.mark.parametrize("case", ["text", "empty", "no manifest", "later", "broken", "climbs", "absolute", "link"])
def test_what_is_no_backup_leaves_nothing(process: CloudProcess, tmp_path: Path, case: str) -> None:
    file = tmp_path / "file"
    if case in ("text", "empty"):
        file.write_text("hello" if case == "text" else "")
    else:
        manifest = {"later": b'{"version": "9", "format": 9}', "broken": b"[]"}.get(case, GOOD)
        with tarfile.open(file, "w:gz") as tar:
            _file(tar, "other" if case == "no manifest" else "backup.json", manifest)
            _file(tar, "pileus.db", b"x")
            if case == "link":
                _link(tar)
            if case in ("climbs", "absolute"):
                _file(tar, "../up" if case == "climbs" else str(tmp_path / "up"), b"x")
    refused = process.pileus("restore", str(file), code=1)
    assert "is no backup" in refused.stderr
    assert not process.state_dir.exists()
    assert not (tmp_path / "up").exists()


def test_a_backup_cut_short_leaves_nothing(process: CloudProcess, other: CloudProcess, tmp_path: Path) -> None:
    process.up(*FAKE)
    file = tmp_path / "cloud.backup"
    process.pileus("backup", str(file))
    whole = file.read_bytes()
    for share in (0.3, 0.9):
        file.write_bytes(whole[: int(len(whole) * share)])
        assert "is no backup" in other.pileus("restore", str(file), code=1).stderr
        assert not other.state_dir.exists()


def test_a_backup_without_space_is_no_backup(process: CloudProcess, tmp_path: Path) -> None:
    process.up(*FAKE)
    process.down()
    process.enter = ("prlimit", "--fsize=20000")
    failed = process.pileus("backup", str(tmp_path / "cloud.backup"), code=1)
    process.enter = ()
    assert "Free space" in failed.stderr
    assert list(tmp_path.glob("*backup*")) == []
    assert not list(process.state_dir.glob("tmp*"))


def test_a_backup_of_nothing_is_refused(process: CloudProcess, tmp_path: Path) -> None:
    assert "no cloud" in process.pileus("backup", str(tmp_path / "b"), code=1).stderr
    assert os.listdir(tmp_path) == []


def test_an_upgrade_keeps_the_database_as_it_was(process: CloudProcess) -> None:
    process.up(*FAKE)
    assert "pileus down" in process.pileus("db", "upgrade", code=1).stderr
    process.down()
    process.pileus("db", "upgrade")
    (kept,) = process.state_dir.glob("pileus.db.before-*")
    assert kept.stat().st_mode & 0o077 == 0
    process.pileus("up", "--detach")
    assert process.document("audit")["clean"]
    with pytest.raises(Error):
        Rest(f"http://127.0.0.1:{process.port}", "admin", "wrong")
