"""The cluster on which faults are played: every process reaches everything through ways of its own that can be cut.

Two processes could do each step: one of each part, a second of each that holds no state (of the REST services all
in one process, `spare`), two hosts. Whoever dies is started again once the fault is over, as systemd would.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tests import postgres
from tests.cloud import User
from tests.faults.trap import Trap
from tests.private_rabbitmq import PrivateRabbit
from tests.processes.cluster import LEASE_S, PATHS, Cluster, Member, Way

HOSTS = ("h1", "h2")
BACKEND = "b1"
REST = ("identity", "image", "network", "volume", "placement")
PROCESSES: tuple[tuple[str, tuple[str, ...], str], ...] = (  # name, parts, host; started row by row
    *((part, (part,), "") for part in REST),
    ("spare", REST, ""),
    ("operations", ("operations",), ""),
    ("api-1", ("compute-api",), ""), ("api-2", ("compute-api",), ""),
    ("scheduler-1", ("scheduler",), ""), ("scheduler-2", ("scheduler",), ""),
    ("conductor-1", ("conductor",), ""), ("conductor-2", ("conductor",), ""),
    ("h1", ("compute-host",), "h1"), ("h2", ("compute-host",), "h2"),
    ("volume-host", ("volume-host",), "h1"),
)  # fmt: skip
MORE = {
    "volume": {"backends": [BACKEND]},
    "volume_host": {"backend": BACKEND, "driver": "fake"},
    "compute": {"host_down_s": 2.5 * LEASE_S, "call_timeout_s": 5 * LEASE_S},
}
STOPPED_S = 3.5 * LEASE_S
CUT_S = 2 * LEASE_S


class FaultMember(Member):
    program = ("-m", "tests.faults.member")


class FaultCluster(Cluster):
    """`arm` lays a trap at a seam of a part; `sprung` is who ran into it."""

    def __init__(self, path: Path, server: postgres.Server, broker: PrivateRabbit):
        self.server, self.broker = server, broker
        self.name = server.create()
        database = f"postgresql://pileus@127.0.0.1:{server.port}/{self.name}?sslmode=disable&pool=4"
        super().__init__(path, database=database, bus=broker.url(), more=MORE)
        self.traps = path / "traps"
        self.ways: dict[tuple[str, str], Way] = {}  # by process and what it reaches: a path, bus, database
        self.asked: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    # -- life -----------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        self.traps.mkdir()
        self.state.mkdir()
        self._ear = await asyncio.start_unix_server(self._hear, self.path / "ear")
        await self.prepare(HOSTS)
        for way in self.clients.values():
            way.takes_first = True
        for names in (REST, ("spare",), ("operations", "api-1", "api-2"), ("conductor-1", "conductor-2")):
            await asyncio.gather(*(self._add(name) for name in names))
        await asyncio.gather(*(self._add(name) for name, _, _ in PROCESSES if name not in self.members))

    async def _add(self, name: str) -> None:
        parts, host = next((parts, host) for known, parts, host in PROCESSES if known == name)
        env = {
            "FAULTS_DIRECTORY": str(self.traps), "FAULTS_PARTS": ",".join(parts),
            "FAULTS_SOCKET": str(self.path / "ear"),
        }  # fmt: skip
        for path in PATHS.values():
            way = await self.way(lambda path=path: self.ports(path), takes_first=True)  # type: ignore[misc]
            self.ways[name, path] = way
            env[f"PILEUS_SERVICES__{path.upper()}"] = way.url
        database = self.ways[name, "database"] = await self.way(lambda: [self.server.port])
        bus = self.ways[name, "bus"] = await self.way(lambda: [self.broker.port])
        account = f"host.{host}" if host else "pileus"
        env["PILEUS_DATABASE__URL"] = (
            f"postgresql://pileus@127.0.0.1:{database.port}/{self.name}?sslmode=disable&pool=4"
        )
        env["PILEUS_BUS__URL"] = self.broker.url(account).replace(f":{self.broker.port}", f":{bus.port}")
        await self.add(name, *parts, host=host, **env)

    def member(self, name: str, parts: Sequence[str], env: Mapping[str, str]) -> Member:
        return FaultMember(self, name, parts, env)

    async def stop(self) -> None:
        self._ear.close()
        await super().stop()

    async def restore(self) -> None:
        """Everybody is there again, and reaches everybody by the usual way."""
        for way in self.links:
            way.mend()
        for trap in self.traps.iterdir():
            trap.unlink()
        fallen = [member for member in self.members.values() if not member.is_running]
        await asyncio.gather(*(member.start() for member in fallen))
        for (_, target), way in self.ways.items():
            if target in PATHS.values():
                way.drop()

    def keep_logs(self, name: str) -> None:
        """For whoever wants to know what went wrong: the processes' logs, outside of what is removed at the end."""
        kept = Path(os.environ.get("FAULTS_LOGS", "")) if os.environ.get("FAULTS_LOGS") else None
        if kept is None:
            return
        for member in self.members.values():
            target = kept / name.replace(" ", "-") / member.log.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(member.log, target)

    # -- traps ----------------------------------------------------------------------------------------------------
    def arm(self, part: str, seams: Sequence[Sequence[str]], does: str) -> None:
        whole = self.path / "trap"  # the directory changes once: whoever looks at that moment sees the trap or nothing
        whole.write_bytes(msgspec.json.encode(Trap([list(seam) for seam in seams], does)))
        whole.rename(self.traps / f"{part}.trap")

    def sprung(self) -> Member | None:
        """Whose trap sprang."""
        found = next(iter(self.traps.glob("*.sprung")), None)
        return None if found is None else self.members[found.read_text()]

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await self.asked.put(writer)

    async def told(self) -> asyncio.StreamWriter:
        """A process waits at its seam; what is written back lets it go on."""
        return await self.asked.get()

    # -- faults of what is below ----------------------------------------------------------------------------------
    def ways_of(self, names: Sequence[str], target: str) -> list[Way]:
        """The ways of these processes, or of the `client`, to a path, the bus or the database."""
        return [self.clients[target] if name == "client" else self.ways[name, target] for name in names]

    def members_with(self, part: str) -> list[str]:
        """Their names, without the spare; the client is none."""
        if part == "client":
            return [part]
        return [name for name, parts, _ in PROCESSES if part in parts and name != "spare"]

    def stop_database(self) -> None:
        self.server.stop(signal.SIGQUIT)

    def start_database(self) -> None:
        self.server.start()

    def kill_broker(self, *, wiped: bool) -> None:
        self.broker.lose_everything() if wiped else self.broker.kill()

    def start_broker(self) -> None:
        self.broker.start()


@contextlib.asynccontextmanager
async def fault_cluster() -> AsyncIterator[FaultCluster]:
    """A cluster with a database and a broker of its own; all of it goes with the block."""
    path = Path(tempfile.mkdtemp(prefix="pileus-faults-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    server, broker = postgres.Server(), None
    try:
        server.start()
        (path / "rabbit").mkdir()
        broker = PrivateRabbit(path / "rabbit")
        await asyncio.to_thread(broker.start)
        there = FaultCluster(path, server, broker)
        try:
            await there.start()
            yield there
        except BaseException:
            print(there.logs())
            raise
        finally:
            await there.stop()
    finally:
        if broker is not None:
            broker.stop()
        server.remove()
        shutil.rmtree(path, ignore_errors=True)


async def furnish(there: FaultCluster) -> tuple[User, User, dict[str, str]]:
    """The administrator, a user, and the ids of what a launch needs."""
    admin = await there.admin()
    user = await admin.create_user("ann", await admin.create_project("red"))
    flavor, image = await admin.create_flavor("tiny"), await admin.create_image("blank", visibility="public")
    network = await user.create_network("net")
    return admin, user, {"flavor": flavor, "image": image, "network": network}
