"""What this machine is and has, read from the kernel's own files; nothing is changed by looking."""

import os
import resource
import shutil
import sys
from pathlib import Path

CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21

_LISTENING = "0A"


class Machine:
    """The machine under this process. `root` is where its files are, another folder in tests."""

    def __init__(self, root: Path = Path("/")):
        self._root = root

    def python_version(self) -> tuple[int, int]:
        return sys.version_info[:2]

    def user_id(self) -> int:
        return os.geteuid()

    def has_capability(self, number: int) -> bool:
        """Whether the kernel lets this process do it: root in a container is often not allowed all."""
        for line in self._read("proc/self/status").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> number & 1)
        return False

    def find_command(self, name: str) -> str | None:
        """The path of a command; also where root's commands are, which a user's PATH may leave out."""
        return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def has_device(self, name: str) -> bool:
        return (self._root / "dev" / name).exists()

    def available_memory_bytes(self) -> int:
        """What programs can still be given, within the limit of this container if there is one."""
        available = 0
        for line in self._read("proc/meminfo").splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
        limit, used = (self._read(f"sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
        if limit.isdigit() and used.isdigit():
            return max(0, min(available, int(limit) - int(used)))
        return available

    def free_disk_bytes(self, path: Path) -> int:
        """Free space where `path` is, or would be made."""
        while not path.exists() and path != path.parent:
            path = path.parent
        return shutil.disk_usage(path).free

    def is_port_taken(self, port: int) -> bool:
        """Whether a program listens on the TCP port, at any address of this network namespace."""
        return bool(self._listeners(port))

    def port_holder(self, port: int) -> tuple[int, str] | None:
        """Pid and name of who listens; None when nobody does or we may not see who."""
        wanted = {f"socket:[{inode}]" for inode in self._listeners(port)}
        if not wanted:
            return None
        for folder in (self._root / "proc").iterdir():
            if folder.name.isdigit() and _holds(folder / "fd", wanted):
                return int(folder.name), self._read(f"proc/{folder.name}/comm").strip()
        return None

    def _listeners(self, port: int) -> set[str]:
        """Inodes of the sockets that listen on the port."""
        inodes = set()
        for table in ("tcp", "tcp6"):
            for line in self._read(f"proc/net/{table}").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
        return inodes

    def _read(self, name: str) -> str:
        """The text of a kernel file; empty where the kernel has none, or hides it."""
        try:
            return (self._root / name).read_text()
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            return ""


def _holds(descriptors: Path, wanted: set[str]) -> bool:
    try:
        return any(os.readlink(entry) in wanted for entry in descriptors.iterdir())
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False  # it ended meanwhile, or is not ours to look into


def raise_file_limit() -> None:
    """Let this process open as many files and sockets as it may: each connection and listener is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
