"""A PostgreSQL server of the tests' own: its data, its socket and its port live in one temporary directory.

It dies with the process that started it. Each test gets a database of its own.
"""

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

BINARIES = Path("/usr/lib/postgresql")
MEMORY = Path("/dev/shm")
"""Where a sync costs nothing, if there is such a place: hundreds of databases come and go."""
READY = "database system is ready to accept connections"
_SETTINGS = {  # so many connections, for those of loops that have ended wait for the garbage collector
    "fsync": "on", "synchronous_commit": "on", "shared_buffers": "16MB", "max_connections": "200",
    "max_wal_size": "64MB", "min_wal_size": "32MB", "wal_level": "minimal", "max_wal_senders": "0",
    "autovacuum": "off", "deadlock_timeout": "100ms", "log_min_messages": "log",
}  # fmt: skip


def binaries() -> Path | None:
    """Where the newest installed PostgreSQL has its programs."""
    found = sorted(BINARIES.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """One running server. `url(name)` reaches a database over its Unix socket, as a user that is no superuser."""

    def __init__(self) -> None:
        programs = binaries()
        assert programs is not None
        self._programs = programs
        self.directory = Path(tempfile.mkdtemp(prefix="pileus-postgres-", dir=MEMORY if MEMORY.is_dir() else None))
        self.data = self.directory / "data"
        self.settings = dict(_SETTINGS)
        self.log: list[str] = []
        self._has_role = False
        self._process: subprocess.Popen[str] | None = None
        self._databases = 0
        self._template = ""
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N"
        )

    def _as_postgres(self, program: str, *args: str) -> list[str]:
        command = [str(self._programs / program), *args]
        if os.geteuid() != 0:
            return command
        return [
            "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=QUIT", *command,
        ]  # fmt: skip

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            self._as_postgres(program, *args), cwd=self.directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    # -- life -----------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """When it returns, the server takes connections."""
        self.log.clear()
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        argv = self._as_postgres(
            "postgres", "-D", str(self.data), "-k", str(self.directory), "-p", str(self.port), "-h", "127.0.0.1",
            *options,
        )  # fmt: skip
        ready = threading.Event()
        threading.Thread(target=self._keep, args=(argv, ready), name="postgres", daemon=True).start()
        ready.wait()
        assert any(READY in line for line in self.log), "".join(self.log)

    def _keep(self, argv: list[str], ready: threading.Event) -> None:
        """The thread that the server lives and dies with: the kernel ends children with the thread that made them."""
        self._process = process = subprocess.Popen(argv, cwd=self.directory, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line)
            if READY in line:
                ready.set()
        ready.set()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends sessions and stops; SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def give(self, name: str, source: Path) -> None:
        """Put a file into the server's data directory, its own."""
        target = self.data / name
        shutil.copyfile(source, target)
        target.chmod(0o600)
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(target, account.pw_uid, account.pw_gid)

    # -- databases ------------------------------------------------------------------------------------------------
    def url(self, name: str, user: str = "pileus", **options: str) -> str:
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options.items())
        host = quote(str(self.directory), safe="")
        return f"postgresql://{user}@/{name}?host={host}&port={self.port}" + (f"&{query}" if query else "")

    def create(self, template: str = "template0", extra: str = "") -> str:
        """A new database; returns its name."""
        if not self._has_role:
            self._has_role = True
            self.execute("CREATE ROLE pileus LOGIN")
        self._databases += 1
        name = f"test_{self._databases}"
        self.execute(f"CREATE DATABASE {name} OWNER pileus TEMPLATE {template} {extra}")
        return name

    def create_with_tables(self) -> str:
        """A new database with the tables of every service, empty."""
        if not self._template:
            from pileus.foundation.database import upgrade_database
            from pileus.wiring.schemas import SCHEMAS

            name = self.create()
            in_thread(lambda: upgrade_database(self.url(name), SCHEMAS))
            self._template = name
        return self.create(self._template, "STRATEGY FILE_COPY")

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Statements of an administrator, each by itself."""
        self.query(database, *((statement, ()) for statement in statements))

    def query(self, database: str, *queries: tuple[str, Sequence[Any]]) -> list[Any]:
        """The rows of the last query, from a thread of its own: whoever asks may be inside an event loop."""

        async def ask() -> list[Any]:
            import asyncpg

            connection = await asyncpg.connect(self.url(database, "postgres"))
            try:
                rows: list[Any] = []
                for text, args in queries:
                    rows = await connection.fetch(text, *args)
                return rows
            finally:
                await connection.close()

        return in_thread(lambda: asyncio.run(ask()))


def in_thread(work: Callable[[], Any]) -> Any:
    """What `work` returns, computed beside the loop of the caller."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append((True, work()))
        except BaseException as error:
            found.append((False, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    is_fine, value = found[0]
    if not is_fine:
        raise value
    return value


_shared: list[Server] = []


def shared() -> Server:
    """The one server of this test session; it begins with the first who asks."""
    if not _shared:
        server = Server()
        atexit.register(server.remove)
        server.start()
        _shared.append(server)
    return _shared[0]
