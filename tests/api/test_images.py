"""Images through the users' own clients: openstacksdk, and the openstack command, against a whole cloud."""

import hashlib
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import openstack
import pytest
from openstack.connection import Connection
from openstack.exceptions import BadRequestException, ForbiddenException, HttpException

from tests.unit.image.domain import samples

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore::Warning:openstack")]

MIB = 1 << 20
RAW = {"disk_format": "raw", "container_format": "bare"}
OPENSTACK = Path(sys.executable).with_name("openstack")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cloud in a process of its own; what a shell needs to reach it as its administrator."""
    state = tmp_path_factory.mktemp("cloud")
    pileus = [sys.executable, "-m", "pileus"]
    up = [*pileus, "up", "--state", str(state), "--port", str(free_port()), "--hypervisor", "fake"]
    with subprocess.Popen(up, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "Pileus is up" in process.stdout.readline()
            lines = subprocess.run(
                [*pileus, "openrc", "--state", str(state)], capture_output=True, text=True, check=True
            )
            words = (shlex.split(line) for line in lines.stdout.splitlines() if line.startswith("export "))
            yield {**os.environ, **dict(word[1].split("=", 1) for word in words)}
        finally:
            process.terminate()
            process.wait(30)


def connect(environment: dict[str, str], **other: str) -> Connection:
    auth = {
        name.lower().removeprefix("os_"): value
        for name, value in environment.items()
        if name.startswith("OS_") and name not in ("OS_REGION_NAME", "OS_IDENTITY_API_VERSION")
    }
    return openstack.connect(auth={**auth, **other}, region_name=environment["OS_REGION_NAME"], load_envvars=False)


@pytest.fixture(scope="module")
def admin(environment: dict[str, str]) -> Iterator[Connection]:
    with connect(environment) as connection:
        yield connection


@pytest.fixture(scope="module")
def somebody(admin: Connection, environment: dict[str, str]) -> Callable[[str], Connection]:
    """Members of projects of their own, by name."""

    def join(name: str) -> Connection:
        project = admin.identity.create_project(name=name)
        user = admin.identity.create_user(name=name, password="a password")
        member = admin.identity.find_role("member")
        admin.identity.assign_project_role_to_user(project, user, member)
        return connect(environment, username=name, project_name=name, password="a password")

    return join


@pytest.fixture(scope="module")
def alice(somebody: Callable[[str], Connection]) -> Connection:
    return somebody("alice")


@pytest.fixture(scope="module")
def bob(somebody: Callable[[str], Connection]) -> Connection:
    return somebody("bob")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(os.urandom(3 * MIB + 11))
    return path


def test_the_sdk_uploads_and_downloads(alice: Connection, data: Path, tmp_path: Path) -> None:
    image = alice.create_image("disk", filename=str(data), wait=True, hw_disk_bus="virtio", **RAW)
    assert (image.status, image.size) == ("active", data.stat().st_size)
    assert image.hash_value == hashlib.sha512(data.read_bytes()).hexdigest()
    assert image.hw_disk_bus == "virtio"
    copy = tmp_path / "copy"
    alice.image.download_image(image, output=str(copy), stream=True)
    assert copy.read_bytes() == data.read_bytes()
    alice.image.delete_image(image)
    assert alice.image.find_image("disk") is None


def test_the_sdk_changes_an_image(alice: Connection) -> None:
    image = alice.image.create_image("plain", allow_duplicates=True, **RAW)
    alice.image.update_image(image, name="better", min_disk=3, os_distro="debian")
    alice.image.add_tag(image, "stable")
    alice.image.add_tag(image, "old")
    alice.image.remove_tag(image, "old")
    after = alice.image.get_image(image.id)
    assert (after.name, after.min_disk, after.os_distro, after.tags) == ("better", 3, "debian", ["stable"])
    assert [found.id for found in alice.image.images(tag="stable", name="better")] == [image.id]
    alice.image.delete_image(image)


def test_the_sdk_walks_all_pages(alice: Connection) -> None:
    made = {alice.image.create_image(f"page-{number}", tags=["pages"]).id for number in range(7)}
    assert {image.id for image in alice.image.images(tag="pages", limit=2)} == made
    names = [image.name for image in alice.image.images(tag="pages", limit=3, sort="name:asc")]
    assert names == [f"page-{number}" for number in range(7)]
    for image_id in made:
        alice.image.delete_image(image_id)


def test_the_sdk_shares_an_image(alice: Connection, bob: Connection, data: Path) -> None:
    image = alice.create_image("offer", filename=str(data), wait=True, **RAW)
    assert bob.image.find_image(image.id) is None
    alice.image.add_member(image, member_id=bob.current_project_id)
    assert [found.id for found in bob.image.images(visibility="shared", member_status="pending")] == [image.id]
    bob.image.update_member(bob.current_project_id, image, status="accepted")
    assert [found.id for found in bob.image.images(visibility="shared")] == [image.id]
    with pytest.raises(ForbiddenException):
        bob.image.delete_image(image.id)
    alice.image.remove_member(bob.current_project_id, image)
    assert bob.image.find_image(image.id) is None
    alice.image.delete_image(image)


def test_the_sdk_hears_why_an_image_is_refused(alice: Connection, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.qcow2"
    hostile.write_bytes(samples.qcow2(extensions=samples.extension(0x44415441, b"/etc/passwd")))
    with pytest.raises(HttpException, match="external data file") as refused:
        alice.create_image("hostile", filename=str(hostile), wait=True, disk_format="qcow2", container_format="bare")
    assert refused.value.response.status_code == 415
    with pytest.raises(HttpException, match="does not match stream data qcow2"):
        alice.create_image("hidden", filename=str(hostile), wait=True, **RAW)


def test_the_sdk_hears_of_conflicts_and_rights(alice: Connection, admin: Connection, data: Path) -> None:
    image = alice.create_image("mine", filename=str(data), wait=True, **RAW)
    octets = {"content-type": "application/octet-stream"}
    again = alice.image.put(f"/images/{image.id}/file", data=b"again", headers=octets)
    assert again.status_code == 409
    with pytest.raises(ForbiddenException, match="publicize_image"):
        alice.image.update_image(image, visibility="public")
    admin.image.update_image(image.id, visibility="public")
    with pytest.raises(BadRequestException, match="min_ram"):
        alice.image.update_image(image, min_ram="much")
    alice.image.deactivate_image(image)
    assert alice.image.get(f"/images/{image.id}/file").status_code == 403
    alice.image.reactivate_image(image)
    alice.image.delete_image(image)


def test_the_command_does_the_everyday_things(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    def run(line: str, *, fails: bool = False) -> str:
        done = subprocess.run([OPENSTACK, *shlex.split(line)], env=environment, capture_output=True, text=True)
        assert (done.returncode != 0) is fails, done.stderr
        return (done.stderr if fails else done.stdout).strip()

    made = run(f"image create --file {data} --property os=linux --tag new --min-disk 1 cmd -f value -c status -c size")
    assert made.split() == [str(data.stat().st_size), "active"]
    run("image set --name 'cmd two' --property hw=x --protected cmd")
    shown = run("image show 'cmd two' -f value -c min_disk -c protected -c tags -c visibility")
    assert shown.split("\n") == ["1", "True", "['new']", "shared"]
    assert "is protected" in run("image delete 'cmd two'", fails=True)
    run("image unset --property os --tag new 'cmd two'")
    run(f"image save --file {tmp_path / 'copy'} 'cmd two'")
    assert (tmp_path / "copy").read_bytes() == data.read_bytes()
    assert run("image list --name 'cmd two' -f value -c Name") == "cmd two"
    run("image set --unprotected 'cmd two'")
    run("image delete 'cmd two'")
    assert run("image list -f value") == ""
