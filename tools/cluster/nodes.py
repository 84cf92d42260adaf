"""Machines of a cluster that are none: each node is a process that keeps namespaces, and what was started inside them.

Killing that process ends everything of the node: its processes, its mounts, its links. What runs is known by files in
`directory`, so any later call finds it, ends it, or starts what has died.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import quote

INSIDE = "/run/cluster"  # where the cluster's directory is, seen from a node: short, and open to other users than root
PATIENCE_S = 120.0
_KEEPER = "import signal;signal.signal(17,signal.SIG_IGN);print('up',flush=True)\nwhile 1: signal.pause()"
# Written down where it is started, not by us, who may be ended in between: keeper, pid, and when it began.
_START = """log=$1 record=$2 keeper=$3; shift 3
setsid "$@" </dev/null >>"$log" 2>&1 &
echo "$keeper $! $(cut -d' ' -f22 "/proc/$!/stat")" >"$record.new" && mv "$record.new" "$record"
"""
_SPACES = ("--net", "--mount", "--uts", "--ipc", "--pid")


class Failed(Exception):
    """What went wrong, and what to do about it."""


def wait_until(holds: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S) -> None:
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            raise Failed(f"{what}: not within {patience_s:.0f} s")
        time.sleep(0.05)


def run(argv: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed, and return what it says. Raises: Failed."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=env and dict(env), check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stderr or done.stdout}".rstrip())
    return done.stdout


def began(stat: Path) -> int:
    """When a process began, in the kernel's ticks; 0 when it has ended. A pid alone may be another's by now."""
    try:
        words = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if words[0] in "ZX" else int(words[19])


def _has_word(cmdline: Path, word: str) -> bool:
    try:
        return word.encode() in cmdline.read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


class Node:
    """A node; nothing happens before `up`. `mounts` are directories of the cluster and where they belong on it."""

    def __init__(self, directory: Path, name: str, *, mounts: Mapping[str, str] | None = None):
        self.name = name
        self._directory = directory
        self._mounts = dict(mounts or {})
        self._record = directory / "nodes" / f"{name}.json"

    @property
    def pid(self) -> int:
        """Of its keeper, as the machine sees it; 0 when the node is down."""
        if not self._record.exists():
            return 0
        known = json.loads(self._record.read_text())
        return int(known["pid"]) if began(Path(f"/proc/{known['pid']}/stat")) == known["began"] else 0

    def up(self) -> None:
        """Start the node unless it is up. Raises: Failed."""
        if self.pid:
            return
        self._end_strays()
        self._record.parent.mkdir(parents=True, exist_ok=True)
        with (self._directory / "log" / f"node-{self.name}.log").open("ab") as log:
            keeper = subprocess.Popen(
                ["unshare", *_SPACES, "--fork", "--kill-child", "--mount-proc", "sh", "-c", self._script(), _KEEPER],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        assert keeper.stdout is not None
        if keeper.stdout.readline() != b"up\n":
            raise Failed(f"node {self.name} did not come up: see {log.name}")
        pid = int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()[0])
        self._record.write_text(json.dumps({"pid": pid, "began": began(Path(f"/proc/{pid}/stat"))}))

    def _script(self) -> str:
        binds = {str(self._directory): INSIDE, **{str(self._directory / here): at for here, at in self._mounts.items()}}
        lines = ["set -e; mount --make-rprivate /; mount -t tmpfs tmpfs /run; mkdir -p /run/lock /run/netns"]
        lines += [f"mkdir -p {quote(at)}; mount --bind {quote(here)} {quote(at)}" for here, at in binds.items()]
        lines.append(f"hostname {self.name}; mount -t sysfs sysfs /sys || :; ip link set lo up")
        lines.append(f'exec python3 -c "$0" {quote(self._mark)}')
        return "\n".join(lines)

    def down(self) -> None:
        """End everything of the node at once; nothing there is fine."""
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not self.pid, f"node {self.name} ends")
        self._end_strays()
        self._record.unlink(missing_ok=True)

    @property
    def _mark(self) -> str:
        """What only this node's keeper has in its command line."""
        return f"node {self.name} of {self._directory}"

    def _end_strays(self) -> None:
        """End keepers that nobody wrote down, for who started them was ended in the midst of it."""
        strays = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _has_word(path, self._mark)]
        for pid in strays:
            if began(Path(f"/proc/{pid}/stat")):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(began(Path(f"/proc/{pid}/stat")) for pid in strays), f"node {self.name} ends")

    def enter(self, *, user: str = "", with_us: bool = True) -> list[str]:
        """What goes before a command to run it on this node; `with_us`: it ends when we do. Raises: Failed."""
        if not self.pid:
            raise Failed(f"node {self.name} is down: run 'make cluster'")
        inside = ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-i", "-p"]
        if not with_us:
            return ["setsid", "--wait", *inside]  # nobody's Ctrl-C comes there
        as_user = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        bound = ["setpriv", "--pdeathsig", "KILL"]
        return [*bound, *inside, *bound, *as_user]

    def run(self, *argv: str, stdin: str = "", user: str = "", env: Mapping[str, str] | None = None) -> str:
        return run([*self.enter(user=user), *argv], stdin=stdin, env=env)

    def path(self, inside: str) -> Path:
        """A path of the node as the machine sees it."""
        return Path(f"/proc/{self.pid}/root{inside}")


