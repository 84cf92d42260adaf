"""Who saw what the processes of a cluster did, without asking them.

The kernel knows which process holds a socket, RabbitMQ traces every message that it takes and gives, PostgreSQL logs
every statement, and what goes along a `Way` can be read on it. All times are whole UTC milliseconds, as PostgreSQL's.
"""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import aiormq
import httptools
import msgspec
from aiormq.abc import DeliveredMessage

from tests.postgres import Server
from tests.private_rabbitmq import PrivateRabbit
from tests.processes.cluster import Cluster, Show, Way

CLIENT = "client"
"""The test's own process among the cluster's."""


# -- the kernel -------------------------------------------------------------------------------------------------------
class Kernel:
    """Which process holds a socket or a file."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster

    def _pids(self) -> dict[str, int]:
        running = {name: member.pid for name, member in self._cluster.members.items() if member.is_running}
        return running | {CLIENT: os.getpid()}

    def owner(self, local: int, remote: int) -> str:
        """The name of the process whose socket goes from port `local` to port `remote`. Raises: LookupError."""
        wanted = (f":{local:04X}", f":{remote:04X}")
        for line in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]:
            _, here, there, _, _, _, _, _, _, inode, *_ = line.split()
            if here.endswith(wanted[0]) and there.endswith(wanted[1]):
                (name,) = self.holders(f"socket:[{inode}]")
                return name
        raise LookupError(f"no socket from port {local} to port {remote}")

    def name_of(self, pid: int) -> str:
        """The name of the process that this is. Raises: ValueError for one that is not the cluster's."""
        (name,) = (name for name, its in self._pids().items() if its == pid)
        return name

    def holders(self, file: str) -> list[str]:
        """The names of the processes that have this file open."""
        return [name for name, pid in self._pids().items() if file in set(_files(pid))]


def _files(pid: int) -> Iterator[str]:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield os.readlink(link)
        except FileNotFoundError:  # closed while we looked
            continue


# -- requests ---------------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Message:
    at: int = 0  # when its last byte came by
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Exchange:
    """A request and its answer, with the processes at both ends."""

    source: str
    target: str
    method: str
    path: str  # with the service before it: /identity/v3/auth/tokens
    asked: Message
    status: int = 0
    answered: Message = field(default_factory=Message)

    @property
    def token(self) -> str:
        return self.asked.headers.get("x-auth-token", "")

    @property
    def request_id(self) -> str:
        return self.answered.headers.get("x-openstack-request-id", "")


class Wire:
    """Reads the requests on the ways of a cluster."""

    def __init__(self, cluster: Cluster, kernel: Kernel):
        self._cluster, self._kernel = cluster, kernel
        self.exchanges: list[Exchange] = []
        for way in cluster.clients.values():
            way.witness = self

    def met(self, way: Way, source: int, target: int) -> tuple[Show, Show]:
        asker = self._kernel.owner(source, way.port)
        (answerer,) = (member.name for member in self._cluster.members.values() if member.port == target)
        open_: list[Exchange] = []

        def asked(message: Message, parser: Any) -> None:
            method = parser.get_method().decode()
            exchange = Exchange(asker, answerer, method, message.target, message)
            open_.append(exchange)
            self.exchanges.append(exchange)

        def answered(message: Message, parser: Any) -> None:
            if parser.get_status_code() >= 200:
                exchange = open_.pop(0)
                exchange.status, exchange.answered = parser.get_status_code(), message

        return self._reader(httptools.HttpRequestParser, asked), self._reader(httptools.HttpResponseParser, answered)

    def _reader(self, kind: Callable[[Any], Any], done: Callable[[Message, Any], None]) -> Show:
        collector = _Collector(self._cluster.runtime.now, done)
        collector.parser = kind(collector)
        return collector.parser.feed_data  # type: ignore[no-any-return]

    def of(self, method: str, path: str, **facts: Any) -> list[Exchange]:
        """Those with a path that matches this pattern, and with these facts."""
        return [
            one
            for one in self.exchanges
            if one.method == method
            and re.fullmatch(path, one.path)
            and all(getattr(one, name) == value for name, value in facts.items())
        ]


