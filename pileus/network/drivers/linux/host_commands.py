"""The thin place where commands are run on the host, and where their complaints become errors with a mend."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from pileus.foundation.runtime import Completed, Runtime
from pileus.network.drivers.base import BackendFailed, BackendUnavailable

PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))  # where a user's own lacks them


@dataclass(frozen=True)
class Lack:
    """Something that the host does not have, and what to do about it."""

    what: str
    mend: str

    def error(self, log: str = "") -> BackendUnavailable:
        return BackendUnavailable(what=self.what, mend=self.mend, log=log or None)


NO_RIGHTS = Lack(
    "Pileus may not change the network of this host.",
    "start it as root, or give it CAP_NET_ADMIN and CAP_SYS_ADMIN.",
)
NO_MODULES = Lack(
    "The kernel of this host cannot make bridges, veth, tap or vxlan devices.",
    "modprobe -a bridge veth tun vxlan",
)
_PACKAGES = {"ip": "iproute2", "bridge": "iproute2", "nsenter": "util-linux", "dnsmasq": "dnsmasq-base"}


def missing_program(name: str) -> Lack:
    return Lack(f"The program {name} is not installed on this host.", f"apt-get install {_PACKAGES[name]}")


def no_such_address(address: str) -> Lack:
    return Lack(f"The tunnel address {address} is not an address of this host.", "set tunnel_address to one that is.")


class HostCommands:
    """Runs `ip` and starts dnsmasq; `path` is where they are looked for."""

    def __init__(self, runtime: Runtime, path: str = PATH):
        self._runtime = runtime
        self._environment = {"PATH": path, "LC_ALL": "C"}

    def lacks(self, *, for_tunnels: bool = False) -> list[Lack]:
        """Everything that real wires need and this host does not have."""
        path = self._environment["PATH"]
        needed = [name for name in _PACKAGES if for_tunnels or name != "bridge"]
        found = [missing_program(name) for name in needed if shutil.which(name, path=path) is None]
        return found if os.geteuid() == 0 else [*found, NO_RIGHTS]

    async def ip(self, lines: Sequence[str], action: str, namespace: str = "") -> None:
        """Run the lines in one `ip -batch`; nothing to do costs nothing."""
        if lines:
            where = ["-netns", namespace] if namespace else []
            await self._run(["ip", *where, "-batch", "-"], action, "\n".join(lines).encode() + b"\n")

    async def links(self, *, in_detail: bool = False) -> bytes:
        """Every device outside, as JSON; `in_detail` adds what only its kind of device has."""
        detail = ["-details"] if in_detail else []
        return (await self._run(["ip", "-json", *detail, "link", "show"], "list network devices")).stdout

    async def addresses(self, namespace: str) -> bytes | None:
        """Devices and addresses inside the namespace, as JSON; None when nothing can be inside."""
        done = await self._run_any(["ip", "-netns", namespace, "-json", "address", "show"])
        return done.stdout if done.code == 0 else None

    async def own_addresses(self) -> bytes:
        """Devices and addresses of the host itself, as JSON."""
        return (await self._run(["ip", "-json", "address", "show"], "list addresses")).stdout

    async def forwarding(self, device: str = "") -> bytes:
        """Which addresses are behind which device, as JSON; of one device, or of all."""
        which = ["dev", device] if device else []
        return (await self._run(["bridge", "-json", "fdb", "show", *which], "list forwarding entries")).stdout

    async def bridge(self, lines: Sequence[str], action: str) -> None:
        """Run the lines in one `bridge -batch`; nothing to do costs nothing."""
        if lines:
            await self._run(["bridge", "-batch", "-"], action, "\n".join(lines).encode() + b"\n")

    async def dnsmasq(self, namespace_path: str, argument: str) -> None:
        """Start a dnsmasq inside the namespace; it goes on by itself, and answers when this returns."""
        await self._run(["nsenter", f"--net={namespace_path}", "dnsmasq", argument], "start DHCP")

    async def _run(self, argv: Sequence[str], action: str, stdin: bytes = b"") -> Completed:
        done = await self._run_any(argv, stdin)
        if done.code != 0:
            raise _failure(action, argv, done)
        return done

    async def _run_any(self, argv: Sequence[str], stdin: bytes = b"") -> Completed:
        try:
            return await self._runtime.run_command(argv, stdin=stdin, env=self._environment)
        except FileNotFoundError as absent:
            raise missing_program(argv[0]).error() from absent


def _failure(action: str, argv: Sequence[str], done: Completed) -> Exception:
    said = done.stderr.decode(errors="replace").strip()
    log = f"{' '.join(argv)}: exit code {done.code}: {said}"
    if "Operation not permitted" in said:
        return NO_RIGHTS.error(log)
    if "Unknown device type" in said or "Operation not supported" in said or "/dev/net/tun" in said:
        return NO_MODULES.error(log)
    if "failed to execute dnsmasq" in said:
        return missing_program("dnsmasq").error(log)
    return BackendFailed(action=action, log=log)
