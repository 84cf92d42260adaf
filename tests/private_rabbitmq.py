"""A RabbitMQ of a test session's own: own node name, ports, directory, cookie and epmd; nothing of it stays behind.

It needs nothing of the machine but the package, and leaves the package's own service, if any, alone. `PILEUS_RABBITMQ`
names the directory of another release's programs.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiormq
import msgspec

from pileus.foundation.bus.rabbit_accounts import control_account, definitions, host_rights
from pileus.foundation.runtime import Runtime
from tests.certificates import Authority
from tests.process import Group

PROGRAMS = Path(os.environ.get("PILEUS_RABBITMQ", "/usr/lib/rabbitmq/bin"))  # those in PATH insist on their account
START_S = 90.0
PASSWORDS = {"pileus": "of the control plane", "host.h1": "of h1", "host.h2": "of h2"}


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class PrivateRabbit:
    """A broker with the accounts `pileus`, `host.h1` and `host.h2`, plain and by TLS (certificate for `localhost`)."""

    def __init__(self, directory: Path):
        if not PROGRAMS.exists():
            raise RuntimeError("RabbitMQ is not installed: run tools/setup --tests")
        self.directory = directory
        self.port, self.tls_port, self._dist_port, self._epmd_port = free_ports(4)
        self.authority = Authority(directory)
        self._processes: list[Group] = []
        self._write_files()

    def url(self, account: str = "pileus", password: str | None = None, *, tls: bool = False) -> str:
        secret = (PASSWORDS[account] if password is None else password).replace(" ", "%20")
        if tls:
            return f"amqps://{account}:{secret}@localhost:{self.tls_port}"
        return f"amqp://{account}:{secret}@127.0.0.1:{self.port}"

    def _write_files(self) -> None:
        accounts = [control_account(), host_rights("h1", ["b1"]), host_rights("h2")]
        data = definitions(accounts, PASSWORDS, Runtime("accounts"))
        server = self.authority.issue("localhost")
        here = self.directory
        (here / "definitions.json").write_bytes(msgspec.json.encode(data))
        (here / "enabled_plugins").write_text("[].\n")
        (here / ".erlang.cookie").write_text(secrets.token_hex(16))
        (here / ".erlang.cookie").chmod(0o400)
        (here / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.cacertfile = {self.authority.path}\n"
            f"ssl_options.certfile = {server.certificate}\n"
            f"ssl_options.keyfile = {server.key}\n"
            "ssl_options.verify = verify_peer\n"
            "ssl_options.fail_if_no_peer_cert = false\n"
            f"load_definitions = {here / 'definitions.json'}\n"
            "log.console = false\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        here = str(self.directory)
        return {
            "PATH": os.environ["PATH"], "HOME": here, "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"pileus-{self.port}@localhost", "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf", "RABBITMQ_MNESIA_BASE": f"{here}/mnesia",
            "RABBITMQ_LOG_BASE": f"{here}/log", "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{here}/pid", "ERL_EPMD_PORT": str(self._epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
        }  # fmt: skip

    # -- life ---------------------------------------------------------------------------------------------
    def start(self) -> None:
        if not self._processes:  # an epmd that we did not start would outlive the node
            self._run("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
        self._run(str(PROGRAMS / "rabbitmq-server"))
        self.wait()

    def _run(self, *argv: str) -> None:
        output = (self.directory / "output").open("ab")
        self._processes.append(
            Group(
                argv, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory
            )
        )
        output.close()

    def wait(self) -> None:
        """Until it answers on both ports."""
        deadline = time.monotonic() + START_S
        for port in (self.port, self.tls_port):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or self._processes[-1].has_ended:
                        raise RuntimeError(f"RabbitMQ did not start: {self._log()}") from None
                    time.sleep(0.05)

    def _log(self) -> str:
        return "\n".join(
            path.read_text()[-3000:] for path in [self.directory / "output", *self.directory.glob("log/*")]
        )

    def kill(self) -> None:
        """As a machine that loses its power."""
        self._processes.pop().kill()

    def stop(self) -> None:
        while self._processes:
            self._processes.pop().kill()

    # -- what an operator does ----------------------------------------------------------------------------
    def control(self, *words: str) -> str:
        done = subprocess.run(
            [PROGRAMS / "rabbitmqctl", *words], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.decode()

    def learn(self, data: Any) -> None:
        """Import definitions from a file: some releases hang when they are given on standard input."""
        file = self.directory / "more.json"
        file.write_bytes(msgspec.json.encode(data))
        self.control("import_definitions", str(file))

    def lose_everything(self) -> None:
        """Killed, and its disk is empty: when it starts again it has only the accounts of its file."""
        self.kill()
        shutil.rmtree(self.directory / "mnesia")

    def lose_quorums(self) -> None:
        """Killed so soon after the birth of its quorum queues that it finds their names on its disk and no data."""
        while not any(b"cast." in names.read_bytes() for names in self.directory.glob("mnesia/*/quorum/*/names.dets")):
            time.sleep(0.1)
        self.kill()
        for data in self.directory.glob("mnesia/*/quorum/*/*/"):
            shutil.rmtree(data)

    def wipe(self) -> None:
        """Every queue, exchange, message and account is gone; the accounts come back from their file."""
        for words in ("stop_app", "reset", "start_app"):
            self.control(words)

    def queues(self) -> dict[str, dict[str, Any]]:
        found = msgspec.json.decode(self.control("list_queues", "--formatter", "json", "name", "type", "durable"))
        return {queue["name"]: queue for queue in found}

    async def forget(self, topics: Iterable[str]) -> None:
        """Remove the queues of these topics, and what was parked."""
        connection = await aiormq.connect(self.url())
        channel = await connection.channel()
        for topic in topics:
            for kind in ("call", "cast"):
                await channel.queue_delete(f"{kind}.{topic}")
        await channel.queue_purge("pileus.parked")
        await connection.close()
