"""One hypervisor host as a process of its own: python -m tests.processes.compute_host FILE, until SIGTERM."""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from pileus.foundation.bus import Bus
from pileus.foundation.bus.socket import HubTransport
from pileus.foundation.http.authentication import ServiceLogin
from pileus.foundation.http.client import Peer
from pileus.foundation.http.remote import SocketTransport
from pileus.foundation.logs import set_up
from pileus.foundation.runtime import Runtime
from pileus.settings import CloudSettings
from pileus.wiring import Host

KINDS = {"networking": "network"}


class Orders(msgspec.Struct, kw_only=True):
    """What the host is told. `account_key` is why the file is 0600."""

    host: str
    directory: str  # its own state
    bus: str  # the hub's socket file
    url: str
    account_key: str
    lease_s: float
    heartbeat_s: float


async def main(orders: Orders) -> None:
    set_up()
    runtime = Runtime(f"process of {orders.host}")
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    transports = {
        path: SocketTransport(f"{orders.url}/{path}") for path in ("identity", "image", "networking", "volume")
    }

    def peer(path: str, source: str) -> Peer:
        return Peer(KINDS.get(path, path), transports[path], runtime, source=source)

    def login(account: str) -> ServiceLogin:
        return ServiceLogin(peer("identity", account), runtime, user=account, password=orders.account_key)

    settings = CloudSettings(
        state_dir=Path(orders.directory), hypervisor="fake", lease_s=orders.lease_s, heartbeat_s=orders.heartbeat_s
    )
    line = HubTransport(Path(orders.bus), runtime)
    bus = Bus(line, runtime)
    await line.connect()
    host = Host(orders.host, settings, runtime, bus, peer, login)
    await host.start()
    await ended.wait()
    await host.stop()
    bus.close()
    await runtime.quiesce()
    line.close()
    for transport in transports.values():
        await transport.close()
    await runtime.stop()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Orders)))
