"""The image as it is built from Debian's packages: what is in it, whose it is, and that it boots."""

import contextlib
import io
import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pileus.foundation.runtime import Runtime
from pileus.guest_image import PASSWORD, USER
from tests.conftest import Run

BOOT_DEADLINE_S = 240

COMMANDS = """busybox sh ip awk hostname cut cat grep date sync touch echo chmod sleep test tee mkdir ls kill mount
umount udhcpc wget nc vi sudo lsblk curl blkid mkfs mkfs.vfat mkfs.ext4 mke2fs resize2fs partx ping ping6 dropbear
dropbearkey ssh findfs"""


@pytest.fixture(scope="module")
def raw_disk(guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    disk = tmp_path_factory.mktemp("image") / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", guest_image, disk], check=True)
    return disk


def partitions(disk: Path) -> list[tuple[int, int, int, int]]:
    """(flag, type, first sector, sectors) of the first two entries."""
    with disk.open("rb") as data:
        sector = data.read(512)
    assert sector[510:] == b"\x55\xaa"
    found = [struct.unpack_from("<B3xB3xII", sector, 446 + 16 * slot) for slot in range(2)]
    return [(flag, kind, start, size) for flag, kind, start, size in found]


class Files:
    """The root file system, read by debugfs."""

    def __init__(self, disk: Path, offset: int):
        self._image = f"{disk}?offset={offset}"

    def ask(self, request: str) -> str:
        done = subprocess.run(["/sbin/debugfs", "-R", request, self._image], capture_output=True, check=True, text=True)
        return done.stdout

    def names(self, folder: str) -> dict[str, tuple[str, int, int]]:
        """Mode, uid and gid of every name in a folder."""
        rows = [line.split("/") for line in self.ask(f"ls -p {folder}").splitlines() if line]
        return {row[5]: (row[2], int(row[3]), int(row[4])) for row in rows}

    def text(self, path: str) -> str:
        return self.ask(f"cat {path}")


@pytest.fixture(scope="module")
def files(raw_disk: Path) -> Files:
    return Files(raw_disk, partitions(raw_disk)[0][2] * 512)


@pytest.mark.image
def test_the_root_is_the_first_partition_and_the_last_on_the_disk(raw_disk: Path) -> None:
    (_, root_kind, root_start, root_size), (boot_flag, boot_kind, boot_start, boot_size) = partitions(raw_disk)
    assert (root_kind, boot_kind, boot_flag) == (0x83, 0xEF, 0x80)
    assert boot_start + boot_size == root_start
    assert (root_start + root_size) * 512 == raw_disk.stat().st_size


@pytest.mark.image
def test_the_image_is_small(guest_image: Path, raw_disk: Path) -> None:
    assert guest_image.stat().st_size < 32 << 20
    assert raw_disk.stat().st_size <= 128 << 20


@pytest.mark.image
@pytest.mark.parametrize("command", COMMANDS.split())
def test_the_guest_has_the_command(command: str, files: Files) -> None:
    assert command in files.names("/usr/bin")


@pytest.mark.image
def test_everything_belongs_to_root_but_the_home(files: Files) -> None:
    assert files.names("/usr/bin")["sudo"] == ("104755", 0, 0)
    assert files.names("/etc")["sudoers"] == ("100440", 0, 0)
    assert files.names("/etc")["shadow"] == ("100600", 0, 0)
    assert files.names("/home")[USER][1:] == (1000, 1000)
    assert files.names("/")["tmp"] == ("041777", 0, 0)


@pytest.mark.image
def test_no_account_but_the_users_has_a_password(files: Files) -> None:
    lines = [line.split(":") for line in files.text("/etc/shadow").splitlines()]
    assert [(line[0], line[1][:3]) for line in lines] == [("root", "*"), (USER, "$6$")]


class Guest:
    """One running guest and the way in."""

    def __init__(self, folder: Path, port: int):
        self.serial = folder / "serial"
        self._way = ["ssh", "-q", "-p", str(port), "-i", str(folder / "key"), "-o", "StrictHostKeyChecking=no", "-o",
                     "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", "-o", "BatchMode=yes",
                     f"{USER}@127.0.0.1"]  # fmt: skip

    async def run(self, runtime: Runtime, line: str) -> tuple[int, str]:
        done = await runtime.run_command([*self._way, f"set -eu -o pipefail; {line}"], timeout_s=60)
        return done.code, done.stdout.decode()

    async def wait(self, runtime: Runtime) -> None:
        """Return when the guest lets us in."""
        async with runtime.timeout(BOOT_DEADLINE_S):
            while (await self.run(runtime, "true"))[0] != 0:
                await runtime.sleep(0.5)


def config_drive(path: Path, public_key: str) -> None:
    import pycdlib

    metadata = {"uuid": "8f1e6a0c-0d5e-4a55-9d1b-3f0f3c1f6a11", "hostname": "first.example",
                "public_keys": {"mine": public_key}}  # fmt: skip
    contents = {"meta_data.json": json.dumps(metadata).encode(), "user_data": b"#!/bin/sh\necho once >> /etc/ran\n"}
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=4, joliet=3, rock_ridge="1.09", vol_ident="config-2")
    for folder in ("/openstack", "/openstack/latest"):
        disc.add_directory(folder, joliet_path=folder, rr_name=folder.rpartition("/")[2])
    for name, data in contents.items():
        place = f"/openstack/latest/{name}"
        disc.add_fp(io.BytesIO(data), len(data), place, rr_name=name, joliet_path=place)
    disc.write(str(path))
    disc.close()


