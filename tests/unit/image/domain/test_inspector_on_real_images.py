"""What QEMU's own tool writes is let in when it stands by itself, and refused when it leans on another file."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pileus.image.domain.errors import UnsafeImage
from tests.unit.image.domain.test_inspector import inspect

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")

MIB = 1 << 20
SECRET = ("--object", "secret,id=s,data=x")


def qemu_img(*words: str) -> None:
    subprocess.run(["qemu-img", *words], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("qcow2", "qcow2", ""),
        ("qcow2", "qcow2", "compat=0.10"),
        ("qcow2", "qcow2", "compression_type=zstd"),
        ("qcow2", "qcow2", "extended_l2=on"),
        ("qcow2", "qcow2", "lazy_refcounts=on,cluster_size=2M"),
        ("vmdk", "vmdk", "subformat=monolithicSparse"),
        ("vmdk", "vmdk", "subformat=streamOptimized"),
        ("vhd", "vpc", ""),
        ("vhd", "vpc", "subformat=fixed"),
        ("vhdx", "vhdx", ""),
        ("vhdx", "vhdx", "subformat=fixed"),
        ("vdi", "vdi", ""),
        ("vdi", "vdi", "static=on"),
        ("ploop", "parallels", ""),
    ],
)
@pytest.mark.parametrize("is_empty", [True, False])
def test_a_whole_image_is_let_in(tmp_path: Path, name: str, kind: str, options: str, is_empty: bool) -> None:
    raw, image = tmp_path / "raw", tmp_path / "image"
    raw.write_bytes(bytes(8 * MIB) if is_empty else b"\x5a" * (8 * MIB))
    chosen = ["-o", options] if options else []
    qemu_img("convert", "-f", "raw", "-O", kind, *chosen, str(raw), str(image))
    found = inspect(image.read_bytes(), name)
    assert found.disk_format == name
    assert 8 * MIB <= found.virtual_size < 9 * MIB  # VHD rounds up to its geometry


@pytest.mark.parametrize(
    ("declared", "words", "reason"),
    [
        ("qcow2", ["-f", "qcow2", "-b", "{base}", "-F", "raw"], "backing file"),
        ("qcow2", ["-f", "qcow2", "-o", "compat=0.10", "-b", "{base}", "-F", "raw"], "backing file"),
        ("qcow2", ["-f", "qcow2", "-o", "data_file={base}.data,data_file_raw=on"], "external data file"),
        ("qcow2", ["-f", "qcow2", *SECRET, "-o", "encrypt.format=aes,encrypt.key-secret=s"],
         "encrypted"),
        ("vmdk", ["-f", "vmdk", "-o", "subformat=monolithicFlat"], "lies in other files"),
        ("vmdk", ["-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"], "lies in other files"),
        ("raw", ["-f", "qed"], "its format is qed"),
        ("raw", ["-f", "qcow2"], "does not match"),
    ],
)  # fmt: skip
def test_an_image_that_leans_on_another_file_is_refused(
    tmp_path: Path, declared: str, words: list[str], reason: str
) -> None:
    base, image = tmp_path / "base", tmp_path / "image"
    base.write_bytes(bytes(8 * MIB))
    qemu_img("create", *(word.format(base=base) for word in words), str(image), "8M")
    with pytest.raises(UnsafeImage, match=reason):
        inspect(image.read_bytes(), declared)


def test_an_internal_snapshot_is_harmless(tmp_path: Path) -> None:
    image = tmp_path / "image"
    qemu_img("create", "-f", "qcow2", str(image), "8M")
    qemu_img("snapshot", "-c", "one", str(image))
    assert inspect(image.read_bytes(), "qcow2").virtual_size == 8 * MIB


def test_a_vmdk_with_a_parent_is_refused(tmp_path: Path) -> None:
    base, image = tmp_path / "base", tmp_path / "image"
    qemu_img("create", "-f", "vmdk", str(base), "8M")
    qemu_img("create", "-f", "vmdk", "-b", str(base), "-F", "vmdk", str(image))
    with pytest.raises(UnsafeImage, match="parent"):
        inspect(image.read_bytes(), "vmdk")