class Process:
    """Something that runs on a node until it is stopped. Its output goes to `log`."""

    def __init__(self, directory: Path, node: Node, name: str, argv: Sequence[str], *, user: str = "",
                 env: Mapping[str, str] | None = None):  # fmt: skip
        self.name, self.node = name, node
        self._argv, self._user, self._env = list(argv), user, dict(env or {})
        self._record = directory / "run" / name
        self.log = directory / "log" / f"{name}.log"

    @property
    def pid(self) -> int:
        """On its node; 0 when it does not run."""
        if not self.node.pid or not self._record.exists():
            return 0
        keeper, pid, *moment = (int(word) for word in self._record.read_text().split())
        if keeper != self.node.pid or not moment:  # without the moment it had ended before that could be written
            return 0
        return pid if began(self.node.path(f"/proc/{pid}/stat")) == moment[0] else 0

    def start(self) -> bool:
        """Start it unless it runs; whether it was started. Its parent is the node's keeper, who outlives us."""
        if self.pid:
            return False
        self._record.parent.mkdir(parents=True, exist_ok=True)
        words = [str(self.log), str(self._record), str(self.node.pid), *self._as_user(), *self._argv]
        run([*self.node.enter(with_us=False), "sh", "-c", _START, "sh", *words], env={**_environment(), **self._env})
        return True

    def _as_user(self) -> list[str]:
        return ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--init-groups"] if self._user else []

    def tell(self, number: int) -> None:
        """Send it a signal; one that has just ended hears nothing."""
        pid = self.pid
        if pid:
            try:
                self.node.run("kill", f"-{number}", str(pid))
            except Failed:
                if self.pid:
                    raise

    def stop(self, *, number: int = signal.SIGTERM, patience_s: float = 30.0) -> None:
        """Ask it to end and wait; what does not listen is killed."""
        self.tell(number)
        try:
            wait_until(lambda: not self.pid, f"{self.name} ends", patience_s=patience_s)
        except Failed:
            self.tell(signal.SIGKILL)
            wait_until(lambda: not self.pid, f"{self.name} is killed")
        self._record.unlink(missing_ok=True)

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait while it lives. Raises: Failed, with the end of its log."""

        def or_ended() -> bool:
            if not self.pid:
                raise Failed(f"{self.name} ended. The end of {self.log}:\n{self.tail()}")
            return holds()

        wait_until(or_ended, f"{self.name}: {what} (see {self.log})")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}


# -- the wire between nodes ---------------------------------------------------------------------------------------
def plug(wire: Node, node: Node, address: str, length: int) -> None:
    """Have a cable between a node and the wire, and the node's address on it."""
    if "eth0" in node.run("ip", "-br", "link"):
        return
    inside = ["nsenter", "-t", str(wire.pid), "-n"]  # the pids that follow are the machine's
    name = f"to-{node.name}"
    run([*inside, "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(node.pid)])
    run([*inside, "ip", "link", "set", name, "master", "wire", "up"])
    node.run("ip", "address", "add", f"{address}/{length}", "dev", "eth0")
    node.run("ip", "link", "set", "eth0", "up")


def lay(wire: Node) -> None:
    """Have the wire: a bridge in a node of its own, where no firewall of the machine sees what passes."""
    if "wire" not in wire.run("ip", "-br", "link"):
        wire.run("ip", "link", "add", "wire", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        wire.run("ip", "link", "set", "wire", "up")


def check_free(link: str, network: str) -> None:
    """Raises: Failed when the machine uses the network for something else."""
    if Path("/sys/class/net", link).exists():
        return
    if run(["ip", "-br", "address", "show", "to", network]) or run(["ip", "route", "show", "root", network]):
        raise Failed(f"this machine uses {network} already: name another /24 by CLUSTER_NETWORK=198.18.9.0/24")


def join(wire: Node, link: str, address: str, length: int) -> None:
    """Plug the machine itself into the wire."""
    if Path("/sys/class/net", link).exists():
        return
    run(["ip", "link", "add", link, "type", "veth", "peer", "name", "machine", "netns", str(wire.pid)])
    wire.run("ip", "link", "set", "machine", "master", "wire", "up")
    run(["ip", "address", "add", f"{address}/{length}", "dev", link])
    run(["ip", "link", "set", link, "up"])


def leave(link: str) -> None:
    """Unplug the machine, if the end of the wire has not done it already."""
    if Path("/sys/class/net", link).exists():
        subprocess.run(["ip", "link", "del", link], capture_output=True, check=False)
        wait_until(lambda: not Path("/sys/class/net", link).exists(), f"link {link} ends")


def which(program: str) -> str:
    """The path of a program. Raises: Failed."""
    found = shutil.which(program, path=_environment()["PATH"])
    if found is None:
        raise Failed(f"{program} is not installed: run tools/setup --cluster")
    return found
