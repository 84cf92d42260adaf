"""Hosts on one wire: each a thread in namespaces of its own, with a loop, a backend, and a cable to the others."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import NetworkPlan
from pileus.network.drivers.base import tunnel_name
from pileus.network.drivers.linux import LinuxBackend
from tests.contract.networks.machine import private_machine, processes_of, run

T = TypeVar("T")
WIRE = "wire"  # the bridge that all cables end in
CABLE = "under0"  # its other end, on each host
PATIENCE_S = 20.0


class Host:
    """One host at `address`; everything about it is done inside it, by `do` and `call`."""

    def __init__(self, number: int, address: str, state_dir: Path):
        self.number, self.address = number, address
        self._state_dir = state_dir
        self.run_dir = Path(f"/run/pileus-{uuid.uuid4()}")
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._live, name=f"host {number}")
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        self._plug_cable()

    def _live(self) -> None:
        with private_machine():
            asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._runtime = Runtime(f"host-{self.number}")
        self._ready.set()
        await self._over.wait()
        await self._runtime.stop()

    def _plug_cable(self) -> None:
        space = f"/proc/{os.getpid()}/task/{self._thread.native_id}/ns/net"
        run("ip", "link", "add", f"to{self.number}", "type", "veth", "peer", "name", CABLE, "netns", space)
        run("ip", "link", "set", f"to{self.number}", "master", WIRE, "up")
        width = "64" if ":" in self.address else "24"
        self.run("ip", "address", "add", f"{self.address}/{width}", "dev", CABLE, *(["nodad"] if width == "64" else []))
        self.run("ip", "link", "set", CABLE, "up")

    # -- doing ----------------------------------------------------------------------------------------------------
    def do(self, scene: Callable[[LinuxBackend], Coroutine[Any, Any, T]], *, address: str | None = None) -> T:
        """Await `scene(backend)` on the host, with a backend that was opened for it."""

        async def whole() -> T:
            options = {"run_dir": str(self.run_dir), "tunnel_address": self.address if address is None else address}
            backend = LinuxBackend(self._runtime, hostname="host", state_dir=self._state_dir, options=options)
            await backend.open()
            try:
                return await scene(backend)
            finally:
                await backend.close()

        return asyncio.run_coroutine_threadsafe(whole(), self._loop).result(60)

    def call(self, work: Callable[..., T], *args: Any) -> T:
        """Call `work` on the host."""

        async def whole() -> T:
            return work(*args)

        return asyncio.run_coroutine_threadsafe(whole(), self._loop).result(60)

    def run(self, *argv: str) -> str:
        return self.call(run, *argv)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE_S)
        for pid in processes_of(str(self.run_dir)):
            os.kill(pid, signal.SIGKILL)

    # -- looking --------------------------------------------------------------------------------------------------
    def devices(self) -> list[str]:
        return [line.split()[0].split("@")[0] for line in self.run("ip", "-br", "link").splitlines()]

    def entries(self, network: NetworkPlan) -> set[tuple[str, str]]:
        """Which MAC is behind which host, as the kernel has it."""
        lines = self.run("bridge", "fdb", "show", "dev", tunnel_name(network.id)).splitlines()
        words = [line.split() for line in lines if " dst " in line]
        return {(word[0], word[word.index("dst") + 1]) for word in words}

    def overhear(self) -> "Overheard":
        return self.call(Overheard, self.address)


class Overheard:
    """What comes to a host through tunnels from now on."""

    def __init__(self, address: str):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self._socket.bind((CABLE, 0))
        self._own = socket.inet_aton(address)

    def receivers(self) -> list[str]:
        """The MACs that frames were sent to since the last question."""
        found = []
        while select.select([self._socket], [], [], 0)[0]:
            frame = self._socket.recv(65536)
            is_udp = frame[12:14] == b"\x08\x00" and frame[23] == 17
            if is_udp and frame[30:34] == self._own and frame[36:38] == (4789).to_bytes(2, "big"):
                found.append(frame[50:56].hex(":"))
        return found

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def hosts_on_a_wire(state_dir: Path, addresses: list[str]) -> Iterator[list[Host]]:
    """A machine with these hosts; nothing of them outlives it."""
    with private_machine(), contextlib.ExitStack() as stack:
        run("ip", "link", "add", WIRE, "type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
        run("ip", "link", "set", WIRE, "up")
        hosts = []
        for number, address in enumerate(addresses, 1):
            hosts.append(Host(number, address, state_dir / f"host{number}"))
            stack.callback(hosts[-1].stop)
        yield hosts
