"""A cloud of many processes on this machine: each part by `pileus serve`, and something like a proxy before them.

`Cluster` is asked like a `World` of tests/cloud.py; its processes may be killed, stopped and started one by one.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pileus.foundation.http.client import Answer
from pileus.foundation.http.remote import SocketTransport
from pileus.foundation.runtime import Runtime
from pileus.foundation.tls import Tls
from tests.cloud import CHEAP, User
from tests.process import die_with_parent, free_port

ROOT = Path(__file__).resolve().parents[2]
READY = "Pileus serves "
PATHS = {
    "identity": "identity", "image": "image", "network": "networking", "volume": "volume",
    "placement": "placement", "compute-api": "compute", "operations": "pileus",
}  # fmt: skip
LEASE_S, HEARTBEAT_S = 2.0, 0.5
PATIENCE_S = 90.0


class Member:
    """One process of the cluster."""

    program: tuple[str, ...] = ("-m", "pileus")

    def __init__(self, cluster: "Cluster", name: str, parts: Sequence[str], env: Mapping[str, str] | None = None):
        self.name, self.parts = name, tuple(parts)
        self.port = free_port()
        self._cluster = cluster
        self.env = dict(env or {})
        self._process: asyncio.subprocess.Process | None = None
        self.log = cluster.path / f"{name}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """When it returns, its ready line has been read."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *self.program, "serve", ",".join(self.parts), "--config", str(self._cluster.config),
                "--name", self.name, "--port", str(self.port), stdout=asyncio.subprocess.PIPE, stderr=log, cwd=ROOT,
                env=os.environ | self.env, preexec_fn=die_with_parent,
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = (await self._process.stdout.readline()).decode()
        assert line.startswith(READY), f"{self.name}: {line!r}\n{self.log.read_text()}"

    async def kill(self) -> None:
        """kill -9; when it returns, it is gone."""
        self._signal(signal.SIGKILL)
        await self.ended()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    async def end(self) -> int:
        """How an orderly end went."""
        if self.is_running:
            self._signal(signal.SIGTERM)
        return await self.ended()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it is gone."""
        assert self._process is not None
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait()


class Cluster:
    """Its own configuration, database and bus below one directory."""

    def __init__(
        self, path: Path, *, database: str, bus: str, host_bus: Callable[[str], str] | None = None,
        more: Mapping[str, Mapping[str, Any]] | None = None,
    ):  # fmt: skip
        self.path = path
        self.config = path / "pileus.toml"
        self.state = path / "state"
        self.members: dict[str, Member] = {}
        self.runtime = Runtime("the cluster's test")
        self.clients: dict[str, Way] = {}  # the way of clients to each path
        self._hosts: dict[str, Path] = {}
        self._host_bus = host_bus
        self._names = 0
        self._settings = _settings(self.state, database, bus) | dict(more or {})
        self.links: list[Way] = []  # every way there is, those of tests too

    @property
    def has_hub(self) -> bool:
        """Whether the bus is a process of ours."""
        return str(self._settings["bus"]["url"]).startswith("hub:")

    # -- life -----------------------------------------------------------------------------------------------------
    async def prepare(self, hosts: Sequence[str]) -> None:
        """Write the configuration, make the tables, enroll the hosts."""
        for path in PATHS.values():
            self.clients[path] = await self.way(lambda path=path: self.ports(path))  # type: ignore[misc]
        services = {path: way.url for path, way in self.clients.items()}
        _write_toml(self.config, self._settings | {"services": services})
        await self.command("db", "upgrade", "--config", str(self.config))
        for host in hosts:
            self._hosts[host] = self.path / f"{host}.secrets"
            await self.command("enroll", host, "--config", str(self.config), "--out", str(self._hosts[host]))
        self.secrets = json.loads((self.state / "secrets.json").read_text())

    async def way(self, ports: Callable[[], list[int]], *, takes_first: bool = False) -> "Way":
        """One address more before whoever listens on these ports."""
        made = Way(ports, takes_first=takes_first)
        await made.open()
        self.links.append(made)
        return made

    async def add(self, name: str, *parts: str, host: str = "", **env: str) -> Member:
        """Start one process more; with `host` it has that host's name and accounts alone."""
        member = self.members[name] = self.member(name, parts, self.accounts_of(host) | env)
        await member.start()
        return member

    def accounts_of(self, host: str) -> dict[str, str]:
        """What lets a process be a host."""
        if not host:
            return {}
        found = {"PILEUS_SECRETS__FILE": str(self._hosts[host]), "PILEUS_HOST__HOST_NAME": host}
        return found if self._host_bus is None else found | {"PILEUS_BUS__URL": self._host_bus(host)}

    def member(self, name: str, parts: Sequence[str], env: Mapping[str, str]) -> Member:
        return Member(self, name, parts, env)

    async def stop(self) -> None:
        """End whoever still runs, the newest first."""
        for member in reversed(list(self.members.values())):
            member.wake() if member.is_running else None
            await member.end()
        for way in self.links:
            await way.close()
        await self.runtime.stop()

    async def command(self, *argv: str, code: int = 0) -> str:
        """What a command prints. Raises: AssertionError when it ends with another code."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pileus", *argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == code, f"{argv}: {process.returncode}\n{out.decode()}\n{err.decode()}"
        return out.decode()

    async def complaint(self, parts: str, **env: str) -> str:
        """What `pileus serve` says when it does not start. Raises: AssertionError when it does."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pileus", "serve", parts, "--config", str(self.config), cwd=ROOT,
            env=os.environ | env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 1, f"{process.returncode}\n{out.decode()}\n{err.decode()}"
        return err.decode()

    def encrypted(self, authority: str) -> None:
        """From now on the processes are reached by TLS, with certificates of this authority."""
        for way in self.clients.values():
            way.encrypt(authority)

    def addresses(self) -> dict[str, str]:
        """Where the services are, by path."""
        return {path: way.url for path, way in self.clients.items()}

    def ports(self, path: str) -> list[int]:
        return [
            member.port
            for member in self.members.values()
            if member.is_running and any(PATHS.get(part) == path for part in member.parts)
        ]

    def new_name(self, name: str) -> str:
        """A name that nobody has yet."""
        self._names += 1
        return f"{name}-{self._names}"

    def logs(self) -> str:
        return "\n".join(f"== {member.name}\n{member.log.read_text()[-4000:]}" for member in self.members.values())

    # -- being asked ----------------------------------------------------------------------------------------------
    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request of a client, as `World.ask`."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json"} if body is not None else {}
        sent |= dict(headers or {})
        first, _, _ = path[1:].partition("/")
        return await self.clients[first].transport.send(method, path, sent, raw, 60.0)

    async def login(self, name: str, password: str, project: str) -> User:
        user = User(self, name, password, project)  # type: ignore[arg-type]
        await user.login()
        return user

    async def admin(self) -> User:
        return await self.login("admin", self.secrets["admin_password"], "admin")


