"""The pieces of the image builder, without packages: archive, drivers' order, scripts, owners, recipe."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from pileus.foundation.runtime import Runtime
from pileus.guest_image import BuildFailed, build, build_image, ensure_image, packages
from pileus.guest_image.disk import _copy_sparse, _ownership
from pileus.guest_image.initrd import Archive, load_order, make_initrd
from pileus.guest_image.root import Account, script
from tests.conftest import Run


def test_an_archive_reads_back_with_cpio_names_and_bytes() -> None:
    archive = Archive()
    archive.folder("bin")
    archive.file("bin/x", b"hello", 0o755)
    archive.device("dev/console", 5, 1)
    entries = read_newc(archive.close())
    assert [(name, oct(mode), data) for name, mode, data in entries] == [
        ("bin", "0o40755", b""),
        ("bin/x", "0o100755", b"hello"),
        ("dev/console", "0o20600", b""),
        ("TRAILER!!!", "0o0", b""),
    ]


def read_newc(raw: bytes) -> list[tuple[str, int, bytes]]:
    entries, at = [], 0
    while at < len(raw):
        assert raw[at : at + 6] == b"070701"
        field = [int(raw[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name_at = at + 110
        data_at = (name_at + field[11] + 3) // 4 * 4
        entries.append((raw[name_at : name_at + field[11] - 1].decode(), field[1], raw[data_at : data_at + field[6]]))
        at = (data_at + field[6] + 3) // 4 * 4
    return entries


def test_a_driver_loads_after_what_it_needs(tmp_path: Path) -> None:
    for name, needs in (("virtio_blk", ""), ("ext4", "mbcache,jbd2"), ("jbd2", ""), ("mbcache", ""), ("other", "")):
        (tmp_path / f"{name}.ko").write_bytes(b"\0license=GPL\0depends=" + needs.encode() + b"\0name=x\0")
    assert [name for name, _ in load_order(tmp_path)] == ["virtio_blk.ko", "mbcache.ko", "jbd2.ko", "ext4.ko"]


def test_packed_drivers_are_refused_with_a_mend(tmp_path: Path) -> None:
    (tmp_path / "ext4.ko.xz").write_bytes(b"x")
    with pytest.raises(BuildFailed, match="Debian 12"):
        load_order(tmp_path)


def test_the_first_file_system_is_the_same_for_the_same_input(tmp_path: Path) -> None:
    (tmp_path / "busybox").write_bytes(b"elf")
    (tmp_path / "loop.ko").write_bytes(b"\0depends=\0")
    first = make_initrd(tmp_path / "busybox", tmp_path, "#!/bin/sh\n")
    assert first == make_initrd(tmp_path / "busybox", tmp_path, "#!/bin/sh\n")
    names = [name for name, _, _ in read_newc(gzip.decompress(first))]
    assert {"bin/busybox", "modules/loop.ko", "modules/order", "init", "dev/console"} <= set(names)


@pytest.mark.parametrize("name", ["init", "rcS", "dhcp", "cloud", "curl", "as-root", "poweroff"])
def test_the_guests_scripts_are_well_formed(name: str) -> None:
    text = script(name, USER="cirros", COMMAND="busybox ping")
    assert text.startswith("#!/bin/")
    assert "@" not in text.replace('"$@"', "").replace("a-z0-9@.-", "")
    assert shutil.which("bash")
    subprocess.run(["bash", "-n"], input=text.encode(), check=True)


def test_every_file_is_roots_but_the_home(tmp_path: Path) -> None:
    (tmp_path / "home/cirros/.ssh").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    commands = _ownership(tmp_path, Account("cirros", "x")).splitlines()
    assert 'set_inode_field "/etc" uid 0' in commands
    assert 'set_inode_field "/home" gid 0' in commands
    assert 'set_inode_field "/home/cirros" uid 1000' in commands
    assert 'set_inode_field "/home/cirros/.ssh" gid 1000' in commands
    assert commands[-1] == 'set_inode_field "/usr/bin/sudo" mode 0104755'


def test_a_sparse_copy_is_a_true_copy(tmp_path: Path) -> None:
    content = b"a" * (1 << 20) + b"\0" * (3 << 20) + b"b" * 100
    (tmp_path / "source").write_bytes(content)
    with (tmp_path / "copy").open("wb") as out:
        _copy_sparse(tmp_path / "source", out, 4096)
        out.truncate(4096 + len(content))
    assert (tmp_path / "copy").read_bytes() == b"\0" * 4096 + content


def test_an_image_that_is_there_is_not_built_again(tmp_path: Path, run: Run, runtime: Runtime) -> None:
    cached = tmp_path / f"guest-{build.recipe()}.qcow2"
    cached.write_bytes(b"image")
    assert run(ensure_image, runtime, tmp_path) == cached
    assert cached.read_bytes() == b"image"


@pytest.mark.parametrize("user", ["root", "", "a:b", "x y", "../x", "ünï"])
def test_an_account_that_would_break_its_files_is_refused(
    user: str, tmp_path: Path, run: Run, runtime: Runtime
) -> None:
    with pytest.raises(BuildFailed):
        run(build_image, runtime, tmp_path / "x.qcow2", user=user)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_command_names_the_mend(run: Run, runtime: Runtime) -> None:
    with pytest.raises(BuildFailed, match="make setup"):
        run(packages.tool, runtime, ["no-such-command-here"])


def test_a_failing_command_hands_on_its_last_words(run: Run, runtime: Runtime) -> None:
    with pytest.raises(BuildFailed, match="ended with 2: .*no-such-file"):
        run(packages.tool, runtime, ["ls", "/no-such-file"])
