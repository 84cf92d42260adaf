"""From package names to a bootable qcow2 file, and the cache of it."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from pileus.foundation.runtime import Runtime
from pileus.guest_image import packages
from pileus.guest_image.disk import COMMAND_LINE, DiskMaker
from pileus.guest_image.initrd import make_initrd
from pileus.guest_image.packages import BuildFailed, kernel_package, tool, unpack
from pileus.guest_image.root import Account, RootTree, script

USER = "cirros"
PASSWORD = "gocubsgo"  # noqa: S105 - what clients' test suites expect of a small image
SIZE_MIB = 64
FREE_BYTES_NEEDED = 600 << 20

Say = Callable[[str], None]

__all__ = ["PASSWORD", "USER", "BuildFailed", "build_image", "ensure_image"]


def _silent(line: str) -> None:
    """Progress for who does not want it."""


async def ensure_image(runtime: Runtime, cache: Path, *, say: Say = _silent) -> Path:
    """Return the image out of the folder `cache`, built first if this recipe was never built there.

    Raises: BuildFailed.
    """
    path = cache / f"guest-{recipe()}.qcow2"
    if not path.exists():
        await build_image(runtime, path, say=say)
    return path


def recipe() -> str:
    """Names this builder: the same as long as its own files are the same."""
    digest = hashlib.sha256()
    for folder in (resources.files("pileus.guest_image"), resources.files("pileus.guest_image").joinpath("files")):
        for item in sorted(folder.iterdir(), key=lambda item: item.name):
            if item.is_file():
                digest.update(item.name.encode() + b"\0" + item.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


async def build_image(
    runtime: Runtime,
    output: Path,
    *,
    user: str = USER,
    password: str = PASSWORD,
    kernel_dir: Path | None = None,
    say: Say = _silent,
) -> None:
    """Build the image into `output` (qcow2); it appears there whole or not at all.

    `kernel_dir` gets `vmlinuz`, `initrd` and `cmdline` too, for booting without a boot loader.

    Raises: BuildFailed.
    """
    _refuse_account(user, password)
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pileus-guest-image-") as name:
        work = Path(name)
        _refuse_full_disk(work)
        say("guest image: downloading Debian packages (about 60 MB)")
        kernel = await _unpack_all(runtime, work)
        version = next((kernel / "lib/modules").iterdir()).name
        vmlinuz = kernel / f"boot/vmlinuz-{version}"
        say(f"guest image: kernel {version}, first file system")
        busybox = work / "initrd-stage/bin/busybox"
        initrd = work / "initrd.gz"
        initrd.write_bytes(make_initrd(busybox, kernel / "lib/modules" / version, script("init")))
        say("guest image: root file system")
        hashed = await tool(runtime, [busybox, "mkpasswd", "-m", "sha512"], stdin=password.encode() + b"\n")
        account = Account(user, hashed.decode().strip())
        tree = RootTree(runtime, work / "root", work / "stage")
        await tree.fill(account)
        say("guest image: disk")
        maker = DiskMaker(runtime, work, work / "tools")
        disk = await maker.make(vmlinuz, initrd, tree.path, account, size_mib=SIZE_MIB)
        await _publish(runtime, disk, output)
        if kernel_dir is not None:
            kernel_dir.mkdir(parents=True, exist_ok=True)
            shutil.copy(vmlinuz, kernel_dir / "vmlinuz")
            shutil.copy(initrd, kernel_dir / "initrd")
            (kernel_dir / "cmdline").write_text(COMMAND_LINE + "\n")
    say(f"guest image: {output} ({output.stat().st_size / (1 << 20):.0f} MiB)")


async def _unpack_all(runtime: Runtime, work: Path) -> Path:
    """Unpack guest, initrd, tools and kernel side by side; return the kernel's tree."""
    kernel = await kernel_package(runtime)
    for folder, names in (
        ("stage", packages.GUEST),
        ("initrd-stage", packages.INITRD),
        ("tools", packages.TOOLS),
        ("kernel", (kernel,)),
    ):
        await unpack(runtime, names, work / "downloads", work / folder)
    return work / "kernel"


async def _publish(runtime: Runtime, disk: Path, output: Path) -> None:
    part = output.with_name(f"{output.name}.{runtime.hex_id()}.part")
    try:
        await tool(runtime, ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", disk, part])
        os.replace(part, output)
    finally:
        part.unlink(missing_ok=True)


def _refuse_account(user: str, password: str) -> None:
    if not user.isidentifier() or not user.isascii() or user == "root" or not password.isprintable():
        raise BuildFailed(why="the account is not usable", mend="Choose letters and digits for its name.")


def _refuse_full_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_NEEDED:
        raise BuildFailed(
            why=f"{folder.parent} has {free >> 20} MiB free, {FREE_BYTES_NEEDED >> 20} are needed",
            mend="Free some space there, or set TMPDIR to a folder with more.",
        )