Show = Callable[[bytes], None]


class Witness(Protocol):
    """Who is shown what goes along a way; it must not wait."""

    def met(self, way: "Way", source: int, target: int) -> tuple[Show, Show]:
        """A connection from one port to another: returns who is shown what is asked on it, and what is answered."""
        ...


class Way:
    """One address before all processes that serve a path: connections go to any that runs, or to the first of them.

    It can be cut: nothing comes through, and nobody is told.
    """

    def __init__(self, ports: Callable[[], list[int]], *, takes_first: bool = False):
        self._ports = ports
        self.takes_first = takes_first
        self._next = 0
        self._server: asyncio.AbstractServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._whole = asyncio.Event()
        self._whole.set()
        self.port = 0
        self.url = ""
        self.witness: Witness | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.transport = SocketTransport(self.url)

    def encrypt(self, authority: str) -> None:
        self.url = self.url.replace("http:", "https:")
        self.transport = SocketTransport(self.url, Tls(authority=authority).client())

    async def close(self) -> None:
        await self.transport.close()
        assert self._server is not None
        self._server.close()
        self.drop()

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        """What was sent meanwhile arrives now, as with packets that are sent again."""
        self._whole.set()

    def drop(self) -> None:
        """End every connection: the next ones find their way anew."""
        for task in list(self._tasks):
            task.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._whole.wait()
            for _ in range(5):
                ports = self._ports()
                if not ports:
                    break
                self._next += 0 if self.takes_first else 1
                with contextlib.suppress(OSError):
                    back, out = await asyncio.open_connection("127.0.0.1", ports[self._next % len(ports)])
                    await self._both(reader, writer, back, out)
                    break
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _both(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamReader,
        out: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, show: Show) -> None:
            with contextlib.suppress(OSError):
                while chunk := await source.read(1 << 16):
                    await self._whole.wait()
                    show(chunk)
                    target.write(chunk)
                    await target.drain()
            await self._whole.wait()
            with contextlib.suppress(OSError, RuntimeError):
                target.close()

        asked, answered = _unseen, _unseen
        if self.witness is not None:
            source, target = (end.get_extra_info("peername")[1] for end in (writer, out))
            asked, answered = self.witness.met(self, source, target)
        try:
            await asyncio.gather(pump(reader, out, asked), pump(back, writer, answered))
        finally:
            out.close()


def _unseen(_chunk: bytes) -> None:
    """Nobody looks."""


def _settings(state: Path, database: str, bus: str) -> dict[str, Any]:
    return {
        "state_dir": str(state),
        "cloud": {"url": "http://cloud.test", "lease_s": LEASE_S, "heartbeat_s": HEARTBEAT_S},
        "database": {"url": database},
        "bus": {"url": bus},
        "host": {"hypervisor": "fake"},
        "identity": {"password_cost": CHEAP},
        "compute": {"host_down_s": 5.0},
        "volume": {"backends": ["b1"]},
        "volume_host": {"backend": "b1", "driver": "fake"},
    }


def _write_toml(file: Path, settings: Mapping[str, Any]) -> None:
    lines: list[str] = [f"{key} = {_toml(value)}" for key, value in settings.items() if not isinstance(value, Mapping)]
    for section, values in settings.items():
        if isinstance(values, Mapping):
            lines += [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        target.write("\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


@contextlib.asynccontextmanager
async def cluster(made: Cluster, hosts: Sequence[str] = ("h1",)) -> AsyncIterator[Cluster]:
    """An empty cluster; its processes end with the block, and their logs are shown when something went wrong."""
    try:
        await made.prepare(hosts)
        yield made
    except BaseException:
        print(made.logs())
        raise
    finally:
        await made.stop()
