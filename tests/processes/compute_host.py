"""One hypervisor host as a process of its own: python -m tests.processes.compute_host FILE, until SIGTERM."""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from pileus.foundation.bus import Bus
from pileus.foundation.bus.socket import HubTransport
from pileus.foundation.http.remote import SocketTransport
from pileus.foundation.logs import set_up
from pileus.foundation.runtime import Runtime
from pileus.secrets_file import Secrets
from pileus.settings import CloudSection, HostSection
from pileus.wiring.ground import Ground
from pileus.wiring.host import HostPart
from pileus.wiring.settings import Settings


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

    settings = Settings(
        state_dir=Path(orders.directory), host=HostSection(hypervisor="fake"),
        cloud=CloudSection(lease_s=orders.lease_s, heartbeat_s=orders.heartbeat_s),
    )  # fmt: skip
    line = HubTransport(Path(orders.bus), runtime)
    bus = Bus(line, runtime)
    await line.connect()
    secrets = Secrets(accounts={"compute": orders.account_key})
    ground = Ground(settings, runtime, bus, secrets, transports.__getitem__)
    host = HostPart(ground, orders.host, account="compute")
    await host.start()
    await ended.wait()
    await host.stop()
    bus.close()
    await runtime.quiesce()
    await line.close()
    for transport in transports.values():
        await transport.close()
    await runtime.stop()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Orders)))
