"""A cluster as its users have it: `make cluster`, the `openstack` command, `make cluster-down`; on its own machine."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pileus.rest import Rest
from tests.process import clean_environment

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("unshare", "nsenter", "setpriv", "haproxy")
T = TypeVar("T")


def why_not() -> str:
    """What this machine lacks for a cluster; empty when it lacks nothing."""
    if os.geteuid() != 0:
        return "a cluster needs root"
    missing = [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    missing += [name for name in ("postgresql", "rabbitmq") if not Path("/usr/lib", name).exists()]
    return f"not installed: {', '.join(missing)}" if missing else ""


def until(ask: Callable[[], T | None], what: str, *, patience_s: float = 120.0) -> T:
    """What `ask` returns as soon as it is something."""
    end = time.monotonic() + patience_s
    while not (found := ask()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


class Trial:
    """A cluster in `state`, up or not."""

    def __init__(self, state: Path):
        self.state = state

    def _run(self, argv: Sequence[str], env: Mapping[str, str] | None = None, code: int = 0) -> str:
        environment = {name: value for name, value in clean_environment().items() if name != "HYPERVISOR"}
        done = subprocess.run(
            argv, cwd=ROOT, capture_output=True, text=True, timeout=400, env={**environment, **(env or {})}
        )
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def make(self, goal: str, *words: str) -> str:
        return self._run(["make", "--no-print-directory", goal, f"STATE={self.state}", *words])

    def tool(self, *words: str, code: int = 0) -> str:
        return self._run([sys.executable, "-m", "tools.cluster", "--state", str(self.state), *words], code=code)

    def pileus(self, *words: str, code: int = 0) -> str:
        return self._run([sys.executable, "-m", "pileus", *words, "--state", str(self.state / "control")], code=code)

    def cut_off_a_start(self) -> None:
        """kill -9 of a start in its midst: the next one goes on from there."""
        argv = [sys.executable, "-m", "tools.cluster", "--state", str(self.state), "up"]
        start = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: (self.state / "postgres").exists() or None, "PostgreSQL's directory is being made")
        finally:
            start.kill()
            start.wait()

    # -- as a user ------------------------------------------------------------------------------------------------
    @property
    def credentials(self) -> dict[str, str]:
        lines = (self.state / "openrc").read_text().splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def openstack(self, *words: str) -> Any:
        """What the real `openstack` command says, as JSON."""
        command = str(Path(sys.executable).parent / "openstack")
        return json.loads(self._run([command, *words, "-f", "json"], env=self.credentials))

    def rest(self) -> Rest:
        known = self.credentials
        url = known["OS_AUTH_URL"].removesuffix("/identity/v3")
        return Rest(url, "admin", known["OS_PASSWORD"], authority=known["OS_CACERT"])

    def launch(self, name: str, host: str = "", **more: Any) -> Any:
        """A server of the demo's image on this host (or any), once it is ACTIVE."""
        rest = self.rest()
        image = rest.get("image", "/images", query={"name": "tiny"})["images"][0]["id"]
        flavors = {one["name"]: one["id"] for one in rest.get("compute", "/flavors")["flavors"]}
        network = rest.get("network", "/networks", query={"name": "demo"})["networks"][0]["id"]
        body = {
            "name": name, "imageRef": image, "flavorRef": flavors["m1.tiny"], "networks": [{"uuid": network}],
            **({"host": host} if host else {}), **more,
        }  # fmt: skip
        made = rest.post("compute", "/servers", {"server": body}, version="2.74")["server"]

        def active() -> Any:
            server = rest.get("compute", f"/servers/{made['id']}", version="2.74")["server"]
            assert server["status"] != "ERROR", server
            return server if server["status"] == "ACTIVE" else None

        return until(active, f"{name} is active")

    # -- looking --------------------------------------------------------------------------------------------------
    def keepers(self) -> dict[str, int]:
        """The process that keeps each node, by the node's name."""
        return {path.stem: json.loads(path.read_text())["pid"] for path in self.state.glob("nodes/*.json")}

    def spaces(self) -> set[str]:
        """The namespaces of processes that this cluster's nodes are."""
        return {os.readlink(f"/proc/{pid}/ns/pid") for pid in self.keepers().values()}


def machine() -> dict[str, Any]:
    """What a cluster could leave behind: links, mounts, names of namespaces."""
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    names = Path("/run/netns")
    return {
        "links": sorted(line.split()[0] for line in links.splitlines()),
        "mounts": sorted(line.split()[4] for line in Path("/proc/thread-self/mountinfo").read_text().splitlines()),
        "namespaces": sorted(names.iterdir()) if names.exists() else [],
    }


def inhabitants(spaces: set[str]) -> list[int]:
    """Processes that live in any of these namespaces."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(path / "ns" / "pid") in spaces:
                found.append(int(path.name))
        except OSError:  # it has just ended
            continue
    return found
