"""The whole disk: a boot partition for BIOS and UEFI, an ext4 root behind it, so that the root can grow.

Nothing is mounted and no root is needed: FAT is written by mtools, ext4 by `mke2fs -d`, owners by debugfs.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

from pileus.foundation.runtime import Runtime
from pileus.guest_image.packages import tool
from pileus.guest_image.root import SETUID, Account

MIB = 1 << 20
SECTOR = 512
COMMAND_LINE = (
    "console=tty1 console=ttyS0,115200 net.ifnames=0 random.trust_cpu=on mitigations=off tsc=reliable panic=10"
)
SYSLINUX_CFG = f"""SERIAL 0 115200
DEFAULT guest
PROMPT 0
TIMEOUT 1
LABEL guest
 LINUX /vmlinuz
 INITRD /initrd
 APPEND {COMMAND_LINE}
"""


class DiskMaker:
    """Assembles the disk in `folder` with the tools unpacked at `tools`."""

    def __init__(self, runtime: Runtime, folder: Path, tools: Path):
        self._runtime = runtime
        self._folder = folder
        self._syslinux = tools / "usr/lib"
        path = f"{tools}/usr/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        self._env = {**os.environ, "PATH": path, "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null", "LC_ALL": "C"}

    async def make(self, vmlinuz: Path, initrd: Path, root: Path, account: Account, *, size_mib: int) -> Path:
        """Return a raw disk of `size_mib`, or as much more as its contents need."""
        boot = await self._make_boot(vmlinuz, initrd)
        boot_mib = boot.stat().st_size // MIB
        root_mib = max(size_mib - 1 - boot_mib, _used_mib(root) + 8)
        ext4 = await self._make_root(root, account, root_mib)
        disk = self._folder / "disk.raw"
        with disk.open("wb") as out:
            out.write(self._partition_table(boot_mib, root_mib))
            _copy_sparse(boot, out, MIB)
            _copy_sparse(ext4, out, (1 + boot_mib) * MIB)
            out.truncate((1 + boot_mib + root_mib) * MIB)
        return disk

    async def _make_boot(self, vmlinuz: Path, initrd: Path) -> Path:
        image, config = self._folder / "boot.img", self._folder / "syslinux.cfg"
        config.write_text(SYSLINUX_CFG)
        size_mib = (vmlinuz.stat().st_size + initrd.stat().st_size) // MIB + 3
        with image.open("wb") as out:
            out.truncate(size_mib * MIB)
        geometry = ["-h", "64", "-s", "32", "-T", str(size_mib * MIB // SECTOR), "-H", str(MIB // SECTOR)]
        await self._run("mformat", "-i", image, *geometry, "-v", "BOOT", "::")
        await self._run("mmd", "-i", image, "::/EFI", "::/EFI/BOOT")
        for source, target in (
            (vmlinuz, "vmlinuz"),
            (initrd, "initrd"),
            (config, "syslinux.cfg"),
            (config, "EFI/BOOT/syslinux.cfg"),
            (self._syslinux / "SYSLINUX.EFI/efi64/syslinux.efi", "EFI/BOOT/BOOTX64.EFI"),
            (self._syslinux / "syslinux/modules/efi64/ldlinux.e64", "EFI/BOOT/ldlinux.e64"),
        ):
            await self._run("mcopy", "-i", image, source, f"::/{target}")
        await self._run("syslinux", "--install", image)
        return image

    async def _make_root(self, root: Path, account: Account, size_mib: int) -> Path:
        image = self._folder / "root.img"
        extended = "root_owner=0:0,resize=8388608"
        options = ["-q", "-t", "ext4", "-L", "guestroot", "-m", "0", "-N", "4096", "-E", extended]
        await self._run("mke2fs", *options, "-d", root, image, f"{size_mib}m")
        script = self._folder / "owners"
        script.write_text(_ownership(root, account))
        await self._run("debugfs", "-w", "-f", script, image)
        return image

    def _partition_table(self, boot_mib: int, root_mib: int) -> bytes:
        """An MBR: the first entry is the root (/dev/vda1), the second the boot partition, which lies before it."""
        sector = bytearray((self._syslinux / "syslinux/mbr/mbr.bin").read_bytes()[:440].ljust(SECTOR, b"\0"))
        entries = ((0x00, 0x83, 1 + boot_mib, root_mib), (0x80, 0xEF, 1, boot_mib))
        no_chs = b"\xfe\xff\xff"
        for slot, (flag, kind, start, size) in enumerate(entries):
            numbers = (start * MIB // SECTOR, size * MIB // SECTOR)
            struct.pack_into("<B3sB3sII", sector, 446 + 16 * slot, flag, no_chs, kind, no_chs, *numbers)
        sector[510:512] = b"\x55\xaa"
        return bytes(sector)

    async def _run(self, *argv: str | Path) -> None:
        await tool(self._runtime, argv, env=self._env)


def _ownership(root: Path, account: Account) -> str:
    """debugfs commands that give every file to root, and the home to its account: whoever built the tree."""
    lines = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        owner = 1000 if name == account.home or name.startswith(account.home + "/") else 0
        lines += [f'set_inode_field "/{name}" {field} {owner}' for field in ("uid", "gid")]
    lines += [f'set_inode_field "/{name}" mode 0104755' for name in SETUID]
    return "".join(f"{line}\n" for line in lines)


def _used_mib(root: Path) -> int:
    return sum(max(4096, path.lstat().st_size) for path in root.rglob("*") if not path.is_symlink()) // MIB


def _copy_sparse(source: Path, out: BinaryIO, at: int) -> None:
    """Copy a file into `out` at `at`, leaving holes where it is empty."""
    out.seek(at)
    with source.open("rb") as data:
        while block := data.read(MIB):
            if block.strip(b"\0"):
                out.write(block)
            else:
                out.seek(len(block), os.SEEK_CUR)
