"""The guest's root file system, as a tree of files: programs with the libraries they need, accounts, scripts."""

import re
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pileus.foundation.runtime import Runtime
from pileus.guest_image.packages import BuildFailed, tool

LIBRARIES = "usr/lib/x86_64-linux-gnu"
PROGRAMS = (
    "usr/sbin/dropbear", "usr/bin/dropbearkey", "usr/bin/dbclient", "usr/bin/sudo",
    "sbin/mke2fs", "sbin/resize2fs", "sbin/e2fsck", "sbin/mkfs", "sbin/mkfs.fat",
    "bin/lsblk", "sbin/blkid", "usr/bin/partx",
)  # fmt: skip
FOLDERS = (
    "usr/bin", LIBRARIES, f"{LIBRARIES}/security", "usr/libexec", "etc/dropbear", "etc/guest", "etc/pam.d",
    "etc/acpi/PWRF", "etc/sudoers.d", "dev", "proc", "sys", "run", "tmp", "var/lib", "var/log", "mnt", "root",
)  # fmt: skip
LINKS = {
    "bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib", "usr/sbin": "bin", "var/run": "../run",
    "usr/bin/ssh": "dbclient", "usr/bin/mkfs.ext2": "mke2fs", "usr/bin/mkfs.ext3": "mke2fs",
    "usr/bin/mkfs.ext4": "mke2fs", "usr/bin/mkfs.vfat": "mkfs.fat", "usr/bin/mkdosfs": "mkfs.fat",
}  # fmt: skip
SETUID = ("usr/bin/sudo",)

# Applets of the build machine's trade, not of a guest's.
NOT_IN_GUEST = frozenset({"busybox", "dpkg", "dpkg-deb", "rpm", "rpm2cpio"})


@dataclass(frozen=True)
class Account:
    """Who logs in: uid and gid 1000, sudo without a password."""

    name: str
    password_hash: str

    @property
    def home(self) -> str:
        return f"home/{self.name}"


def script(name: str, **words: str) -> str:
    """The text of one of the guest's own files, with its `@WORDS@` filled in."""
    text = resources.files("pileus.guest_image").joinpath("files", name).read_text()
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


class RootTree:
    """Builds the tree at `path` out of unpacked packages at `stage`."""

    def __init__(self, runtime: Runtime, path: Path, stage: Path):
        self.path = path
        self._runtime = runtime
        self._stage = stage
        self._loader = stage / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
        found = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/libexec/sudo", "usr/lib/sudo")
        self._library_path = ":".join(str(stage / folder) for folder in found)

    async def fill(self, account: Account) -> None:
        for folder in (*FOLDERS, account.home):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        (self.path / "tmp").chmod(0o1777)
        (self.path / "root").chmod(0o700)
        await self._add_busybox()
        for program in PROGRAMS:
            await self._add_program(program)
        await self._add_sudo()
        for name, target in LINKS.items():
            self._link(name, target)
        shutil.copy(self._loader, self.path / "usr/lib" / self._loader.name)
        shutil.copy(self._stage / "etc/mke2fs.conf", self.path / "etc/mke2fs.conf")
        self._write_accounts(account)
        self._write_scripts(account)

    async def _add_busybox(self) -> None:
        shutil.copy(self._stage / "bin/busybox", self.path / "usr/bin/busybox")
        await self._add_libraries(self._stage / "bin/busybox")
        for applet in (await self._load(self._stage / "bin/busybox", "--list")).split():
            if applet not in NOT_IN_GUEST:
                self._link(f"usr/bin/{applet}", "busybox")

    async def _load(self, *words: str | Path) -> str:
        """Run the unpacked loader: it finds the unpacked libraries, not this machine's."""
        argv: list[str | Path] = [self._loader, "--library-path", self._library_path, *words]
        return (await tool(self._runtime, argv)).decode()

    async def _add_program(self, program: str) -> None:
        source = self._stage / program
        target = self.path / "usr/bin" / source.name
        target.unlink(missing_ok=True)
        shutil.copy2(source, target)
        await self._add_libraries(source)

    async def _add_libraries(self, binary: Path) -> None:
        """Copy what the loader would load; a static program needs nothing."""
        printed = await self._load("--list", binary)
        lost = re.search(r"(\S+) => not found", printed)
        if lost:
            raise BuildFailed(why=f"{binary.name} needs {lost[1]}", mend="The image is made from Debian 12's packages.")
        for found in re.findall(r"=> (/\S+)", printed):
            target = self.path / LIBRARIES / Path(found).name
            if not target.exists():
                shutil.copy(found, target)

    async def _add_sudo(self) -> None:
        """sudo's plugins and the one PAM module that lets everybody through: /etc/sudoers decides."""
        folder = "usr/libexec/sudo" if (self._stage / "usr/libexec/sudo").exists() else "usr/lib/sudo"
        (self.path / folder).mkdir(parents=True)
        for source in (self._stage / folder).iterdir():
            if source.name.startswith(("libsudo_util", "sudoers.so")):
                shutil.copy2(source, self.path / folder / source.name, follow_symlinks=False)
                await self._add_libraries(source)
        permit = self._stage / "lib/x86_64-linux-gnu/security/pam_permit.so"
        shutil.copy(permit, self.path / LIBRARIES / "security" / permit.name)

    def _link(self, name: str, target: str) -> None:
        path = self.path / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.path / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def _write_accounts(self, account: Account) -> None:
        user = account.name
        self._write("etc/passwd", f"root:x:0:0:root:/root:/bin/sh\n{user}:x:1000:1000::/home/{user}:/bin/sh\n")
        self._write(
            "etc/shadow", f"root:*:19000:0:99999:7:::\n{user}:{account.password_hash}:19000:0:99999:7:::\n", 0o600
        )
        self._write("etc/group", f"root:x:0:\ntty:x:5:\n{user}:x:1000:\n")
        self._write("etc/shells", "/bin/sh\n/bin/ash\n")
        self._write(
            "etc/sudoers",
            "Defaults env_keep+=SSH_*\nDefaults secure_path=/usr/sbin:/usr/bin\n"
            f"root ALL=(ALL) ALL\n{user} ALL=(ALL) NOPASSWD:ALL\n",
            0o440,
        )
        permit = "".join(f"{kind} required pam_permit.so\n" for kind in ("auth", "account", "session", "password"))
        for service in ("sudo", "sudo-i", "other"):
            self._write(f"etc/pam.d/{service}", permit)

    def _write_scripts(self, account: Account) -> None:
        self._write("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
        self._write("etc/hostname", "guest\n")
        self._write("etc/hosts", "127.0.0.1 localhost guest\n")
        self._write("etc/os-release", 'ID=pileus-guest\nNAME="Pileus small guest"\nPRETTY_NAME="Pileus small guest"\n')
        self._write("etc/profile", "export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")
        self._write("etc/issue", f"\nPileus small guest; login as '{account.name}'\n\n")
        self._write("etc/inittab", script("inittab"))
        self._write("etc/acpi/PWRF/00000080", script("poweroff"), 0o755)
        for name in ("rcS", "dhcp", "cloud"):
            self._write(f"etc/guest/{name}", script(name, USER=account.name), 0o755)
        self._write("usr/bin/curl", script("curl"), 0o755)
        for applet in ("ping", "ping6"):
            self._write(f"usr/bin/{applet}", script("as-root", COMMAND=f"busybox {applet}"), 0o755)
        (self.path / "usr/bin/blkid").rename(self.path / "usr/libexec/blkid")
        self._write("usr/bin/blkid", script("as-root", COMMAND="/usr/libexec/blkid"), 0o755)
