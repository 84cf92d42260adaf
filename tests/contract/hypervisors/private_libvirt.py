"""A libvirtd of our own, in namespaces of its own: nothing of the machine's is touched, one kill removes it all."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

MOUNTED = {"etc/libvirt": "etc", "var/lib/libvirt": "lib", "var/log/libvirt": "log", "var/cache/libvirt": "cache"}
HOLDER = "import signal;signal.signal(17,signal.SIG_IGN);print('up',flush=True)\nwhile 1: signal.pause()"
QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "logd"
"""


def why_not() -> str:
    """What this machine lacks for a libvirtd of our own; empty when it lacks nothing."""
    if os.geteuid() != 0:
        return "a private libvirtd needs root"
    missing = [tool for tool in ("libvirtd", "virtlogd", "unshare", "nsenter", "qemu-system-x86_64") if not which(tool)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def which(tool: str) -> str | None:
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class PrivateLibvirt:
    """One libvirtd with its virtlogd and guests; `uri` reaches it from here."""

    def __init__(self, root: Path):
        self._root = root
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in MOUNTED.values():
            (root / name).mkdir(parents=True)
        (root / "etc/libvirtd.conf").write_text(f'auth_unix_rw = "none"\nhost_uuid = "{uuid.uuid4()}"\n')
        (root / "etc/qemu.conf").write_text(QEMU_CONF)
        for name, line in (
            ("passwd", "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin\n"),
            ("group", "libvirt-qemu:x:64055:\n"),
        ):
            known = Path("/etc", name).read_text()
            (root / name).write_text(known if "\nlibvirt-qemu:" in known else known + line)
        self._holder = self._hold()
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self._inside = int(children.split()[0])
        self._enter = ["nsenter", "-t", str(self._inside), "-n", "-m", "-u", "-i", "-p"]
        self._start("virtlogd")
        self.start()

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket=/proc/{self._inside}/root/run/libvirt/libvirt-sock"

    def start(self) -> None:
        """Start libvirtd and wait until it answers."""
        self._start("libvirtd")
        deadline = time.monotonic() + 20
        while self.virsh("uri", check=False).returncode != 0:
            if time.monotonic() > deadline or self._daemons["libvirtd"].poll() is not None:
                raise RuntimeError((self._root / "libvirtd.out").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9 of libvirtd alone; guests go on."""
        self._signal("libvirtd", signal.SIGKILL)
        self._daemons.pop("libvirtd").wait()

    def freeze(self) -> None:
        self._signal("libvirtd", signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal("libvirtd", signal.SIGCONT)
        self._daemons["libvirtd"].send_signal(signal.SIGCONT)  # nsenter stopped with its child

    def stop(self) -> None:
        self._holder.kill()  # the kernel ends everything inside with it
        self._holder.wait()
        for daemon in self._daemons.values():
            daemon.kill()
            daemon.wait()

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return subprocess.run([*self._enter, *argv], check=check, capture_output=True, text=True, timeout=30)

    def virsh(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("virsh", "-q", "-c", "qemu:///system", *argv, check=check)

    def domains(self) -> list[str]:
        return sorted(self.virsh("list", "--all", "--name").stdout.split())

    def kill_guest(self, name: str) -> None:
        """kill -9 of one guest's QEMU."""
        pid = (self._root_of_run() / f"libvirt/qemu/{name}.pid").read_text().strip()
        self.run("kill", "-9", pid)

    def _root_of_run(self) -> Path:
        return Path(f"/proc/{self._inside}/root/run")

    def _hold(self) -> "subprocess.Popen[bytes]":
        """A process that keeps the namespaces; it says 'up' when they are mounted."""
        mounts = "\n".join(
            f"mkdir -p /{there}; mount --bind {self._root}/{here} /{there}" for there, here in MOUNTED.items()
        )
        script = f"""set -e; mount --make-rprivate /; hostname private
            mount -t tmpfs tmpfs /run; mkdir -p /run/libvirt /run/lock
            {mounts}
            mount --bind {self._root}/passwd /etc/passwd; mount --bind {self._root}/group /etc/group
            mount -t sysfs sysfs /sys || :; ip link set lo up; exec {sys.executable} -c "$0" """
        spaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        holder = subprocess.Popen(["unshare", *spaces, "sh", "-c", script, HOLDER], stdout=subprocess.PIPE)
        assert holder.stdout is not None
        if holder.stdout.readline() != b"up\n":
            raise RuntimeError("the private namespaces did not come up")
        return holder

    def _start(self, daemon: str) -> None:
        with (self._root / f"{daemon}.out").open("ab") as out:
            argv = [*self._enter, which(daemon) or daemon]
            self._daemons[daemon] = subprocess.Popen(argv, stdout=out, stderr=out)

    def _signal(self, daemon: str, number: int) -> None:
        """nsenter forks for the PID namespace: the daemon is its child."""
        pid = self._daemons[daemon].pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(children[0]) if children else pid, number)
        if number == signal.SIGKILL:
            self._daemons[daemon].kill()
