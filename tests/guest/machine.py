"""A machine of one's own with a libvirt of its own: private network, mounts, /run, libvirt's directories.

What `make up` does on a machine is done in here by the same script, so daemons may be killed and nobody else's are.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.networks.machine import private_machine, run
from tests.process import is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "libvirtd", "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img", "dnsmasq", "ip", "nft", "ssh",
)  # fmt: skip
PRIVATE = ("etc/libvirt", "var/lib/libvirt", "var/log/libvirt", "var/cache/libvirt")


def why_not() -> str:
    """What is missing for real guests; empty when nothing is."""
    if os.geteuid() != 0:
        return "real guests need root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Machine:
    """The calling thread lives in it, and so does all that it starts."""

    def __init__(self, root: Path):
        self.root = root
        self._mark = root / "hypervisor"
        for name in PRIVATE:
            here = root / name.replace("/", "-")
            here.mkdir()
            Path("/", name).mkdir(parents=True, exist_ok=True)
            run("mount", "--bind", str(here), f"/{name}")
        # The machine's control groups are still listed as mounted, and out of reach under our own /sys.
        Path("/etc/libvirt/qemu.conf").write_text("cgroup_controllers = []\n")

    def start_hypervisor(self) -> None:
        run(str(ROOT / "tools" / "hypervisor"), "start", str(self._mark))

    def kill_libvirtd(self) -> None:
        """kill -9 of the daemon alone."""
        pid = int(Path("/run/libvirtd.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "libvirtd is gone")

    def domains(self) -> list[str]:
        return run("virsh", "-q", "-c", "qemu:///system", "list", "--all", "--name").split()

    def guest_pid(self, server_id: str) -> int:
        """The process of a server's guest."""
        (found,) = (pid for pid in processes() if f"guest=pileus-{server_id}" in command_line(pid))
        return found

    def links(self) -> set[str]:
        """Taps and bridges."""
        names = {line.split(":")[1].strip().split("@")[0] for line in run("ip", "-o", "link").splitlines()}
        return {name for name in names if name != "lo"}

    def namespaces(self) -> list[str]:
        return run("ip", "netns", "list").splitlines()


def processes() -> list[int]:
    """Everything that lives in here but ourselves: guests have mounts, DHCP servers networks of their own."""
    here = [os.stat(f"/proc/thread-self/ns/{kind}").st_ino for kind in ("mnt", "net")]
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            spaces = [(path / "ns" / kind).stat().st_ino for kind in ("mnt", "net")]
            if any(mine == its for mine, its in zip(here, spaces, strict=True)):
                found.append(int(path.name))
    return [pid for pid in found if pid != os.getpid()]


def command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


@contextlib.contextmanager
def machine_of_its_own() -> Iterator[Machine]:
    """Nothing of it is left afterwards: no process, no link, no mount, no file."""
    root = Path(tempfile.mkdtemp(prefix="pileus-guest-", dir="/var/tmp"))  # guests are not root, and must get in
    root.chmod(0o711)
    try:
        with private_machine():
            try:
                yield Machine(root)
            finally:
                _end_all()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def machine_for_guests() -> Iterator[Machine]:
    """One whose libvirt runs. The test is skipped only where root or the programs are missing."""
    lacks = why_not()
    if lacks:
        pytest.skip(lacks)
    with machine_of_its_own() as found:
        found.start_hypervisor()
        yield found


def _end_all() -> None:
    mine = processes()
    for pid in mine:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, mine)), "every process of the machine ends")


def ask(*argv: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s)