class _Collector:
    """What httptools calls back while it reads one direction of a connection."""

    parser: Any

    def __init__(self, now: Callable[[], int], done: Callable[[Message, Any], None]):
        self._now, self._done = now, done
        self._message = Message()

    def on_message_begin(self) -> None:
        self._message = Message()

    def on_url(self, url: bytes) -> None:
        self._message.target += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._message.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._message.body += body

    def on_message_complete(self) -> None:
        self._message.at = self._now() // 1000
        self._done(self._message, self.parser)


# -- messages ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Seen:
    """A message that RabbitMQ took (`publish`) or gave to somebody (`deliver`); `place` tells which was first."""

    place: int
    at: int  # when we heard of it: not earlier than it happened
    kind: str
    name: str  # the exchange where it was published, the queue from which it was delivered
    key: str
    account: str  # of who published or took it
    process: str
    body: dict[str, Any]


class Firehose:
    """RabbitMQ's own tracing while the block lasts, read by an administrator's account of its own."""

    account, password = "witness", "of the witness"

    def __init__(self, rabbit: PrivateRabbit, kernel: Kernel, now: Callable[[], int]):
        self._rabbit, self._kernel, self._now = rabbit, kernel, now
        self._raw: list[tuple[int, DeliveredMessage]] = []
        self._marked = asyncio.Event()

    async def __aenter__(self) -> "Firehose":
        account = {"name": self.account, "password": self.password, "tags": "administrator"}
        rights = {"user": self.account, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        await asyncio.to_thread(self._rabbit.learn, {"users": [account], "permissions": [rights]})
        await asyncio.to_thread(self._rabbit.control, "trace_on")
        self._connection = await aiormq.connect(self._rabbit.url(self.account, self.password))
        self._channel = await self._connection.channel()
        declared = await self._channel.queue_declare(exclusive=True)
        self._queue = str(declared.queue)
        await self._channel.queue_bind(self._queue, "amq.rabbitmq.trace", "#")
        await self._channel.basic_consume(self._queue, self._took, no_ack=True)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._connection.close()
        await asyncio.to_thread(self._rabbit.control, "trace_off")
        await asyncio.to_thread(self._rabbit.control, "delete_user", self.account)

    async def _took(self, message: DeliveredMessage) -> None:
        if message.delivery.exchange == "":
            self._marked.set()
        else:
            self._raw.append((self._now() // 1000, message))

    async def seen(self) -> list[Seen]:
        """All until now: what we send ourselves comes behind it."""
        self._marked.clear()
        await self._channel.basic_publish(b"", routing_key=self._queue)
        await self._marked.wait()
        owners: dict[str, str] = {}
        found = []
        for place, (at, message) in enumerate(self._raw):
            kind, _, name = str(message.delivery.routing_key).partition(".")
            facts = {key: _text(value) for key, value in (message.header.properties.headers or {}).items()}
            if facts["user"] == self.account:
                continue  # our own mark
            connection = facts["connection"]
            if connection not in owners:
                owners[connection] = self._owner(connection)
            (key,) = facts["routing_keys"]
            body = msgspec.msgpack.decode(message.body)
            found.append(Seen(place, at, kind, name, _text(key), facts["user"], owners[connection], body))
        return found

    def _owner(self, connection: str) -> str:
        ports = re.findall(r":(\d+)", connection)  # 127.0.0.1:40000 -> 127.0.0.1:5672
        return self._kernel.owner(int(ports[0]), int(ports[1]))


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes | bytearray) else value


# -- guests ---------------------------------------------------------------------------------------------------------
class Libvirt:
    """What libvirt says of its guests and its clients, and what the kernel says of QEMU."""

    def __init__(self, kernel: Kernel):
        self._kernel = kernel

    def _says(self, *argv: str) -> str:
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout

    def state(self, uuid: str) -> str:
        return self._says("virsh", "-q", "-c", "qemu:///system", "domstate", uuid).strip()

    def began(self, uuid: str) -> int:
        """When QEMU of this guest was started: microseconds since the epoch, exact to a clock tick (10 ms)."""
        (pid,) = (
            int(path.parts[2]) for path in Path("/proc").glob("[0-9]*/cmdline")
            if f"\0{uuid}\0".encode() in path.read_bytes()
        )  # fmt: skip
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return round((time.time() - since_boot) * 1_000_000)

    def clients(self) -> set[str]:
        """The names of the processes that are connected to libvirt now."""
        admin = ("virt-admin", "-c", "libvirtd:///system")
        listed = self._says(*admin, "srv-clients-list", "libvirtd")
        numbers = [line.split()[0] for line in listed.splitlines() if re.match(r"\s*\d+\s", line)]
        told = [self._says(*admin, "client-info", "libvirtd", number) for number in numbers]
        return {self._kernel.name_of(int(re.findall(r"unix_process_id\s*: (\d+)", text)[0])) for text in told}


# -- statements -------------------------------------------------------------------------------------------------------
LINE_PREFIX = "said|%n|%p|%a|%d|%r|"
_LINE = re.compile(r"said\|([\d.]+)\|(\d+)\|(.*?)\|(.*?)\|(.*?)\|(\w+):  (.*)", re.DOTALL)
_TEXT = re.compile(r"(?:statement|execute [^:]*): (.*)", re.DOTALL)
_ARGUMENT = re.compile(r"(\$\d+) = '((?:[^']|'')*)'")
_NEWEST_S = 60.0


@dataclass(slots=True)
class Executed:
    """One statement, as the server began it."""

    at: int
    backend: int
    process: str  # as the session names itself
    port: int  # the client's end of the session
    text: str
    arguments: dict[str, str] = field(default_factory=dict)  # by their numbers: $1

    @property
    def values(self) -> dict[str, str | None]:
        """Arguments by the names of their columns; NULL is None."""
        names = re.findall(r"(\w+) = (\$\d+)", self.text)
        inserted = re.match(r"INSERT INTO \w+ \((.*?)\) VALUES \((.*?)\)", self.text)
        if inserted:
            names = list(zip(inserted[1].split(", "), inserted[2].split(", "), strict=True))
        return {name: self.arguments.get(number) for name, number in names if number.startswith("$")}


class StatementLog:
    """Every statement on one database of a server."""

    def __init__(self, server: Server, database: str):
        self._server, self._database = server, database
        server.execute(f"ALTER DATABASE {database} SET log_statement = 'all'")

    @property
    def port(self) -> int:
        return self._server.port

    def url(self) -> str:
        """The database by TCP, so that the kernel knows who is at the other end."""
        return f"postgresql://pileus@127.0.0.1:{self._server.port}/{self._database}"

    def rows(self, query: str, *args: Any) -> list[Any]:
        """What an administrator finds in the tables."""
        return self._server.query(self._database, (query, args))

    async def statements(self) -> list[Executed]:
        """All until now."""
        begun = len(self._server.log)
        self._server.query(self._database, ("SELECT 'until here'", ()))
        async with asyncio.timeout(_NEWEST_S):  # whoever else is at work may have said more since
            while not any("until here" in line for line in self._server.log[begun:]):
                await asyncio.sleep(0)
        return list(self._read())

    def _read(self) -> Iterator[Executed]:
        entries: list[str] = []
        for line in self._server.log:
            if line.startswith("said|") or not entries:
                entries.append(line)
            else:
                entries[-1] += line
        latest: dict[str, Executed] = {}
        for entry in entries:
            said = _LINE.match(entry)
            if said is None or said[4] != self._database:
                continue
            executed = _TEXT.match(said[7])
            if said[6] == "DETAIL" and said[2] in latest:
                latest[said[2]].arguments = dict(_ARGUMENT.findall(said[7]))
            elif executed:
                port = re.search(r"\((\d+)\)", said[5])
                at = int(said[1].replace(".", ""))
                one = Executed(at, int(said[2]), said[3], int(port[1]) if port else 0, " ".join(executed[1].split()))
                latest[said[2]] = one
                yield one


def transactions(executed: Sequence[Executed]) -> list[list[Executed]]:
    """The committed ones, each from BEGIN to COMMIT, in the order of their commits."""
    open_: dict[int, list[Executed]] = {}
    found = []
    for one in executed:
        if one.text.startswith("BEGIN"):
            open_[one.backend] = []
        if one.backend in open_:
            open_[one.backend].append(one)
        if one.text == "COMMIT":
            found.append(open_.pop(one.backend))
        elif one.text == "ROLLBACK":
            open_.pop(one.backend, None)
    return found
