"""The guest's first file system: a static busybox, the drivers in the order they load, one script."""

import gzip
import io
import re
import stat
from pathlib import Path

from pileus.guest_image.packages import BuildFailed

MODULES = (
    "virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "virtio_rng", "virtio_console", "virtio_balloon",
    "sd_mod", "sr_mod", "ata_piix", "ahci", "ext4", "isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1",
    "nls_utf8", "button", "evdev", "8021q", "e1000", "nvme", "loop",
)  # fmt: skip


def make_initrd(busybox: Path, kernel_modules: Path, init: str) -> bytes:
    """A gzipped newc archive that the kernel unpacks into its first root."""
    archive = Archive()
    for folder in ("bin", "dev", "modules", "proc", "sys", "root"):
        archive.folder(folder)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    modules = load_order(kernel_modules)
    for name, data in modules:
        archive.file(f"modules/{name}", data, 0o644)
    archive.file("modules/order", "".join(f"{name}\n" for name, _ in modules).encode(), 0o644)
    archive.file("init", init.encode(), 0o755)
    archive.device("dev/console", 5, 1)
    return gzip.compress(archive.close(), 9, mtime=0)


class Archive:
    """A cpio archive in the "newc" form; everything in it belongs to root."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._inode = 0

    def folder(self, name: str) -> None:
        self._put(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int) -> None:
        self._put(name, stat.S_IFREG | mode, data)

    def device(self, name: str, major: int, minor: int) -> None:
        self._put(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def close(self) -> bytes:
        self._put("TRAILER!!!", 0)
        return self._out.getvalue()

    def _put(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        raw = name.encode() + b"\0"
        numbers = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        self._out.write(b"070701" + b"".join(b"%08X" % number for number in numbers))
        for part in (raw, data):
            self._out.write(part)
            self._out.write(b"\0" * (-self._out.tell() % 4))


def load_order(kernel_modules: Path) -> list[tuple[str, bytes]]:
    """File names and contents of `MODULES` and what they need, in an order that insmod accepts.

    A name that the kernel does not have as a module is built into it.
    """
    files = {path.name[:-3].replace("-", "_"): path for path in kernel_modules.rglob("*.ko")}
    if not files:
        raise BuildFailed(why="the kernel's drivers are packed", mend="The image is made from Debian 12's packages.")
    seen: set[str] = set()
    ordered: list[tuple[str, bytes]] = []

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in seen or name not in files:
            return
        seen.add(name)
        data = files[name].read_bytes()
        for needed in _needs(data):
            add(needed)
        if name == "ext4":
            add("crc32c_generic")
        ordered.append((files[name].name, data))

    for name in MODULES:
        add(name)
    return ordered


def _needs(module: bytes) -> list[str]:
    """The names in the module's own "depends=" field."""
    field = re.search(rb"\0depends=([^\0]*)\0", b"\0" + module)
    return [name for name in field[1].decode().split(",") if name] if field else []