@pytest.fixture
def guest(guest_image: Path, tmp_path: Path) -> Iterator[Guest]:
    """A guest under software emulation, with a config drive and one NIC behind QEMU's own network."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "key"], check=True)
    config_drive(tmp_path / "config.iso", (tmp_path / "key.pub").read_text())
    overlay = tmp_path / "disk.qcow2"
    line = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", guest_image, "-F", "qcow2", overlay, "512M"]
    subprocess.run(line, check=True)
    port = free_port()
    qemu = subprocess.Popen(
        ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "128", "-nodefaults", "-display", "none",
         "-serial", f"file:{tmp_path / 'serial'}", "-device", "virtio-rng-pci",
         "-drive", f"file={overlay},if=virtio,format=qcow2", "-cdrom", tmp_path / "config.iso",
         "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=n0"],
    )  # fmt: skip
    try:
        yield Guest(tmp_path, port)
    finally:
        qemu.kill()
        qemu.wait()


def free_port() -> int:
    import socket

    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.image
@pytest.mark.guest
def test_the_guest_boots_and_takes_name_key_and_user_data_from_a_config_drive(
    guest: Guest, run: Run, runtime: Runtime
) -> None:
    async def look() -> dict[str, tuple[int, str]]:
        await guest.wait(runtime)
        lines = {
            "name": "hostname",
            "root": "sudo id -u",
            "address": "ip -4 -o addr show dev eth0 | grep -c 'inet 10.0.2.15/24'",
            "grown": "awk '$4 == \"vda1\" {print $3}' /proc/partitions",
            "drive": "blkid -L config-2 -o device",
            "disk": "lsblk -lb --nodeps --noheadings --output NAME,TYPE | grep vda",
            "renewed": "sudo kill -USR1 $(cat /var/run/udhcpc.eth0.pid); grep nameserver /etc/resolv.conf",
            "ping": "ping -c 1 -w 5 -s 56 -I eth0 10.0.2.2 >/dev/null && echo ok",
            "vfat": "dd if=/dev/zero of=/tmp/f bs=1M count=8 2>/dev/null; sudo mkfs -t vfat /tmp/f >/dev/null 2>&1;"
            " sudo mount -o loop /tmp/f /mnt && sudo umount /mnt && echo ok",
            "curl": "curl -V",
            "ran": "until [ -e /etc/ran ]; do sleep 1; done; cat /etc/ran",
        }
        return {name: await guest.run(runtime, line) for name, line in lines.items()}

    answers = run(look)
    assert {name: code for name, (code, _) in answers.items()} == dict.fromkeys(answers, 0)
    said = {name: text.strip() for name, (_, text) in answers.items()}
    assert said["name"] == "first"
    assert said["root"] == "0"
    assert said["address"] == "1"
    assert int(said["grown"]) > 400 << 10
    assert said["drive"] == "/dev/sr0"
    assert said["disk"].split() == ["vda", "disk"]
    assert said["ran"] == "once"
    assert "login:" in guest.serial.read_text(errors="replace")


def test_the_known_password_is_what_test_suites_expect() -> None:
    assert (USER, PASSWORD) == ("cirros", "gocubsgo")
