"""`pileus up`, `down`, `status`, `doctor`: one cloud for a state directory, whatever happens to its process."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import admin_of, furnish, launch, shown
from tests.process import CloudProcess, wait_until

FAKE = ("--hypervisor", "fake")


def test_a_second_up_continues_the_same_cloud(process: CloudProcess) -> None:
    first = process.up(*FAKE, "--hosts", "2")
    assert f"http://127.0.0.1:{process.port}" in first.stdout
    assert first.stdout.rstrip().endswith("s.")
    admin = admin_of(process)
    furnish(admin)
    server = launch(admin, "kept")
    wait_until(lambda: shown(admin, server)["status"] == "ACTIVE", "the server is ACTIVE")
    pid = process.pid
    assert "up at" in process.pileus("up", "--detach").stdout
    assert process.pid == pid
    process.down()
    assert "up at" in process.pileus("up", "--detach").stdout
    assert process.pid != pid
    assert shown(admin, server)["status"] == "ACTIVE"  # the same address, the same token, the same server
    assert len(process.document("status")["hosts"]) == 2
    assert process.document("audit")["clean"]


def test_a_killed_cloud_is_started_again(process: CloudProcess) -> None:
    process.up(*FAKE)
    admin = admin_of(process)
    furnish(admin)
    server = launch(admin, "survivor")
    process.kill()
    assert "No cloud runs" in process.pileus("status", code=1).stderr
    process.pileus("up", "--detach")
    wait_until(lambda: shown(admin, server)["status"] == "ACTIVE", "the launch went on")
    wait_until(lambda: process.document("flows", "list") == [], "nothing is left under way")
    assert process.document("audit")["clean"]


def test_a_second_cloud_on_the_same_state_is_refused(process: CloudProcess) -> None:
    process.up(*FAKE)
    refused = process.pileus("up", "--port", "1", code=1)
    assert "already" in refused.stderr
    assert "pileus down" in refused.stderr


@pytest.mark.parametrize("options", [(), ("--detach",)])
def test_a_taken_port_is_named_with_its_mend(process: CloudProcess, options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = process.pileus("up", *FAKE, "--port", port, *options, code=1)
    assert port in refused.stderr
    assert "another" in refused.stderr
    assert "--port" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("options", [(), ("--detach",)])
def test_a_state_of_another_format_is_left_alone(process: CloudProcess, options: tuple[str, ...]) -> None:
    process.up(*FAKE)
    process.down()
    (process.state_dir / "format").write_text("99\n")
    before = (process.state_dir / "pileus.db").read_bytes()
    refused = process.pileus("up", *options, code=1)
    assert "format 99" in refused.stderr
    assert "restore a backup" in refused.stderr
    assert (process.state_dir / "pileus.db").read_bytes() == before
    assert "format 99" in process.pileus("backup", str(process.state_dir.parent / "b"), code=1).stderr


def test_a_directory_of_something_else_is_left_alone(process: CloudProcess) -> None:
    process.state_dir.mkdir()
    (process.state_dir / "letter.txt").write_text("dear")
    refused = process.pileus("up", *FAKE, "--detach", code=1)
    assert "no cloud" in refused.stderr
    assert [path.name for path in process.state_dir.iterdir()] == ["letter.txt"]


def test_another_hypervisor_is_refused(process: CloudProcess) -> None:
    process.up(*FAKE)
    process.down()
    refused = process.pileus("up", "--hypervisor", "libvirt", code=1)
    assert "has hypervisor fake" in refused.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("up", "--hypervisor", "none"),
        ("up", "--hypervisor", "libvirt", "--hosts", "2"),
        ("up", "--port", "99999"),
        ("up", "--hypervisor-option", "vcpus"),
        ("trace",),
        ("backup",),
        ("nonsense",),
    ],
)
def test_wrong_usage_ends_with_2(process: CloudProcess, argv: tuple[str, ...]) -> None:
    wrong = process.pileus(*argv, code=2)
    assert "Usage:" in wrong.stderr
    assert not process.state_dir.exists()


@pytest.mark.parametrize(
    "argv",
    [
        ("status",), ("audit",), ("trace", "x"), ("flows", "list"), ("flows", "show", "x"), ("openrc",),
        ("clouds-yaml",),
    ],
)  # fmt: skip
def test_without_a_cloud_the_way_to_one_is_told(process: CloudProcess, argv: tuple[str, ...]) -> None:
    failed = process.pileus(*argv, code=1)
    assert f"pileus up --state {process.state_dir}" in failed.stderr
    assert not process.state_dir.exists()


def test_down_without_a_cloud_is_no_failure(process: CloudProcess) -> None:
    assert "No cloud runs" in process.pileus("down").stdout


def test_in_the_foreground_the_cloud_ends_with_its_process(process: CloudProcess) -> None:
    argv = [
        sys.executable, "-m", "pileus", "up", *FAKE, "--port", str(process.port), "--state", str(process.state_dir),
    ]  # fmt: skip
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "Pileus is up at" in running.stdout.readline()
        assert process.document("status")["url"].endswith(str(process.port))
        running.terminate()
        assert running.wait(30) == 0
    assert "No cloud runs" in process.pileus("status", code=1).stderr


def test_status_shows_parts_hosts_and_long_work(cloud: CloudProcess) -> None:
    found = cloud.document("status")
    assert {part["name"] for part in found["parts"]} >= {"identity", "compute", "scheduler", "conductor"}
    assert [host["is_alive"] for host in found["hosts"]] == [True, True]
    assert found["open_flows"] == 0
    text = cloud.pileus("status").stdout
    for host in found["hosts"]:
        assert host["host"] in text
    assert "long work not ended: 0" in text


def test_what_holds_secrets_is_its_owners_alone(cloud: CloudProcess) -> None:
    for name in ("pileus.db", "secrets.json", "pileus.log", "lock"):
        assert (cloud.state_dir / name).stat().st_mode & 0o077 == 0, name
    assert (cloud.state_dir / "pileus.sock").stat().st_mode & 0o077 == 0


def test_the_log_holds_no_secret(cloud: CloudProcess) -> None:
    secrets = (cloud.state_dir / "secrets.json").read_text()
    password = secrets.partition('"admin_password": "')[2].partition('"')[0]
    assert len(password) >= 24
    assert password not in (cloud.state_dir / "pileus.log").read_text()


def test_doctor_changes_nothing_and_names_the_mend(process: CloudProcess) -> None:
    well = process.pileus("doctor", *FAKE, "--port", str(process.port))
    assert "missing" not in well.stdout
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ill = process.pileus("doctor", *FAKE, "--port", port, code=1)
    assert f"missing  port        {port}" in ill.stdout
    assert "choose another --port" in ill.stdout
    assert not process.state_dir.exists()


def test_doctor_asks_more_of_a_machine_for_real_guests(process: CloudProcess) -> None:
    found = process.pileus("doctor", "--hypervisor", "libvirt", "--port", str(process.port), code=None)
    for check in ("root", "ip", "nft", "dnsmasq", "qemu", "libvirt", "kvm"):
        assert any(line[9:].startswith(check) for line in found.stdout.splitlines()), check
    assert found.returncode == int("missing" in found.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_fake_cloud_needs_no_root(tmp_path: Path) -> None:
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs")
    probe = subprocess.run([*nobody, sys.executable, "-c", "import pileus.cli"], capture_output=True, cwd="/")
    if probe.returncode != 0:
        pytest.skip("nobody may read this checkout")
    ours = [folder for folder in tmp_path.parents if folder.name.startswith(("pytest-", "popen-"))]
    for folder in (tmp_path, *ours):
        folder.chmod(0o711)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    process = CloudProcess(home / "state", enter=nobody)
    try:
        process.up(*FAKE)
        assert process.document("audit")["clean"]
        assert process.state_dir.stat().st_uid == 65534
    finally:
        process.clean_up()
